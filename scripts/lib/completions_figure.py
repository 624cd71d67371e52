"""Pots side by side: input, one answer or several, truth; of two models the paper's Figure 2."""

import pathlib
from collections.abc import Collection, Iterable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from voxgan_jax.data import fragments
from voxgan_jax.evaluation import figures
from voxgan_jax.evaluation.protocol import Predict, Record, Sample, batches
from voxgan_jax.inference import floor
from voxgan_jax.inference.answer import GIVEN, INFERRED, MISSING

_TERRACOTTA, _BLUE_GREY, _SAND = (0.82, 0.47, 0.32), (0.70, 0.77, 0.84), (0.91, 0.82, 0.70)


def choose_files(records: Iterable[Record], count: int) -> list[str]:
    """Names of files of `count` different pots, or of all where there are fewer.

    Pots are taken at even distances in the order of class and name, so none is picked by how well
    it went. The first shows its first file by name, the second its second and so on, starting
    again at the last: so big and small fragments are seen.
    """
    files: dict[tuple[str, str], list[str]] = {}
    for record in sorted(records, key=lambda record: (record.category, record.pot, record.name)):
        files.setdefault((record.category, record.pot), []).append(record.name)
    pots = list(files.values())
    chosen = np.linspace(0, len(pots) - 1, min(count, len(pots))).round().astype(int)
    return [pots[pot][place % len(pots[pot])] for place, pot in enumerate(chosen)]


def keep_named(samples: Iterable[Sample], names: Collection[str]) -> list[Sample]:
    """The samples with these file names, in the order of the names.

    Raises:
        ValueError: one of them is not there.
    """
    found = {sample.name: sample for sample in samples if sample.name in names}
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{missing[0]}: not among the files of the split; was the data changed?")
    return [found[name] for name in names]


def draw(
    answers: dict[str, tuple[Predict, float]],
    samples: Sequence[Sample],
    path: str | pathlib.Path,
    *,
    batch_size: int = 1,
    joined: bool = False,
) -> None:
    """Write one row for each sample: the given fragment, every answer to it, the whole pot.

    Args:
        answers: by title, how to predict and the threshold above which a voxel is shown.
        batch_size: samples predicted at a time.
        joined: pots in pieces or with holes are shown as `voxgan complete` mends them.
    """
    rows = []
    for batch in batches(samples, batch_size):
        partial, complete = fragments.select(batch.labels, batch.given)
        completed = [
            (np.asarray(predict(jnp.asarray(partial, jnp.float32)), np.float32), threshold)
            for predict, threshold in answers.values()
        ]
        for row in range(len(batch.samples)):
            given, whole = (np.asarray(volume[row, ..., 0], bool) for volume in (partial, complete))
            pots = []
            for answer, threshold in completed:
                pot = answer[row, ..., 0]
                pot = floor.whole(pot, given, threshold).probabilities if joined else pot
                pots.append(roles(given, pot > threshold))
            rows.append([roles(given, given), *pots, roles(given, whole, MISSING)])
    titles = ["input", *answers, "truth"]
    comparison(rows, titles, path, row_titles=[sample.pot for sample in samples])


def role_colours() -> Float[np.ndarray, "256 3"]:
    """Terracotta for GIVEN, pale blue-grey for INFERRED, sand for MISSING."""
    table = np.ones((256, 3))
    table[[GIVEN, INFERRED, MISSING]] = _TERRACOTTA, _BLUE_GREY, _SAND
    return table


def roles(
    given: Bool[np.ndarray, "d h w"], whole: Bool[np.ndarray, "d h w"], rest: int = INFERRED
) -> UInt8[np.ndarray, "d h w"]:
    """Roles of voxels: GIVEN where given, `rest` in the other voxels of the whole, 0 outside it."""
    return np.where(given, GIVEN, np.where(whole, rest, 0)).astype(np.uint8)


def comparison(
    rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ _"]]],
    columns: Sequence[str],
    path: str | pathlib.Path,
    *,
    row_titles: Sequence[str] | None = None,
) -> None:
    """Write rows of grids of roles side by side, such as input | completed | truth.

    Each cell is a grid made by `roles`; all cells share one scale, and the cells of a row are
    aligned by their grids, not by what is in them, so a sherd is seen where it sits in its pot.
    An empty cell is left blank.

    Raises:
        ValueError: no rows, or a row whose length is not that of `columns`.
    """
    if not rows or any(len(row) != len(columns) for row in rows):
        raise ValueError(f"every row needs {len(columns)} cells, one for each of {list(columns)}")
    titles = [list(columns)] + [[""] * len(columns)] * (len(rows) - 1)
    figures.sheet(rows, titles, row_titles or [""] * len(rows), path, role_colours(), aligned=True)
