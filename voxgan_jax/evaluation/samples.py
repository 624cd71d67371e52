"""New pots from noise, and their files: voxels, surfaces, and a picture of all."""

import functools
import pathlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from voxgan_jax import ledger, models
from voxgan_jax.data import vox
from voxgan_jax.evaluation import figures
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import INFERRED
from voxgan_jax.report import meshes

SHEET, WALK = "pots.png", "between.png"

_AT_ONCE = 16
"""Pots that are made at a time."""

Pots = Float[np.ndarray, "_ d h w"]


def make(model: Any, kind: str, variables: Any, count: int, seed: int = 0) -> Pots:
    """The probabilities of so many new pots, each of which hangs on its number and the seed alone.

    Args:
        kind: what the model's grid is, see `models.output`.

    Raises:
        ValueError: a model that makes none from noise.
    """
    some = jax.jit(functools.partial(models.sample, model, kind, count=_AT_ONCE))
    key, starts = jax.random.key(seed), range(0, count, _AT_ONCE)
    parts = [np.asarray(some(variables, key=jax.random.fold_in(key, start))) for start in starts]
    return np.concatenate(parts)[:count, ..., 0]


def walk(model: Any, kind: str, variables: Any, count: int, seed: int = 0) -> Pots:
    """The same of so many pots that lead from one to another."""
    some = jax.jit(functools.partial(models.sample, model, kind, count=count, between=True))
    return np.asarray(some(variables, key=jax.random.key(seed)))[..., 0]


def write(
    made: Pots, between: Pots, threshold: float, out: pathlib.Path, *, overwrite: bool = False
) -> int:
    """Write pots as `pot_NNN.vox` and `.stl`, a voxel being 1 mm, a sheet of them, and one of the
    way between two; returns how many were empty, of which there is no file.

    Args:
        overwrite: replace files of others, too.

    Raises:
        OSError: a file cannot be written, or must stay.
    """
    found = {f"pot_{n:03}": pot for n, pot in enumerate(made, 1) if (pot > threshold).any()}
    sheets = {SHEET: list(found.values()), WALK: [p for p in between if (p > threshold).any()]}
    names = [f"{stem}{ending}" for stem in found for ending in (".vox", ".stl")]
    with ledger.published(out, [*names, *sheets], overwrite=overwrite) as private:
        for stem, pot in found.items():
            labels = np.where(pot > threshold, np.uint8(INFERRED), np.uint8(0))
            vox.write(private / f"{stem}.vox", labels, meshes.palette())
            # Surfaces want the threshold at a half.
            belief = np.interp(pot, [0.0, threshold, 1.0], [0.0, 0.5, 1.0]).astype(np.float32)
            mesh = meshes.pot_surface(labels, belief, surface.frame(labels.shape))
            surface.write_stl(private / f"{stem}.stl", mesh)
        for name, pots in sheets.items():
            if pots:
                grids = [(pot > threshold).astype(np.uint8) for pot in pots]
                titles = [str(n) for n in range(1, len(pots) + 1)]
                figures.contact_sheet(grids, titles, private / name)
    return len(made) - len(found)
