"""The data of an ablation: some pots of a folder, by links, and counts of what was used."""

import os
import pathlib
import shutil
from collections.abc import Iterable, Sequence

from voxgan_jax.data import folder
from voxgan_jax.data.synthetic import pots as synthetic

TRAIN, VALIDATION, TEST = folder.SPLITS


def choose_pots(
    items: Iterable[folder.PotPath], pots: int | None, test_pots: int | None
) -> list[folder.PotPath]:
    """All files of so many pots; None keeps all. The choice follows from the pots' names.

    Args:
        pots: for training; validation pots are among them, in the proportion of the whole, one at
            least.
        test_pots: for the test split.

    Raises:
        ValueError: fewer pots there than asked for, or than the two that training needs.
    """
    by_split: dict[str, dict[tuple[str, str], list[folder.PotPath]]] = {}
    for item in items:
        pots_of = by_split.setdefault(item.split, {})
        pots_of.setdefault((item.category, item.pot), []).append(item)
    there = {split: len(by_split.get(split, {})) for split in folder.SPLITS}
    wanted = dict(there)
    if pots is not None:
        both = there[TRAIN] + there[VALIDATION]
        if not 2 <= pots <= both:
            raise ValueError(f"--pots {pots}: choose from 2 to {both}, the training pots there are")
        share = round(pots * there[VALIDATION] / both)
        wanted[VALIDATION] = min(max(share, 1, pots - there[TRAIN]), there[VALIDATION], pots - 1)
        wanted[TRAIN] = pots - wanted[VALIDATION]
    if test_pots is not None:
        if not 1 <= test_pots <= there[TEST]:
            raise ValueError(
                f"--test_pots {test_pots}: choose from 1 to {there[TEST]}, the test pots there are"
            )
        wanted[TEST] = test_pots
    chosen = []
    for split, groups in by_split.items():
        keys = folder.split_pots(list(groups), wanted[split] / max(there[split], 1), seed=0)
        whole = wanted[split] == there[split]
        chosen += [item for key in groups if whole or key in keys for item in groups[key]]
    return chosen


def link_files(
    items: Iterable[folder.PotPath], vox_dir: str | pathlib.Path, out_dir: str | pathlib.Path
) -> None:
    """Make a folder `<split>/<path in vox_dir>` of links to these files, whole or not at all."""
    root, out = pathlib.Path(vox_dir), pathlib.Path(out_dir)
    aside = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        for item in items:
            parts = item.path.relative_to(root).parts
            if parts[0] in folder.SPLITS:
                parts = parts[1:]
            link = aside.joinpath(item.split, *parts)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(item.path.resolve())
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def make_synthetic(
    out_dir: str | pathlib.Path,
    pots: int,
    test_pots: int,
    *,
    resolution: int,
    fragments: Sequence[int],
) -> None:
    """Write synthetic pots, each broken in all of `fragments`, if they are not there yet."""
    out = pathlib.Path(out_dir)
    if out.is_dir():
        return
    aside = out.with_name(f".{out.name}-{os.getpid()}")
    every = pots + test_pots
    try:
        synthetic.write_dataset(
            aside,
            pots=every,
            seed=0,
            resolution=resolution,
            fragments=fragments,
            test_share=test_pots / every,
        )
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
