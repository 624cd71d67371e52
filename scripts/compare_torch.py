#!/usr/bin/env python3
# pyright: reportMissingImports=false
"""Compare this package with its PyTorch twin: same weights, same batches, every number in between.

    scripts/compare_torch.py --out compare.md                       all four models at 32³
    scripts/compare_torch.py --resolution 64 --features 8 --batch_size 2
    scripts/compare_torch.py --variant baseline --train 100 --features 8 --out train.md

Exits 1 where a relative L2 difference is over tolerance. All is judged in float64, and forward
passes also in float32, there on dense random labels only. The rest of float32 is reported: its
gradients jump where a rectifier's input rounds to the other side of 0 (PyTorch's own by 3e-3 when
its weights move by one rounding), and in a pot's empty space batch norm divides by next to nothing.
The last column has what PyTorch itself loses by rounding. Needs `pip install -e '.[torch]'`.
"""

import argparse
import contextlib
import functools
import importlib
import os
import pathlib
import platform
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

try:
    import torch
except ModuleNotFoundError:
    sys.exit("compare_torch.py: PyTorch is not installed: pip install -e '.[torch]'")

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

from scripts.lib import command, summary
from scripts.lib.torch_parity import differences, traces, twin_traces
from voxgan_jax.cli import commands
from voxgan_jax.data import fragments, grid
from voxgan_jax.data.synthetic import pots as synthetic
from voxgan_jax.evaluation import protocol
from voxgan_jax.pottery import fracture

BASELINE_FEATURES = 32
VARIANTS = ("baseline", "wide_generator", "spectral_norm", "resnet_sn")


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a difference is over tolerance."""
    args = _parse(argv)
    if args.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    else:
        # Both frameworks share the GPU, and channels last is not for float64 there.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if args.dtype == "float32":
        # Neither framework may round to TF32 on the way.
        jax.config.update("jax_default_matmul_precision", "highest")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    lines = ["# JAX against PyTorch", "", _circumstances(args)]
    failed = []
    for variant in VARIANTS if args.variant == "all" else (args.variant,):
        config = make_config(variant, args.resolution, args.features, args.dtype)
        start = traces.make_start(config, args.seed)
        if args.train:
            figure = args.out.with_name(f"{args.out.stem}_{variant}.png")
            section = train_both(start, args, figure)
        else:
            section, over = measure(start, args)
            failed += [f"{variant}, {what}" for what in over]
        lines += ["", f"## {variant}", "", *section]
        print("\n".join(lines), flush=True)
        if args.out:
            summary.write_whole(args.out, "\n".join(lines) + "\n")
    if failed:
        print("Over tolerance:", *failed, sep="\n  ", file=sys.stderr)
    return int(bool(failed))


def make_config(variant: str, resolution: int, features: int | None, dtype: str) -> Any:
    """The config of that name; `features`, where given, are those of the baseline's networks."""
    config = importlib.import_module(f"configs.{variant}").get_config()
    config.data.resolution = resolution
    for net in traces.NETS:
        config[net].dtype = dtype
        if features:
            config[net].features = config[net].features * features // BASELINE_FEATURES
    return config


def noise_batch(rng: np.random.Generator, size: int, resolution: int) -> traces.Batch:
    """Every voxel one of empty, empty, two fragments; one fragment is given."""
    labels = rng.choice(np.asarray([0, 0, 2, 3], np.uint8), (size, *(resolution,) * 3))
    return {"labels": labels, "given": np.stack([fragments.given_table([2])] * size)}


def pot_batch(rng: np.random.Generator, size: int, resolution: int) -> traces.Batch:
    """Synthetic pots broken in 3 to 8, one fragment of each given."""
    labels, given = [], []
    for _ in range(size):
        pot = synthetic.make_pot(rng, resolution=resolution)
        broken = fracture.fracture(rng, pot, int(rng.integers(3, 9)))
        labels.append(grid.place(broken, resolution))
        given.append(fragments.given_table([int(rng.choice(fragments.fragment_ids(broken)))]))
    return {"labels": np.stack(labels), "given": np.stack(given)}


