"""Wheel-made pots of anywhere, drawn as smooth outlines without end.

A wall is a curve from the base's middle to the lip, with angles where its form has any, and given a
thickness; feet, rims, cordons and grooves are added to it, and where they meet it clay is smeared.
The result is a solid of revolution that can be thrown: one outline from the axis to the axis, one
cavity, walls of 1.5 to 8 % of its width and never below `LEAST_WALL`. Its signed distance is exact,
and voxels are read from the same outline.

Lengths in this file are voxels of a cube of side `SIDE`; heights z rise from the base.
"""

import itertools
import math
from typing import NamedTuple

import manifold3d
import numpy as np
from jaxtyping import Bool, Float
from scipy import interpolate

from voxgan_jax.geometry import half_section
from voxgan_jax.geometry.half_section import Distances, Line
from voxgan_jax.pottery import rims_and_feet
from voxgan_jax.pottery.forms import FORMS, POINTS, Point
from voxgan_jax.pottery.rims_and_feet import Shape

SIDE = 64
LEAST_WALL = 2.0
"""In voxels: thinner walls do not hold together, and are shown thicker to the networks."""

_WALL = (0.015, 0.08)  # of the width
_NAMES = tuple(FORMS)
_ODDS = np.array([form.weight for form in FORMS.values()])
_SHRUNK = 0.8  # at least
_CORNERS = 12  # of a rounding
_STEP = 1.0  # between the points of a wall's middle
_TRIES = 50
_MOUTH = 1.6  # the least radius inside a neck
_FULL = 0.75  # of the pots swing widely
_BLUNT = 0.02  # an outline's points are thinned by so much
_OUT_OF_TRUE = (0.008, 0.006)  # means of the ovality and of the lean, in shares


class Pot(NamedTuple):
    """A drawn pot: its half section's outline and exact distance, upright in the cube's middle."""

    form: str
    outline: Line
    distance: Distances


def draw(rng: np.random.Generator | int, form: str | None = None, resolution: int = SIDE) -> Pot:
    """Draw a pot that fills a cube; the same seed gives the same pot at every resolution.

    Args:
        rng: a generator, which is advanced, or a seed.
        form: one of `forms.FORMS`; drawn by their weights if None.

    Returns:
        Its outline in voxels of the cube of this resolution, base at high heights as ever.

    Raises:
        ValueError: no such form.
        RuntimeError: of many drawings none is a pot.
    """
    if form is not None and form not in FORMS:
        raise ValueError(f"no form {form!r}; known: {', '.join(_NAMES)}")
    rng = np.random.default_rng(rng)
    for _ in range(_TRIES):
        name = form or _NAMES[rng.choice(len(_NAMES), p=_ODDS / _ODDS.sum())]
        section = _fitted(_section(rng, name))
        if section is not None:
            # From z in voxels of SIDE to heights in those of the cube, whose first one is at 0.
            scale = resolution / SIDE
            line = section * [-scale, scale] + [(resolution - 1) / 2, 0.0]
            return Pot(name, line, half_section.signed_distance([line], resolution))
    raise RuntimeError(f"no {form or 'pot'} in {_TRIES} tries")


