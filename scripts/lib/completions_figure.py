"""Pots side by side: input, one answer or several, truth; of two models the paper's Figure 2."""

import pathlib
from collections.abc import Collection, Iterable, Sequence

import jax.numpy as jnp
import numpy as np

from voxgan_jax.data import fragments
from voxgan_jax.evaluation import figures
from voxgan_jax.evaluation.protocol import Predict, Record, Sample, batches
from voxgan_jax.inference.answer import MISSING


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
) -> None:
    """Write one row for each sample: the given fragment, every answer to it, the whole pot.

    Args:
        answers: by title, how to predict and the threshold above which a voxel is shown.
        batch_size: samples predicted at a time.
    """
    rows = []
    for batch in batches(samples, batch_size):
        partial, complete = fragments.select(batch.labels, batch.given)
        completed = [
            np.asarray(predict(jnp.asarray(partial, jnp.float32))) > threshold
            for predict, threshold in answers.values()
        ]
        for row in range(len(batch.samples)):
            given, whole = (np.asarray(volume[row, ..., 0], bool) for volume in (partial, complete))
            rows.append(
                [
                    figures.roles(given, given),
                    *(figures.roles(given, answer[row, ..., 0]) for answer in completed),
                    figures.roles(given, whole, MISSING),
                ]
            )
    titles = ["input", *answers, "truth"]
    figures.comparison(rows, titles, path, row_titles=[sample.pot for sample in samples])
