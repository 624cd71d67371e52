#!/usr/bin/env python3
"""Train the network that tells where a sherd's axis was, how big its pot and at what height it lay.

    scripts/cut_sherds.py --data_dir pots.npz --split train --out sherds.npz
    scripts/cut_sherds.py --data_dir pots.npz --split validation --every 12 --out held_out.npz
    scripts/train_locator.py --sherds sherds.npz --held_out held_out.npz --lines 2 --steps 2400 \\
        --out places.safetensors
    scripts/train_locator.py --sherds sherds.npz --held_out held_out.npz --steps 1400 \\
        --start places.safetensors --out locator.safetensors

Of each sherd several lines are shown, one near its axis (and the same upside down, all that there
is with --lines 2), others wrong in many ways; all placements about all of them share one softmax,
and the target is shared out by how near a line is to the axis. Printed is how well sherds of the
held-out pots do.
"""

import argparse
import functools
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from voxgan_jax.cli import commands
from voxgan_jax.devices import accelerator
from voxgan_jax.models import weights
from voxgan_jax.placement import axis_fit, axis_maps, axis_search, locator
from voxgan_jax.placement.axis_maps import Fill, Lines
from voxgan_jax.scan.walls import Wall

_DEGREES, _ASIDE, _SHARE = 2.5, 0.8, 0.06
"""Lines within so much of the axis (voxels, or share of its distance) are nearly as good."""

_WRONG = ((0.7, 0.08, 3.5), (1.0, 0.15, 8.0), (1.0, 0.15, 8.0), (2.0, 0.3, 16.0), (1.0, 0.5, 2.0))
"""Wrong lines: shift in voxels, logarithm of the distance, degrees; standard deviations."""
_FITTED = 3


class Sherd(NamedTuple):
    """A fragment as `cut_sherds.sherd` makes it, in voxels."""

    fill: Fill
    surface: Wall
    unit: float
    axis: Float[np.ndarray, "2 3"]
    bottom: float
    fitted: Float[np.ndarray, "k 2 3"]


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    accelerator.prepare()
    return commands.exit_code("train_locator.py", lambda: _train(args))


def _train(args: argparse.Namespace) -> None:
    known, held_out = read(args.sherds), read(args.held_out)
    print(f"{len(known)} sherds, {len(held_out)} held out", flush=True)
    fixed = [draw(sherd, args.lines, np.random.default_rng(n)) for n, sherd in enumerate(held_out)]
    net = locator.LocatorNet()
    if args.start:
        variables = weights.load(args.start)[0]
        variables = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), variables)
    else:
        shape = (1, axis_maps.HEIGHTS, axis_maps.RINGS, 2)
        variables = net.init(jax.random.key(args.seed), jnp.zeros(shape))
    schedule = optax.cosine_onecycle_schedule(args.steps, args.rate, 0.1)
    optimiser = optax.adamw(schedule, b2=0.99, weight_decay=0.05)
    state = (variables, optimiser.init(variables), jax.tree.map(jnp.copy, variables))
    step = jax.jit(functools.partial(_step, net, optimiser), donate_argnums=0)
    rng = np.random.default_rng(args.seed)
    for number in range(args.steps):
        chosen = [known[n] for n in rng.integers(len(known), size=args.batch_size)]
        maps, targets, _ = zip(*(draw(one, args.lines, rng) for one in chosen), strict=True)
        state, loss = step(state, np.stack(maps), np.stack(targets))
        if (number + 1) % args.log_every == 0 or number + 1 == args.steps:
            print(f"{number + 1}: loss {float(loss):.3f}; {_score(net, state[2], fixed)}")
            sys.stdout.flush()
            size = {"features": net.features, "bottleneck": net.bottleneck}
            config = ConfigDict({"locator": size, "steps": number + 1})
            weights.save(args.out, jax.device_get(state[2]), config, half=True)