def _section(rng: np.random.Generator, name: str) -> Shape:
    """A half section, and somewhat of the other half."""
    form = FORMS[name]
    aspect = math.exp(rng.uniform(*np.log(form.aspect)))
    width = SIDE * min(1.0, 1.0 / aspect)
    share = math.exp(rng.uniform(*np.log(_WALL)))
    half = max(share * width, LEAST_WALL / _SHRUNK) / 2
    foot, rim = (str(rng.choice(kinds.split())) for kinds in (form.feet, form.rims))
    points, angles = _points(rng, POINTS[name], width, width * aspect, foot)
    points, angles = rims_and_feet.lengthened(rng, rim, points, angles, half)
    middle = _curve(points, angles, rng.random() < _FULL)
    # Beyond the base a neck stays open.
    beyond = np.linspace(0, 1, len(middle)) > 0.25
    middle[beyond, 0] = np.maximum(middle[beyond, 0], half + _MOUTH)
    thick = _thickness(rng, middle, half, rim)
    outer = middle - rims_and_feet.normals(middle) * thick[:, None]
    body = rims_and_feet.stroke(middle, thick, round_end=rim not in ("flat", "bar"))
    if foot not in ("round", "pointed", "toe"):
        body = rims_and_feet.levelled(body, float(middle[:, 1].min()) - half)
    parts = [body]
    parts += rims_and_feet.on_lip(rng, rim, middle, half)
    parts += rims_and_feet.under(rng, foot, middle, half, float(points[1, 0]), width)
    parts += rims_and_feet.cordons(rng, outer, half)
    solid = rims_and_feet.union(parts)
    # So much of the other half that what is rounded off near the axis is so on both sides.
    solid += rims_and_feet.strip(solid.mirror((1.0, 0.0)), 4 * half)
    solid -= rims_and_feet.grooves(rng, outer, half)
    solid = solid.simplify(_BLUNT)
    smear, worn = rng.uniform(0.2, 0.9) * half, rng.uniform(0.0, 0.5) * half * (rng.random() < 0.6)
    for grown in (smear, -smear - worn, worn):
        if grown:
            solid = solid.offset(grown, manifold3d.JoinType.Round, circular_segments=_CORNERS)
    return solid


def _points(
    rng: np.random.Generator, path: list[Point], width: float, height: float, foot: str
) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, "n"]]:
    """Points (r, z) of the wall's middle from the axis on, and whether there is an angle."""
    size = np.array([width / 2, height])
    drawn = [(rng.uniform(*p.radius), rng.uniform(*p.height)) for p in path]
    angles = [bool(rng.random() < p.angle) for p in path]
    points = np.array(drawn) * size
    start = np.array([[0.0, 0.0]])
    if foot == "umbo":
        start = np.array([[0.0, rng.uniform(0.03, 0.1) * width * points[0, 0] / size[0]]])
    elif foot in ("round", "pointed", "toe"):
        # The base's edge is no edge then, but a point of the curve.
        low, high = (0.2, 0.5) if foot == "round" else (0.6, 2.0)
        points[0, 1] = min(rng.uniform(low, high) * points[0, 0], 0.5 * points[1, 1])
        angles[0] = False
    return np.concatenate([start, points]), np.array([foot in ("pointed", "toe"), *angles])


def _curve(
    points: Float[np.ndarray, "n 2"], angles: Bool[np.ndarray, "n"], full: bool
) -> Float[np.ndarray, "m 2"]:
    """A curve through points, with angles where they are.

    `full` ones swing as a bent lath does; others keep within their points.
    """
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    ends = [0, *(np.flatnonzero(angles[1:-1]) + 1), len(points) - 1]
    pieces = []
    for first, last in itertools.pairwise(ends):
        own, at = points[first : last + 1], along[first : last + 1]
        level = first == 0 and not angles[0]
        count = max(round((at[-1] - at[0]) / _STEP), 3)
        steps = np.linspace(along[first], along[last], count)
        if len(own) == 2:
            pieces.append(own[0] + (steps[:, None] - at[0]) / (at[1] - at[0]) * (own[1] - own[0]))
        elif full:
            # Straight at the ends, but level across the axis.
            start = (1, np.array([1.0, 0.0])) if level else (2, np.zeros(2))
            ends_are = (start, (2, np.zeros(2)))
            spline = interpolate.CubicSpline(at, own, bc_type=ends_are)  # pyright: ignore
            pieces.append(spline(steps))
        else:
            if level:
                at, own = np.append(-at[1], at), np.concatenate([own[1:2] * [-1, 1], own])
            pieces.append(interpolate.PchipInterpolator(at, own)(steps))
    line = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
    line[0, 0] = 0.0
    return line


