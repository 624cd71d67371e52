"""What an ablation leaves: results.json, the Markdown table, and the paper's two figures."""

import importlib.metadata
import json
import pathlib
import platform
from typing import Any

import numpy as np

from scripts.lib import completions_figure, scores
from scripts.lib.ablation import curves_figure, noise, results, variants
from voxgan_jax.data import source
from voxgan_jax.evaluation import protocol
from voxgan_jax.files import write_whole
from voxgan_jax.inference import completer

FIGURE_1, FIGURE_2 = "figure1.png", "figure2.png"
FIGURE_CRITICS, FIGURE_NOISE = "critics.png", "critics_noise.png"
PANELS = {
    "d_real_prob": "discriminator's probability of real pots",
    "adversarial_loss": "generator's GAN loss",
}
CURVES_OF = ("baseline", "spectral_norm")
CRITICS_PANELS = {"wasserstein": "critic's estimate of the distance", "recon_loss": "L1"}
CRITICS, NOISE_CRITICS = ("wgan", "wgan_gp"), ("wgan_noise", "wgan_gp_noise")
COMPLETIONS_OF = ("baseline", "resnet_sn")
_POTS_SHOWN = 5
_PACKAGES = ("voxgan_jax", "jax", "jaxlib", "flax", "optax", "numpy")

Folders = dict[str, dict[int, pathlib.Path]]
"""For each model the folders of its runs, by seed."""


def collect(
    folders: Folders, failed: set[pathlib.Path], *, data_dir: pathlib.Path, split: str
) -> dict[str, Any]:
    """The numbers of all runs: `models` as `variants.compare` has them, `from_noise` as
    `noise.read` does, `runs`, `data`, machine.

    Args:
        folders: of all runs; each that is not in `failed` holds an evaluation in `split`.
        split: the one that was scored.

    Raises:
        OSError, ValueError: an evaluation is not there, damaged, or of other files.
    """
    records = {
        model: {
            seed: scores.read(path / split, model).records
            for seed, path in of_seeds.items()
            if path not in failed
        }
        for model, of_seeds in folders.items()
        if model not in noise.CONFIGS
    }
    from_noise = [path for model in noise.CONFIGS for path in _finished(folders, failed, model)]
    runs = {
        path.name: _run(path, path in failed) for of in folders.values() for path in of.values()
    }
    return {
        "models": variants.compare(records),
        "intervals": "95 %, percentile bootstrap over pots; seeds are averaged file by file first",
        "from_noise": noise.read(from_noise, split),
        "runs": runs,
        "data": _data(folders, failed, data_dir, split),
        "hardware": results.hardware(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _run(folder: pathlib.Path, failed: bool) -> dict[str, Any]:
    """How long a run took; `steps_per_sec` is the median over its log."""
    seconds = results.seconds(folder)
    if failed:
        return {"failed": True, "seconds": seconds}
    speed = curves_figure.read_scalars(folder, ["steps_per_sec"])["steps_per_sec"].values
    return {"failed": False, "seconds": seconds, "steps_per_sec": float(np.median(speed))}


def _data(
    folders: Folders, failed: set[pathlib.Path], data_dir: pathlib.Path, split: str
) -> dict[str, Any]:
    """Which data it was and how many files of how many pots each part has."""
    done = [path for of in folders.values() for path in of.values() if path not in failed]
    data: dict[str, Any] = {"dir": str(data_dir)}
    if done:
        config = json.loads((done[0] / "config.json").read_text())["data"]
        place = {name: config[name] for name in ("resolution", "pool", "placement")}
        for name in dict.fromkeys([config["train_split"], split]):
            keys = [
                (item.category, item.pot)
                for item in source.open_split(data_dir, name, **place).pots
            ]
            data[name] = {"files": len(keys), "pots": len(set(keys))}
        data |= place
    return data


def write(
    numbers: dict[str, Any], folders: Folders, failed: set[pathlib.Path], out: pathlib.Path
) -> None:
    """Write the table, then the figures of the models there are, and `results.json` last of all.

    `numbers` is what `collect` gives, with `command`, `options` and `split` added.
    """
    write_whole(out / results.TABLE, markdown(numbers, folders, failed))
    for name, models, panels in (
        (FIGURE_1, CURVES_OF, PANELS),
        (FIGURE_CRITICS, CRITICS, CRITICS_PANELS),
        (FIGURE_NOISE, NOISE_CRITICS, {"wasserstein": CRITICS_PANELS["wasserstein"]}),
    ):
        curves = {
            model: [
                curves_figure.read_scalars(path, list(panels))
                for path in _finished(folders, failed, model)
            ]
            for model in models
        }
        if any(curves.values()):
            curves_figure.draw(curves, panels, out / name)
    _draw_completions(numbers, folders, failed, out / FIGURE_2)
    results.write(numbers, out)


def _finished(folders: Folders, failed: set[pathlib.Path], model: str) -> list[pathlib.Path]:
    return [path for path in folders.get(model, {}).values() if path not in failed]


def _draw_completions(
    numbers: dict[str, Any], folders: Folders, failed: set[pathlib.Path], path: pathlib.Path
) -> None:
    shown = {m: runs[0] for m in COMPLETIONS_OF if (runs := _finished(folders, failed, m))}
    if not shown:
        return
    split = numbers["split"]
    completers = {name: completer.load(workdir=folder) for name, folder in shown.items()}
    answers = {name: (each.predict, each.threshold) for name, each in completers.items()}
    model, folder = next(iter(shown.items()))
    records = scores.read(folder / split, model).records
    names = completions_figure.choose_files(records, _POTS_SHOWN)
    data = numbers["data"]
    place = {name: data[name] for name in ("resolution", "pool", "placement")}
    pots = source.open_split(data["dir"], split, **place).pots
    wanted = (item for item in pots if item.name in names)
    samples = completions_figure.keep_named(protocol.samples(wanted), names)
    completions_figure.draw(answers, samples, path)


def markdown(numbers: dict[str, Any], folders: Folders, failed: set[pathlib.Path]) -> str:
    """The contents of `table.md`."""
    failed_seeds = {
        model: [seed for seed, path in of_seeds.items() if path in failed]
        for model, of_seeds in folders.items()
    }
    return f"""\
# Table 1, ours beside the paper's

{variants.table(numbers["models"], failed_seeds)}

{noise.table(numbers["from_noise"])}
{_notes(numbers)}
"""


def _notes(numbers: dict[str, Any]) -> str:
    data, machine = numbers["data"], numbers["hardware"]
    parts = [
        f"{split}: {count['files']} files of {count['pots']} pots"
        for split, count in data.items()
        if isinstance(count, dict)
    ]
    where = f" at {data['resolution']}³, pool {data['pool']}, {data['placement']}" if parts else ""
    devices = ", ".join(machine["devices"])
    kind = "Synthetic pots" if numbers["options"]["quick"] else "Data"
    return (
        f"In brackets: 95 % intervals over pots; seeds are averaged file by file first. Differences"
        f" are paired by file. Scored on {numbers['split']}, one fixed fragment a file, with the"
        " last weights of each run.\n\n"
        f"{kind}{where}: {'; '.join(parts) or '-'}. On {machine['platform']} ({devices}),"
        f" {machine['cores']} cores, jax {numbers['versions']['jax']}.\n\n"
        f"    {numbers['command']}"
    )