def read(path: pathlib.Path) -> list[Sherd]:
    """The sherds of a file that `cut_sherds.py` wrote.

    Raises:
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; scripts/cut_sherds.py makes one")
    with np.load(path) as packed:
        arrays = {name: packed[name] for name in packed.files}
    made = []
    for row in range(len(arrays["points"])):
        one = {name: values[row] for name, values in arrays.items()}
        thickness = float(one["thickness"]) or None
        made.append(
            Sherd(
                Fill(one["points"], float(one["volume"])),
                Wall(one["wall"], one["normals"], one["anchors"], thickness),
                (thickness or float(one["usual"])) / locator.USUAL_WALL,
                one["axis"],
                float(one["bottom"]),
                one["fitted"],
            )
        )
    return made


def draw(
    sherd: Sherd, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "k h r 2"], Float[np.ndarray, "k s p"], Float[np.ndarray, "k"]]:
    """Maps of a sherd about so many lines at a unit a little wrong, the shares of the placements
    about each, and by how many degrees each line misses the axis."""
    lines = lines_of(sherd, count, rng)
    unit = sherd.unit * float(np.exp(rng.normal(0, rng.choice([0.05, 0.3], p=[0.8, 0.2]))))
    share, degrees = nearness(sherd, lines)
    height = (sherd.fill.points - sherd.axis[0]) @ sherd.axis[1]
    place = (height.max() + height.min()) / 2 - sherd.bottom
    target = np.outer(_spread(-np.log(unit), locator.SCALES), _spread(place, locator.PLACES))
    maps = axis_maps.maps(sherd.fill, sherd.surface, lines, unit)
    return maps, (share[:, None, None] * target).astype(np.float32), degrees


def lines_of(sherd: Sherd, count: int, rng: np.random.Generator) -> Lines:
    """The axis, nearly; the same upside down; and wrong lines, if more are asked for."""
    middle = sherd.fill.points.mean(0)
    point, up = sherd.axis

    def near(aside: float, share: float, degrees: float) -> Lines:
        return axis_search.varied(rng, point, up, middle, degrees, aside, share, 1)

    first = near(0.4, 0.02, 1.3)
    several = [first, Lines(first.points, -first.directions)]
    if count > 2:
        several += [near(*wrong) for wrong in _WRONG]
        fitted = sherd.fitted[rng.permutation(len(sherd.fitted))[:_FITTED]]
        shifted = fitted[:, 0] + rng.normal(0, 0.2, (len(fitted), 3))
        several.append(Lines(shifted, fitted[:, 1]))
        several.append(
            _anywhere(sherd, middle, count - sum(len(one.points) for one in several), rng)
        )
    points, directions = (np.concatenate(part)[:count] for part in zip(*several, strict=True))
    # Those near the axis keep the rim's end up.
    flip = (np.abs(directions @ up) < 0.8) & (rng.random(len(directions)) < 0.5)
    return Lines(points, np.where(flip[:, None], -directions, directions))


def _anywhere(
    sherd: Sherd, middle: Float[np.ndarray, "3"], count: int, rng: np.random.Generator
) -> Lines:
    """In random directions the lines that the normals meet best, shifted a little."""
    directions = rng.normal(size=(max(count, 0), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    some = rng.permutation(len(sherd.surface.points))[:120]
    anchors, normals = (part[some] for part in (sherd.surface.anchors, sherd.surface.normals))
    points = axis_fit.nearest_lines(directions, anchors, normals)[1]
    moved = [
        axis_search.varied(rng, point, direction, middle, 0.0, 0.5, 0.25, 1).points
        for point, direction in zip(points, directions, strict=True)
    ]
    return Lines(np.concatenate([*moved, np.empty((0, 3))]), directions)


def nearness(sherd: Sherd, lines: Lines) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """How good each line is as the axis, in shares of 1, and by how many degrees it misses it."""
    middle, (point, up) = sherd.fill.points.mean(0), sherd.axis
    level = point + ((middle - point) @ up) * up
    degrees = np.degrees(np.arccos(np.clip(lines.directions @ up, -1, 1)))
    offset = level - lines.points
    offset = offset - (offset * lines.directions).sum(1, keepdims=True) * lines.directions
    allowed = max(_ASIDE, _SHARE * float(np.linalg.norm(level - middle)))
    far = (degrees / _DEGREES) ** 2 + (np.linalg.norm(offset, axis=1) / allowed) ** 2
    share = np.exp(-0.5 * (far - far.min()))
    return share / share.sum(), degrees


def _spread(value: float, bins: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    width = bins[1] - bins[0]
    near = np.exp(-0.5 * ((bins - np.clip(value, bins[0], bins[-1])) / (0.6 * width)) ** 2)
    return near / near.sum()


def _step(net: Any, optimiser: Any, state: Any, maps: Array, targets: Array) -> Any:
    variables, moments, mean = state

    def loss_of(variables: Any) -> Array:
        scores = net.apply(variables, maps.reshape(-1, *maps.shape[2:])).reshape(len(maps), -1)
        return -(targets.reshape(len(maps), -1) * jax.nn.log_softmax(scores)).sum(1).mean()

    loss, slope = jax.value_and_grad(loss_of)(variables)
    updates, moments = optimiser.update(slope, moments, variables)
    variables = optax.apply_updates(variables, updates)
    mean = jax.tree.map(lambda old, new: 0.995 * old + 0.005 * new, mean, variables)
    return (variables, moments, mean), loss


def _score(net: Any, variables: Any, fixed: list[Any]) -> str:
    """The loss, and how often the likeliest line is within 5° of the axis, and the right way up."""
    apply = jax.jit(net.apply)
    losses, missed = [], []
    for maps, targets, degrees in fixed:
        scores = np.asarray(apply(variables, maps))
        logs = np.asarray(jax.nn.log_softmax(scores.ravel())).reshape(scores.shape)
        losses.append(-(targets * logs).sum())
        missed.append(degrees[np.exp(logs).sum((1, 2)).argmax()])
    off = np.minimum(missed, 180 - np.array(missed))
    return (
        f"held out {np.mean(losses):.3f}, axis within 5° {(off < 5).mean():.2f}, right end up"
        f" {(np.array(missed) < 90).mean():.2f}"
    )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sherds", type=pathlib.Path, required=True)
    parser.add_argument("--held_out", type=pathlib.Path, required=True)
    parser.add_argument("--start", type=pathlib.Path, help="weights to go on from")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--lines", type=int, default=12, help="of each sherd; 2, or 12 and more")
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--batch_size", type=int, default=16, help="sherds")
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--log_every", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
