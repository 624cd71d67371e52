"""Several loose sherds of one pot, placed together: cases, and what is measured of them."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from scripts.lib import placements, scans
from scripts.lib.placement_cases import Case
from voxgan_jax.data import folder, fragments
from voxgan_jax.geometry import surface, wheel
from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import locator, one_pot, place, propose
from voxgan_jax.placement.candidate import Known
from voxgan_jax.placement.propose import Guess
from voxgan_jax.placement.view import Sight
from voxgan_jax.scan import formats

SHERDS = 3
"""Of each pot; the last is left out where two are placed."""
_RIGHT = 0.05
"""A sherd is right within this share of its diameter, and of the pot's height."""


def cases(
    pots: Iterator[folder.PotFile],
    rng: np.random.Generator,
    least: float,
    most: float,
    chosen: slice,
) -> Iterator[list[Case]]:
    """Scans of fragments of one file of each pot, each in a pose of its own, all of one scale.

    Args:
        least, most: shares of the pot's voxels between which a fragment has; a file has five.
        chosen: which of these files, in the order in which they are drawn.
    """
    drawn: dict[str, tuple[folder.PotFile, list[int]]] = {}
    seen: dict[str, int] = {}
    for pot in pots:
        counts = fragments.voxel_counts(pot.labels)
        shares = counts / counts[1:].sum()
        ids = [n for n in range(1, len(counts)) if least <= shares[n] <= most]
        if len(ids) >= 5:
            seen[pot.pot] = seen.get(pot.pot, 0) + 1
            if rng.random() * seen[pot.pot] < 1:
                drawn[pot.pot] = (pot, ids)
    order = rng.permutation(len(drawn))
    # What becomes of one does not hang on how many there are.
    for number, own in list(zip(order, rng.spawn(len(order)), strict=True))[chosen]:
        pot, ids = list(drawn.values())[number]
        yield _scattered(pot, own.permutation(ids)[:SHERDS].tolist(), own)


def _scattered(pot: folder.PotFile, ids: Sequence[int], rng: np.random.Generator) -> list[Case]:
    step, clay, made = float(rng.uniform(1.5, 8)), pot.labels > 0, []
    axis = np.array(wheel.find_axis(clay))
    for number in ids:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.random(rng=rng).as_matrix()
        turn[:3, 3] = rng.uniform(-100, 100, 3)
        matrix = turn @ surface.frame(clay.shape, step, up="z")
        mesh = scans.scan(pot.labels, int(number), matrix, scans.draw_faults(rng), rng)
        given = pot.labels == number
        share = float(given.sum() / clay.sum())
        made.append(Case(pot.name, "scan", share, mesh, matrix, clay, given, axis))
    return made


def score(model: Completer, found: Iterator[list[Case]]) -> Iterator[dict[str, Any]]:
    """What is measured of two and of all sherds of each pot, and of all with one of the pot before:
    a row for each. A pot of which a sherd cannot be placed at all is named on stderr.
    """
    known, before = Known(), None
    for several in found:
        try:
            guesses = [propose.guess(Sight(case.scan), known, locator.load()) for case in several]
        except ValueError as error:
            print(f"{several[0].name}: {error}", file=sys.stderr)
            continue
        alone = [_alone(model, *pair) for pair in zip(several, guesses, strict=True)]
        for count in range(2, SHERDS + 1):
            yield _row(model, several[:count], guesses[:count], alone[:count], None)
        if before is not None:
            yield _row(model, several, guesses, alone, before)
        before = several[0], guesses[0]


def _alone(model: Completer, case: Case, guess: Guess) -> tuple[float, float]:
    """The IoU of the pot of one sherd, and how sure its place is said to be."""
    made = place.settled(model, guess, Known())
    labels = formats.in_cube(case.scan, made, model.resolution).labels > 0
    return placements.overlap(case, placements.restored(case, labels, made, model)), made.share


def _row(
    model: Completer,
    several: Sequence[Case],
    guesses: Sequence[Guess],
    alone: Sequence[tuple[float, float]],
    false: tuple[Case, Guess] | None,
) -> dict[str, Any]:
    began = time.perf_counter()
    every = [*guesses, false[1]] if false else list(guesses)
    found = one_pot.gather(model, every)
    seconds = time.perf_counter() - began
    moves, own = found.moves[: len(several)], found.moves[len(several) :]
    row = {"name": several[0].name, "sherds": len(several), "false": false is not None}
    row |= {"named": own[0] is None} if false else {}
    row |= {"best": max(alone)[0], "surest": max(alone, key=lambda one: one[1])[0]}
    row |= {"mean": float(np.mean([iou for iou, _ in alone])), "seconds": seconds}
    row |= {"aside": sum(move is None for move in moves), "confidence": found.placement.share}
    pairs = zip(several, moves, strict=True)
    row["right"] = sum(move is not None and _is_right(case, move, found) for case, move in pairs)
    if found.frame >= len(several):
        return row | {"iou": 0.0, "scale": None, "tall": None, "up": False}
    case = several[found.frame]
    there = [*several, *([false[0]] if false else [])]
    lying = [
        one.scan.copy().apply_transform(move)
        for one, move in zip(there, found.moves, strict=True)
        if move is not None
    ]
    whole: Any = trimesh.util.concatenate(lying)
    labels = formats.in_cube(whole, found.placement, model.resolution).labels > 0
    pot = placements.restored(case, labels, found.placement, model)
    errors = placements.errors(case, found.placement)
    told = {name: errors[name] for name in ("scale", "tall", "up")}
    return row | told | {"iou": placements.overlap(case, pot)}


def _is_right(case: Case, move: np.ndarray, found: one_pot.Gathered) -> bool:
    """Whether a sherd's radius and height are right in the pot."""
    back, made = np.linalg.inv(move), found.placement
    own = made._replace(
        matrix=back @ made.matrix,
        point=back[:3, :3] @ made.point + back[:3, 3],
        direction=back[:3, :3] @ made.direction,
    )
    errors = placements.errors(case, own)
    rows = np.flatnonzero(case.pot.any(axis=(0, 1)))
    near = errors["height"] <= _RIGHT * len(rows) and abs(errors["at_sherd"]) <= _RIGHT
    return bool(errors["up"] and near)