def _thickness(
    rng: np.random.Generator, middle: Float[np.ndarray, "m 2"], half: float, rim: str
) -> Float[np.ndarray, "m"]:
    """Half the thickness along the wall: mostly a stronger base, and a lip of its own."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
    share = along / along[-1]
    base, lip = rng.uniform(0.9, 1.9), rng.uniform(0.75, 1.1)
    factor = 1 + (base - 1) * np.exp(-((share / 0.25) ** 2)) + (lip - 1) * share**2
    factor *= 1 + 0.08 * np.sin(2 * np.pi * (rng.uniform(0.5, 3) * share + rng.random()))
    if rim == "tapered":
        end = (along[-1] - along) / (rng.uniform(2, 8) * half)
        factor *= 1 - rng.uniform(0.3, 0.6) * np.clip(1 - end, 0, 1)
    return np.maximum(half * factor, LEAST_WALL / _SHRUNK / 2)


def _fitted(solid: Shape) -> Line | None:
    """The half section's outline (z, r) from the axis to the axis, centred and as long as a cube.

    None where it is no pot: in pieces, with a hollow that is closed, or cut off from the axis.
    """
    _, low, right, high = solid.bounds()
    size = SIDE / max(2 * right, high - low)
    # Shrunk more than that, walls would be too thin.
    if size < _SHRUNK:
        return None
    ring = solid.translate((0.0, -(low + high) / 2)).scale((size, size)).simplify(_BLUNT)
    right_half = ring ^ manifold3d.CrossSection.square((SIDE, 2 * SIDE)).translate((0.0, -SIDE))
    polygons = right_half.to_polygons()
    if len(polygons) != 1:
        return None
    polygon = polygons[0]
    on_axis = np.flatnonzero(polygon[:, 0] < 1e-6)
    if len(on_axis) != 2:
        return None
    first, second = on_axis
    # The two are neighbours; the line goes from the one to the other the long way round.
    polygon = np.roll(polygon, -second if second - first == 1 else -first, axis=0)
    polygon[[0, -1], 0] = 0.0
    return polygon[:, ::-1]


def voxels(
    rng: np.random.Generator | int, pot: Pot, resolution: int = SIDE
) -> Bool[np.ndarray, "{resolution} {resolution} {resolution}"]:
    """A pot's voxels in a cube, about its middle: slightly oval and leaning, as thrown pots are.

    Args:
        resolution: of the cube, the pot's own or any other.
    """
    return warped(np.random.default_rng(rng), pot.distance, resolution) < 0


def warped(
    rng: np.random.Generator, distance: Distances, resolution: int
) -> Float[np.ndarray, "{resolution} {resolution} {resolution}"]:
    """The distance of a pot that is turned slightly oval and leaning, in voxels of its own cube."""
    rows, rings = distance.shape
    scale = rows * half_section.STEP / resolution
    place = (np.arange(resolution, dtype=np.float32) - (resolution - 1) / 2) * np.float32(scale)
    oval, lean = np.minimum(rng.exponential(_OUT_OF_TRUE), 2.5 * np.array(_OUT_OF_TRUE))
    turn_oval, turn_lean = rng.uniform(0, 2 * np.pi, 2)
    aside = np.float32(lean) * place
    x = place[:, None, None] - np.float32(np.cos(turn_lean)) * aside
    y = place[None, :, None] - np.float32(np.sin(turn_lean)) * aside
    square_x, square_y = x * x, y * y
    c, s = np.float32(oval * np.cos(turn_oval)), np.float32(oval * np.sin(turn_oval))
    square = square_x * (1 + c) + square_y * (1 - c) + (2 * s) * x * y
    ring = np.sqrt(np.maximum(square, 0)) / np.float32(half_section.STEP)
    np.minimum(ring, np.float32(rings - 1.001), out=ring)
    low = ring.astype(np.int32)
    ring -= low
    height = (place / half_section.STEP + (rows - 1) / 2).clip(0, rows - 1)
    row = np.minimum(height.astype(int), rows - 2)
    share = (height - row)[:, None].astype(np.float32)
    levels = distance[row] * (1 - share) + distance[row + 1] * share
    level = levels.ravel()
    low += np.arange(resolution, dtype=np.int32) * np.int32(rings)
    inner = level[low]
    low += 1
    return inner + ring * (level[low] - inner)
