"""Rows of the family that make pots from noise: how they are trained, and their table."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.lib import tables
from scripts.lib.ablation.runs import LEAVES

CONFIGS = {"gan3d": "gan3d", "wgan_noise": "wgan", "wgan_gp_noise": "wgan_gp"}
"""The config of each row. It says what judges; what makes pots is 3D-GAN's generator."""

_TITLES = {
    "gan3d": "3D-GAN",
    "wgan_noise": "Wasserstein critic, clipped",
    "wgan_gp_noise": "Wasserstein critic, gradient penalty",
}
_FIRST = 4
"""The side of the first grid of the generator in voxels."""


def fields(row: str, resolution: int) -> dict[str, Any]:
    """What a row's config has to be told: the pots' size, and no completing where it would."""
    told: dict[str, Any] = {"generator.doublings": (resolution // _FIRST).bit_length() - 1}
    if row != "gan3d":
        from configs import gan3d

        generator = gan3d.get_config().generator
        told |= {f"generator.{name}": generator[name] for name in ("kind", "code_size", "features")}
        told["loss.recon_weight"] = 0.0
    return told


def read(paths: Iterable[pathlib.Path], split: str) -> dict[str, Any]:
    """The scores of runs by their folders' names."""
    return {path.name: json.loads((path / split / LEAVES["sample"]).read_text()) for path in paths}


def table(found: Mapping[str, Any]) -> str:
    """The scores of pots from noise, a column each, and of pots that were learned from.

    Those of the same networks untrained are in results.json.
    """
    if not found:
        return ""
    columns = {_title(name): of["scores"]["from noise"] for name, of in found.items()}
    columns["training pots"] = next(iter(found.values()))["scores"]["training pots"]
    names = list(columns["training pots"])
    rows = [[name, *(f"{of[name]:.4f}" for of in columns.values())] for name in names]
    return tables.table(["pots from noise", *columns], rows) + "\n"


def _title(folder: str) -> str:
    row, seed = folder.rsplit("_seed", 1)
    return _TITLES[row] + (f", seed {seed}" if seed != "0" else "")
