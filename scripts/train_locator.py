#!/usr/bin/env python3
"""Train the network that tells how big a sherd's pot was and where in it the sherd lay.

    scripts/train_locator.py --data_dir pots.npz --out voxgan_jax/weights/locator.safetensors

Fragments of the training pots, each turned, tilted, shifted and scaled at random, as a fitted axis
and an unknown scale would have them; printed is how well those of the validation pots are placed.
About ten minutes on two CPU cores.
"""

import argparse
import functools
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from voxgan_jax import accelerator, commands
from voxgan_jax.completion import locator
from voxgan_jax.data import folder, fragments, source
from voxgan_jax.models import rings, weights

_LEAST_SHARE = 0.015
_PER_FILE = 3
_BORDER = 0.05


class Sherd(NamedTuple):
    """Voxels of one fragment (x, y about the axis, z up from the cube's bottom) in half voxels."""

    voxels: np.ndarray
    weight: float = 1.0


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    accelerator.prepare()
    return commands.exit_code("train_locator.py", lambda: _train(args))


def _train(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    data = source.open_split(
        args.data_dir, "train", rows=slice(0, None, args.every), resolution=locator.CUBE
    )
    known = list(sherds(data.pots, rng))
    data = source.open_split(
        args.data_dir, "validation", rows=slice(0, None, 2), resolution=locator.CUBE
    )
    held_out = [
        draw([sherd], np.random.default_rng(n))
        for n, sherd in enumerate(sherds(data.pots, np.random.default_rng(0), per_file=1))
    ]
    print(f"{len(known)} fragments, {len(held_out)} of validation pots", flush=True)
    net = locator.LocatorNet()
    variables = net.init(jax.random.key(args.seed), jnp.zeros((1, locator.HEIGHTS, locator.RINGS)))
    schedule = optax.cosine_onecycle_schedule(args.steps, args.rate, 0.2)
    optimiser = optax.adamw(schedule, b2=0.99, weight_decay=0.05)
    state = (variables, optimiser.init(variables), jax.tree.map(jnp.copy, variables))
    step = jax.jit(functools.partial(_step, net, optimiser), donate_argnums=0)
    for number in range(args.steps):
        chosen = [known[n] for n in rng.integers(len(known), size=args.batch_size)]
        state, loss = step(state, *draw(chosen, rng))
        if (number + 1) % args.log_every == 0 or number + 1 == args.steps:
            print(
                f"{number + 1}: loss {float(loss):.3f}; {_held_out(net, state[2], held_out)}",
                flush=True,
            )
            config = ConfigDict(
                {
                    "locator": {"features": net.features, "bottleneck": net.bottleneck},
                    "steps": number + 1,
                }
            )
            weights.save(args.out, jax.device_get(state[2]), config, half=True)


def sherds(
    pots: Iterable[folder.PotFile], rng: np.random.Generator, per_file: int = _PER_FILE
) -> Iterator[Sherd]:
    """Some fragments of each file, none of them tiny."""
    axes: dict[tuple[str, str], np.ndarray] = {}
    for pot in pots:
        name = (pot.category, pot.pot)
        if name not in axes:
            clay = jnp.asarray(pot.labels > 0, jnp.float32)[None, ..., None]
            axes[name] = np.asarray(_round_axis(clay))[0]
        axis = axes[name]
        counts = fragments.voxel_counts(pot.labels)
        ids = [
            n
            for n in fragments.fragment_ids(pot.labels)
            if counts[n] >= _LEAST_SHARE * counts[1:].sum()
        ]
        for chosen in rng.permutation(ids)[:per_file]:
            d, h, w = np.nonzero(pot.labels == chosen)
            # Not mirrored: to and fro is one to rings.
            place = np.stack([d - axis[0], h - axis[1], locator.CUBE - 0.5 - w], 1)
            yield Sherd(np.rint(place * 4).astype(np.int16))


_round_axis = jax.jit(rings.round_axis)


def draw(
    chosen: list[Sherd], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "b h r"], Float[np.ndarray, "b 2 s p"]]:
    """Maps of sherds, each with an axis a little wrong, at a random scale and either end up, and
    the shares of the placements, which share out the true one among its neighbours."""
    maps, targets = [], []
    for sherd in chosen:
        points = np.repeat(sherd.voxels / 4.0, 2, axis=0)
        points += rng.uniform(-0.5, 0.5, points.shape)
        middle = points.mean(0)
        place = (points[:, 2].max() + points[:, 2].min()) / 2
        # A tilt about the sherd and a shift of the axis; mostly small.
        wrong = rng.choice([0.3, 1.0, 2.0], p=[0.5, 0.35, 0.15])
        a, b = rng.normal(0, np.radians(2.5) * wrong, 2)
        offset = points - middle
        offset = (
            offset + np.outer(offset[:, 2], [a, b, 0]) - np.outer(offset @ [a, b, 0], [0, 0, 1])
        )
        points = middle + offset
        radius = np.hypot(*(points[:, :2] + rng.normal(0, 0.6 * wrong, 2)).T)
        log_side = rng.uniform(locator.SCALES[0], locator.SCALES[-1])
        side = np.exp(log_side)
        flipped = int(rng.random() < 0.5)
        height = -points[:, 2] if flipped else points[:, 2]
        maps.append(locator.profile_map(radius * side, height * side, side**3 / 2))
        target = np.zeros((2, len(locator.SCALES), len(locator.PLACES)), np.float32)
        target[flipped] = np.outer(
            _spread(log_side, locator.SCALES), _spread(place, locator.PLACES)
        )
        targets.append(target)
    return np.stack(maps), np.stack(targets)