def measure(start: traces.Start, args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The section of one model, and what of it is over tolerance."""
    lines, over = [], []
    for dtype in ("float64", "float32") if args.dtype == "float32" else (args.dtype,):
        fine = dtype == "float64"
        with traces.float64() if fine else contextlib.nullcontext():
            run_jax = traces.jax_runner(start.refined() if fine else start)
            for kind, make_batch in BATCHES.items():
                rng = np.random.default_rng(args.seed)
                size = args.batch_size, args.resolution
                batches = [make_batch(rng, *size) for _ in range(max(traces.SGD_STEPS))]
                run_torch = functools.partial(
                    twin_traces.run_torch, start, batches, device=args.device
                )
                theirs = run_torch(dtype=getattr(torch, dtype))
                exact = None if fine else run_torch(dtype=torch.float64)
                rows = differences.compare(run_jax(batches), theirs, exact)
                judged = fine or make_batch is noise_batch
                tolerances = differences.TOLERANCES[dtype] if judged else {}
                over += [
                    f"{dtype}, {kind}, {row.section}, {row.name}: {row.relative:.1e}"
                    for row in differences.over_tolerance(rows, tolerances)
                ]
                lines += [f"**{dtype}, {kind}**", "", *differences.summary(rows, tolerances), ""]
                lines += ["<details><summary>every tensor</summary>", ""]
                lines += [*differences.table(rows), "", "</details>", ""]
    return lines[:-1], over


BATCHES = {"dense random labels": noise_batch, "synthetic pots": pot_batch}


def train_both(start: traces.Start, args: argparse.Namespace, figure: pathlib.Path) -> list[str]:
    """Train both from the same weights on the same batches, draw the curves, score on new pots."""
    config, steps = start.config, args.train
    rng = np.random.default_rng(args.seed)
    pots = pot_batch(rng, 8 * args.batch_size, args.resolution)
    held_out = pot_batch(rng, 4 * args.batch_size, args.resolution)
    batches = [
        {name: array[rows] for name, array in pots.items()}
        for rows in rng.integers(0, len(pots["labels"]), (steps, args.batch_size))
    ]
    with jax.numpy_dtype_promotion("standard"):
        step, state = traces.jax_stepper(start, *map(optax.adam, traces.adam_rates(config)))
        ours = []
        for batch in batches:
            state, scalars = step(state, batch)
            ours.append({name: float(scalar) for name, scalar in scalars.items()})
    modules = start.twins(args.device)
    optimizers = [
        torch.optim.Adam(module.parameters(), rate)
        for module, rate in zip(modules.values(), traces.adam_rates(config), strict=True)
    ]
    take_step = functools.partial(
        twin_traces.torch_step, start, modules, optimizers, device=args.device
    )
    theirs = []
    for index, batch in enumerate(batches):
        scalars = take_step(batch, index)
        theirs.append({name: float(scalar) for name, scalar in scalars.items()})
    _draw({"JAX": ours, "PyTorch": theirs}, figure)

    partial, complete = traces.volumes(held_out)
    predict = functools.partial(start.modules["generator"].apply, train=False)
    with torch.no_grad():
        module = modules["generator"].eval()
        inputs = torch.tensor(traces.channels_first(partial), device=args.device)
        completed = module(inputs).cpu().numpy().transpose(0, 2, 3, 4, 1)
    answers = (jax.jit(predict)(state.nets["generator"].variables(), partial), completed)
    scores = [protocol.scores(partial, answer, complete, 0.5) for answer in answers]
    lines = [f"{steps} steps from the same weights on the same batches, Adam: {figure.name}", ""]
    lines += ["| | JAX | PyTorch | difference |", "|---|---|---|---|"]
    final = [(name, ours[-1][name], theirs[-1][name]) for name in theirs[-1]]
    final += [
        (f"{name}, new pots", *(float(s[name].mean()) for s in scores))
        for s0 in scores[:1]
        for name in s0
    ]
    lines += [f"| {name} | {a:.5f} | {b:.5f} | {a - b:+.5f} |" for name, a, b in final]
    return lines


def _draw(curves: dict[str, list[dict[str, float]]], path: pathlib.Path) -> None:
    panels = {
        "recon_loss": "L1 loss",
        "adversarial_loss": "generator's adversarial loss",
        "d_loss": "discriminator's loss",
        "d_real_prob": "discriminator's probability of real pots",
    }
    figure = Figure(figsize=(9, 6), layout="constrained")
    for ax, (name, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for (label, scalars), style in zip(curves.items(), ("-", "--"), strict=True):
            ax.plot(range(1, len(scalars) + 1), [row[name] for row in scalars], style, label=label)
        ax.set(title=title, xlabel="step")
    figure.axes[0].legend()
    figure.savefig(path, dpi=120)


def _circumstances(args: argparse.Namespace) -> str:
    device = torch.cuda.get_device_name() if args.device == "cuda" else platform.machine()
    return (
        f"`scripts/compare_torch.py {' '.join(sys.argv[1:])}`: {args.resolution}³, batches of"
        f" {args.batch_size}, on {args.device} ({device}); jax {jax.__version__},"
        f" torch {torch.__version__}. Differences are relative to PyTorch's values in L2 norm;"
        " rounding is PyTorch's own, to float64."
    )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--variant", choices=(*VARIANTS, "all"), default="all")
    parser.add_argument("--resolution", type=int, choices=(32, 64), default=32)
    parser.add_argument(
        "--features", type=int, help="of the baseline, others in proportion (default: 32)"
    )
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--train", type=int, default=0, metavar="N", help="train both for N steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, help="a Markdown file; figures go beside it")
    args = parser.parse_args(argv)
    if args.train and not args.out:
        parser.error("--train needs --out: the figures go beside it")
    return args


if __name__ == "__main__":
    leave(commands.exit_code("compare_torch.py", main))
