"""Putting a run's weights into the package: as float16, with a card that says what they are."""

import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from voxgan_jax.files import whole, write_whole
from voxgan_jax.inference import model_card
from voxgan_jax.models import weights

MAX_BYTES = 20_000_000
"""All weights files of the package together."""

LIMITS = (
    "One sherd, or several in their places in the pot; how big the pot was and where its box lay "
    "the model is told: by the file, by you, or by an estimate from the sherd's shape, which may "
    "be wrong.",
    "Trained on wheel-made Iberian pots, and on drawn ones of many shapes: others may come out "
    "like these.",
    "Handles, spouts and whatever else is not turned are not restored unless the sherd shows them.",
    "The answer is a plausible pot, not a find: what is inferred must be marked as such.",
)
"""What no score says; they hold for any model that is trained on these pots in this way."""

TRAINING_DATA = {
    "name": "vox_pottery (IberianVoxel)",
    "source": "Navarro, Cintas, Lucena and others, IJCAI 2023",
    "doi": "10.24963/ijcai.2023/647",
    "licence": "The data carries no licence; no pot of it is part of this package.",
}


def package(
    source: str | pathlib.Path,
    target: str | pathlib.Path,
    *,
    training_data: Mapping[str, Any],
    commit: str,
    summaries: Sequence[Mapping[str, Any]] = (),
    confidence: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a run's weights as float16 to `target` and a card beside them; returns the card.

    Weights packaged again keep the confidence that was calibrated for them.

    Args:
        source: the weights file of a run.
        training_data: what it was trained on: `TRAINING_DATA` and the numbers of pots and files.
        commit: the state of the code that trained it.
        summaries: contents of `metrics.json`, as scripts/evaluate.py writes them.
        confidence: what another card holds; for weights that were trained on the pots on which it
            would have to be calibrated. It says whose it is.

    Raises:
        WeightsError: not a weights file, numbers too big for float16, or more than `MAX_BYTES`.
    """
    variables, config = weights.load(source)
    config = type(config)(_without_paths(config.to_dict()))
    config.data.dir = "data/prepared"
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    before = model_card.read_card(target)
    with whole(target) as unfinished:
        weights.save(unfinished, variables, config, half=True)
        size = unfinished.stat().st_size
        if size > MAX_BYTES:
            raise weights.WeightsError(
                f"{source}: {size / 1e6:.1f} MB as float16, above the {MAX_BYTES / 1e6:.0f} MB that"
                " the package may hold; train fewer features"
            )
    card = {
        "weights": {**describe(target), "storage": "float16"},
        "training_data": dict(training_data),
        "commit": commit,
        "metrics": [_metrics(summary) for summary in summaries],
        "limits": list(LIMITS),
        "config": config.to_dict(),
    }
    if confidence is not None:
        card["confidence"] = dict(confidence)
    elif before.get("weights") == card["weights"] and "confidence" in before:
        card["confidence"] = before["confidence"]
    write_card(target, card)
    return card


def write_card(weights_file: str | pathlib.Path, card: Mapping[str, Any]) -> pathlib.Path:
    """Write the card beside its weights file, whole or not at all; returns its path."""
    target = model_card.card_path(weights_file)
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(target, text + "\n")
    return target


def _metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The overall scores of an evaluation and the command that gives them, without local paths."""
    kept = ("split", "placement", "threshold", "files", "pots")
    script, more = "evaluate.py", ""
    if "draws" in summary:
        script = "evaluate_hypotheses.py"
        more = f" --every {summary['every']} --draws {summary['draws']} --weights FILE"
    command = f"scripts/{script} --data_dir DIR --split {summary['split']} --out OUT{more}"
    return {"command": command} | {
        name: value
        for name, value in summary.items()
        if name in kept or (isinstance(value, dict) and "mean" in value)
    }


def _without_paths(value: Any) -> Any:
    """A config whose strings name no folder of the machine that trained it."""
    if isinstance(value, dict):
        return {name: _without_paths(inner) for name, inner in value.items()}
    if isinstance(value, str) and pathlib.PurePath(value).is_absolute():
        return pathlib.PurePath(value).name
    return value


def describe(weights_file: str | pathlib.Path) -> dict[str, Any]:
    """What can be read off a weights file: its size, its sha256, its number of parameters."""
    data = pathlib.Path(weights_file).read_bytes()
    variables, _ = weights.load(weights_file)
    return {
        "file": pathlib.Path(weights_file).name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "parameters": sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"])),
    }