def _spread(value: float, bins: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    width = bins[1] - bins[0]
    near = np.exp(-0.5 * ((bins - value) / (0.6 * width)) ** 2)
    return near / near.sum()


def _step(net: Any, optimiser: Any, state: Any, maps: Array, targets: Array) -> Any:
    variables, moments, mean = state

    def loss_of(variables: Any) -> Array:
        logs = locator.both_ways(net, variables, maps)
        return -(targets * logs).sum(axis=(1, 2, 3)).mean()

    loss, slope = jax.value_and_grad(loss_of)(variables)
    updates, moments = optimiser.update(slope, moments, variables)
    variables = optax.apply_updates(variables, updates)
    mean = jax.tree.map(lambda old, new: 0.995 * old + 0.005 * new, mean, variables)
    return (variables, moments, mean), loss


def _held_out(net: Any, variables: Any, held_out: list[Any]) -> str:
    maps, targets = (np.concatenate(part) for part in zip(*held_out, strict=True))
    predict = jax.jit(functools.partial(locator.both_ways, net))
    logs = np.concatenate(
        [np.asarray(predict(variables, maps[n : n + 64])) for n in range(0, len(maps), 64)]
    )
    loss = -(targets * logs).sum(axis=(1, 2, 3)).mean()
    found, true = np.exp(logs), targets
    up = (found.sum((2, 3)).argmax(1) == true.sum((2, 3)).argmax(1)).mean()
    scale = np.abs(found.sum((1, 3)) @ locator.SCALES - true.sum((1, 3)) @ locator.SCALES)
    best = [np.unravel_index(one.argmax(), one.shape) for one in found]
    place = np.array([one[2] for one in best]) - true.sum((1, 2)).argmax(1)
    return (
        f"validation {loss:.3f}, up {up:.3f}, scale {100 * np.median(scale):.1f} % (median),"
        f" {(scale < 0.1).mean():.2f} within 10 %, place {2 * np.median(np.abs(place)):.1f} voxels,"
        f" {(np.abs(place) <= 2).mean():.2f} within 4"
    )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take each so many-th file")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--log_every", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
