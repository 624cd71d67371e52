"""Scores on the evaluation split of a run, while it trains."""

from typing import Any

import jax
import numpy as np

from voxgan_jax.data import feed, source
from voxgan_jax.devices import processes
from voxgan_jax.evaluation import protocol


def check(config: Any) -> None:
    """Raise ValueError where the evaluation split is missing or trained on."""
    if not config.eval.split:
        return
    _own_split(config)
    shared = set(config.eval.split.split("+")) & set(config.data.train_split.split("+"))
    if shared:
        raise ValueError(
            f"the best weights would be chosen on {', '.join(sorted(shared))}, which is trained on;"
            " set config.eval.split to another split, or to nothing to keep the last weights"
        )


def scores(config: Any, predict: protocol.Predict) -> dict[str, float]:
    """The means over the split, by the name of the score.

    Each process completes its share of the pots on its own devices; all get all scores.
    """
    devices = jax.local_device_count()
    own = protocol.evaluate(
        predict,
        protocol.samples(_own_split(config).pots),
        # Rows that pad a batch are masked, so it may grow to fit the devices.
        batch_size=-(-config.eval.batch_size // devices) * devices,
        threshold=config.eval.threshold,
    )
    rows = [protocol.Record(*row) for row in processes.merge(processes.gather(own))]
    means = np.mean([(row.iou, row.dice, row.mse) for row in rows], axis=0)
    return dict(zip(("iou", "dice", "mse"), means.tolist(), strict=True))


def _own_split(config: Any) -> source.Split:
    """Those of the pots that are this process's to score."""
    own = slice(jax.process_index(), None, jax.process_count())
    place = feed.place_options(config)
    return source.open_split(config.data.dir, config.eval.split, rows=own, **place)
