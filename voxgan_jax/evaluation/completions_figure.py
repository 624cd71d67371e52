"""The paper's Figure 2: input, the answers of several models, and the truth, side by side."""

import pathlib
from collections.abc import Collection, Iterable, Sequence

import jax.numpy as jnp
import numpy as np

from voxgan_jax.completion.predictor import Completer
from voxgan_jax.data import fragments
from voxgan_jax.evaluation import figures
from voxgan_jax.evaluation.protocol import Record, Sample


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
    completers: dict[str, Completer], samples: Sequence[Sample], path: str | pathlib.Path
) -> None:
    """Write one row for each sample: the given fragment, each completer's answer, the whole pot.

    Answers are shown above the completer's own threshold, with the given fragment in its colour.
    """
    rows = []
    for sample in samples:
        table = fragments.given_table([sample.fragment])[None]
        volumes = fragments.select(sample.labels[None], table)
        partial = jnp.asarray(volumes[0], jnp.float32)
        given, whole = (np.asarray(volume[0, ..., 0], bool) for volume in volumes)
        answers = [
            np.asarray(completer.predict(partial))[0, ..., 0] > completer.threshold
            for completer in completers.values()
        ]
        rows.append(
            [
                figures.roles(given, given),
                *(figures.roles(given, answer) for answer in answers),
                figures.roles(given, whole, figures.MISSING),
            ]
        )
    titles = ["input", *completers, "truth"]
    figures.comparison(rows, titles, path, row_titles=[sample.pot for sample in samples])
