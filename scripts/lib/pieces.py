"""How often a model's pots come in pieces, what these are, and what joining them does.

Scores are those of the thresholded pot with the fragment, against the true pot and against its
biggest piece alone; differences are joined minus not joined.
"""

import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from tqdm import tqdm

from scripts.lib import summary
from scripts.lib.tables import table
from voxgan_jax.data import source
from voxgan_jax.evaluation import protocol
from voxgan_jax.inference import bridge, completer, floor, tunnels

_BATCH = 8
_LEAST = 9
_SCORES = ("iou", "dice", "iou_of_biggest", "dice_of_biggest")
_TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "iou_of_biggest": "IoU with the true pot's biggest piece",
    "dice_of_biggest": "Dice with it",
}


def score(
    weights_file: pathlib.Path | None, data_dir: pathlib.Path, split: str, every: int
) -> Iterator[dict[str, Any]]:
    """What `measured` says of each so many-th file of a split, with its name and pot.

    Args:
        weights_file: None for the model of the package.

    Raises:
        ValueError: the model works on a coarser grid.
    """
    model = completer.load(weights_file=weights_file)
    if model.pool > 1:
        raise ValueError("a model on a coarser grid is not scored here; take one with pool 1")
    place = {name: getattr(model, name) for name in ("resolution", "pool", "placement")}
    rows = slice(0, None, every)
    data = source.open_split(data_dir, split, rows=rows, **place)
    count = -(-data.num_pots // every)
    samples = iter(tqdm(protocol.samples(data.pots), total=count, disable=None))
    for batch in protocol.batches(samples, _BATCH):
        given = np.stack([table[pot] for pot, table in zip(batch.labels, batch.given, strict=True)])
        partial = jnp.asarray(given[..., None], jnp.float32)
        answers = np.asarray(model.predict(partial))[..., 0]
        for row, sample in enumerate(batch.samples):
            found = measured(answers[row], given[row], sample.labels > 0, model.threshold)
            yield {"name": sample.name, "pot": f"{sample.category}/{sample.pot}"} | found


def measured(
    probabilities: Float[np.ndarray, "d h w"],
    given: Bool[np.ndarray, "d h w"],
    truth: Bool[np.ndarray, "d h w"],
    threshold: float,
) -> dict[str, Any]:
    """Pieces and scores of an answer before and after joining; `others` are all but its biggest
    piece, those of less than nine voxels left out."""
    places, _ = ndimage.label(truth)  # pyright: ignore
    biggest = places == 1 + np.argmax(np.bincount(places.ravel())[1:])
    began = time.process_time()
    made = floor.whole(probabilities, given, threshold)
    took = time.process_time() - began
    before = (probabilities > threshold) | given
    after = (made.probabilities > threshold) | given
    row: dict[str, Any] = {
        **made.pieces._asdict(),
        "right": int((made.bridges & truth).sum()),
        "tunnels": [max(1 - tunnels.euler(pot), 0) for pot in (before, after, truth)],
        "hole": bool(floor.hole(before).any()),
        "open": bool(floor.hole(after).any()),
        "hole_of_truth": bool(floor.hole(truth).any()),
        "of_truth": bridge.count(truth),
        "of_given": bridge.count(given),
        "ms": 1000 * took,
        "others": _others(probabilities, given, truth, threshold),
    }
    for name, pot in (("before", before), ("after", after)):
        pairs = (*_overlap(pot, truth), *_overlap(pot, biggest))
        row[name] = dict(zip(_SCORES, pairs, strict=True))
    return row


def _overlap(
    pot: Bool[np.ndarray, "d h w"], truth: Bool[np.ndarray, "d h w"]
) -> tuple[float, float]:
    """IoU and Dice."""
    both, either = int((pot & truth).sum()), int((pot | truth).sum())
    return both / either, 2 * both / (both + either)


def _others(
    probabilities: Float[np.ndarray, "d h w"],
    given: Bool[np.ndarray, "d h w"],
    truth: Bool[np.ndarray, "d h w"],
    threshold: float,
) -> list[dict[str, Any]]:
    places, number = ndimage.label((probabilities > threshold) | given)  # pyright: ignore
    sizes = np.bincount(places.ravel(), minlength=2)
    sizes[0] = 0
    body = places == sizes.argmax()
    away = np.asarray(ndimage.distance_transform_edt(~body)) if number > 1 else np.zeros(())
    found = []
    for n in np.flatnonzero(sizes >= _LEAST):
        if n != sizes.argmax():
            part = places == n
            profile = bridge.profile_of(probabilities, given, threshold)
            _, least = bridge.way_between(profile, body, part)
            found.append(
                {
                    "share": float(sizes[n] / sizes.sum()),
                    "gap": float(away[part].min()),
                    "least": least,
                    "plate": least < bridge.LIKELY and bridge.is_plate(part, body),
                    "given": bool((part & given).any()),
                    "right": float((part & truth).sum() / sizes[n]),
                }
            )
    return found


def counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many answers are in pieces, and what became of them."""
    told = {
        "the model's pot is in pieces": [row["made"] > 1 for row in rows],
        "a bridge was laid": [row["added"] > 0 for row in rows],
        "only dropped was something": [row["dropped"] > 0 and not row["added"] for row in rows],
        "still in pieces": [row["left"] > 1 for row in rows],
        "tunnels lead through the model's pot": [row["tunnels"][0] > 0 for row in rows],
        "and through the joined pot": [row["tunnels"][1] > 0 for row in rows],
        "and through the true pot": [row["tunnels"][2] > 0 for row in rows],
        "one sees through the model's floor": [row["hole"] for row in rows],
        "and through the joined pot's": [row["open"] for row in rows],
        "and through the true pot's": [row["hole_of_truth"] for row in rows],
        "the true pot is in pieces": [row["of_truth"] > 1 for row in rows],
        "the fragment is in pieces": [row["of_given"] > 1 for row in rows],
    }
    cells = [
        [name, str(sum(which)), f"{100 * np.mean(which):.1f} %"] for name, which in told.items()
    ]
    took = [row["ms"] for row in rows if row["made"] > 1] or [0.0]
    whole = [row["ms"] for row in rows if row["made"] < 2] or [0.0]
    right = sum(row["right"] for row in rows)
    added = sum(row["added"] + row["floor"] + row["plugs"] for row in rows)
    return table([f"of {len(rows)} files", "number", "share"], cells) + (
        f"\n\n{100 * right / max(added, 1):.0f} % of the voxels added are of the true pot."
        f" A pot in pieces takes {np.median(took):.0f} ms (median; {max(took):.0f} at most),"
        f" another {np.median(whole):.0f} ms."
    )


def kinds(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the pieces beside the biggest are: medians, and least and greatest."""
    parts = [(row["name"], part) for row in rows for part in row["others"]]
    heads = ["piece", "files", "pieces", "share of the pot %", "gap, voxels"]
    heads += ["least probable on the way", "right %"]
    lines = []
    for title, low, high, plate in (
        ("plate", 0, 1, True),
        ("below 2 %", 0, bridge.CRUMB, False),
        ("2–10 %", bridge.CRUMB, 0.1, False),
        ("10 % or more", 0.1, 1, False),
    ):
        chosen = [
            (name, part)
            for name, part in parts
            if part["plate"] == plate and low <= part["share"] < high
        ]
        if chosen:
            cells = [
                _spread([scale * part[key] for _, part in chosen], digits)
                for key, scale, digits in (("share", 100, 1), ("gap", 1, 1), ("least", 1, 3))
            ]
            right = np.mean([part["right"] for _, part in chosen])
            files = len({name for name, _ in chosen})
            lines.append([title, str(files), str(len(chosen)), *cells, f"{100 * right:.0f}"])
    return table(heads, lines)


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def scores(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means before joining, and paired differences with intervals over pots."""
    lines = []
    for title, part in (
        ("all", rows),
        ("bridged", [row for row in rows if row["added"]]),
        ("only dropped", [row for row in rows if row["dropped"] and not row["added"]]),
        ("floor closed", [row for row in rows if row["floor"]]),
        ("tunnels filled", [row for row in rows if row["plugs"]]),
    ):
        for name in _SCORES if part else ():
            before = np.array([row["before"][name] for row in part])
            change = np.array([row["after"][name] for row in part]) - before
            low, high = interval(change, [row["pot"] for row in part])
            told = f"{change.mean():+.4f} ({low:+.4f} to {high:+.4f})"
            lines.append([f"{title}, {len(part)}", _TITLES[name], f"{before.mean():.4f}", told])
    return table(["files", "", "before", "difference"], lines)


def interval(values: Float[np.ndarray, "n"], pots: Sequence[str]) -> tuple[float, float]:
    """The 95 % interval of a mean over files whose pots are drawn."""
    _, cluster = np.unique(pots, return_inverse=True)
    sums, sizes = np.bincount(cluster, values)[:, None], np.bincount(cluster).astype(float)
    drawn = summary.bootstrap(sums, sizes, seed=0, resamples=2000)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
