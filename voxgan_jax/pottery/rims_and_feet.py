"""What a drawn wall ends in and bears: rims, feet, cordons and grooves, as flat shapes.

Points are (r, z), z upward from the base, all in the same unit; `half` is half the wall's
thickness. A shape is a set of polygons in that plane, for which boolean operations are exact.
"""

import math

import manifold3d
import numpy as np
from jaxtyping import Bool, Float

Shape = manifold3d.CrossSection
Curve = Float[np.ndarray, "_ 2"]

_NONZERO = manifold3d.FillRule.NonZero
_ROUND = 14  # corners of a small circle


def normals(line: Curve) -> Curve:
    """To the left of a line: inward of a wall that rises."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def stroke(line: Curve, half: Float[np.ndarray, "_"], *, round_end: bool = True) -> Shape:
    """A line with a thickness to both sides."""
    across = normals(line) * half[:, None]
    sides = [line - across, (line + across)[::-1]]
    if round_end:
        ahead = np.array([across[-1, 1], -across[-1, 0]])
        turn = np.linspace(0, np.pi, 9)[1:-1, None]
        sides.insert(1, line[-1] - across[-1] * np.cos(turn) + ahead * np.sin(turn))
    return Shape([np.concatenate(sides)], _NONZERO)


def _even(line: Curve, half: float) -> Shape:
    return stroke(line, np.full(len(line), half))


def _disc(centre: Float[np.ndarray, "2"], radius: float) -> Shape:
    return Shape.circle(radius, _ROUND).translate((float(centre[0]), float(centre[1])))


def _box(r: tuple[float, float], z: tuple[float, float]) -> Shape:
    return Shape.square((r[1] - r[0], z[1] - z[0])).translate((r[0], z[0]))


def levelled(shape: Shape, ground: float) -> Shape:
    """What of a shape is above the ground."""
    left, low, right, _ = shape.bounds()
    return shape - _box((left - 1, right + 1), (min(low, ground) - 1, ground))


def strip(shape: Shape, wide: float) -> Shape:
    """What of a shape lies on the other side of the axis, so far from it."""
    _, low, _, high = shape.bounds()
    return shape ^ _box((-wide, 0.0), (low - 1, high + 1))


def union(parts: list[Shape]) -> Shape:
    """What any of the parts covers."""
    return Shape.batch_boolean(parts, manifold3d.OpType.Add)


def lengthened(
    rng: np.random.Generator,
    rim: str,
    points: Float[np.ndarray, "n 2"],
    angles: Bool[np.ndarray, "n"],
    half: float,
) -> tuple[Float[np.ndarray, "m 2"], Bool[np.ndarray, "m"]]:
    """The points of a wall with those of a rim that is bent from it, and where it has angles."""
    mouth = points[-1, 0]
    room = min(0.6 * mouth, 9 * half)
    bends: list[tuple[float, float, bool]] = []  # degrees from outward to upward, length, angle
    if rim == "everted":
        bends = [(rng.uniform(-5, 65), rng.uniform(2.5, 7) * half, rng.random() < 0.5)]
    elif rim == "inverted":
        bends = [(rng.uniform(110, 190), rng.uniform(2.5, 5) * half, rng.random() < 0.5)]
    elif rim in ("brim", "hook"):
        bends = [(rng.uniform(-15, 25), rng.uniform(4, 11) * half, rng.random() < 0.7)]
        if rim == "hook":
            bends.append((rng.uniform(-95, -50), rng.uniform(2, 4) * half, rng.random() < 0.4))
    elif rim == "seat":
        bends = [(rng.uniform(-5, 30), rng.uniform(3, 5) * half, True)]
        bends.append((rng.uniform(60, 100), rng.uniform(3, 6) * half, True))
    for degrees, length, angle in bends:
        way = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
        angles = np.append(angles, False)
        angles[-2] |= angle
        points = np.vstack([points, points[-1] + min(length, room) * way])
    return points, angles


def on_lip(rng: np.random.Generator, rim: str, line: Curve, half: float) -> list[Shape]:
    """What is set on the end of a wall."""
    end, inward = line[-1], normals(line)[-1]
    up = np.array([inward[1], -inward[0]])
    if rim == "bead":
        return [_disc(end - inward * rng.uniform(0, 0.8) * half, rng.uniform(1.2, 1.9) * half)]
    if rim in ("outward", "inward"):
        side = -1 if rim == "outward" else 1
        # A wedge that grows towards the lip.
        deep, wide = rng.uniform(2, 6) * half, rng.uniform(1.2, 2.6) * half
        corners = [end + up * 0.6 * half, end - up * deep, end + inward * side * wide]
        corners.insert(2, corners[2] - up * rng.uniform(0.0, 1.0) * half)
        corners[3] += up * rng.uniform(0.0, 0.8) * half
        return [Shape([np.array(corners)], _NONZERO).offset(0.3 * half, circular_segments=_ROUND)]
    if rim == "bar":
        out, into = rng.uniform(1.2, 3.5, 2) * half
        bar = _box((end[0] - into, end[0] + out), (end[1] - 0.8 * half, end[1] + 0.8 * half))
        return [bar]
    if rim == "collar":
        down, thick = rng.uniform(3, 8) * half, rng.uniform(0.9, 1.8) * half
        low = max(len(line) - 1 - round(down), 1)
        outside = line[low:] - normals(line)[low:] * half
        return [_even(outside, thick)] if len(outside) > 2 else []
    return []


def under(
    rng: np.random.Generator, foot: str, line: Curve, half: float, base: float, width: float
) -> list[Shape]:
    """What a pot stands on, below a base of this radius."""
    if foot == "ring":
        radius, thick = rng.uniform(0.55, 1.0) * base, rng.uniform(0.9, 1.7) * half
        # Where the wall's middle is there.
        top = float(line[np.flatnonzero(line[:, 0] >= radius)[:1], 1].sum())
        low = min(line[:, 1].min(), top) - half - rng.uniform(1.0, 3.5) * half
        foot_line = np.linspace(
            [radius, top], [radius + rng.uniform(-0.2, 0.5) * (top - low), low], 6
        )
        return [stroke(foot_line, np.full(6, thick), round_end=bool(rng.random() < 0.5))]
    if foot == "disc":
        radius = rng.uniform(0.75, 1.15) * base + half
        low = line[:, 1].min() - half - rng.uniform(0.8, 4.0) * half
        corners = np.array(
            [[0, low], [radius * rng.uniform(0.85, 1.15), low], [radius, half], [0, half]]
        )
        return [Shape([corners], _NONZERO)]
    if foot == "pedestal":
        neck = rng.uniform(0.4, 0.95) * min(base, 0.2 * width) + half
        wide = min(neck * rng.uniform(1.1, 2.4), 0.48 * width)
        tall = rng.uniform(0.08, 0.4) * width
        t = np.linspace(0, 1, 14)
        curve = rng.uniform(1.0, 3.5)
        r, z = neck + (wide - neck) * t**curve, line[0, 1] - tall * t
        parts = [_even(np.stack([r, z], axis=1), rng.uniform(0.9, 1.3) * half)]
        if rng.random() < 0.4:
            # A stem that is solid for a part of its height.
            parts.append(_box((0.0, neck), (line[0, 1] - rng.uniform(0.2, 0.7) * tall, line[0, 1])))
        return parts
    if foot == "toe":
        long, thick = rng.uniform(2, 7) * half, rng.uniform(0.8, 1.7) * half
        parts = [_box((0.0, thick), (line[0, 1] - long, line[0, 1]))]
        if rng.random() < 0.5:
            centre = np.array([0.0, line[0, 1] - long])
            parts.append(_disc(centre, thick * rng.uniform(1.0, 1.6)))
        return parts
    return []


def cordons(rng: np.random.Generator, outer: Curve, half: float) -> list[Shape]:
    """Ridges around the outside, on one pot in five."""
    if rng.random() > 0.2:
        return []
    places = rng.uniform(0.3, 0.9, rng.integers(1, 4)) * (len(outer) - 1)
    return [_disc(outer[int(at)], rng.uniform(0.5, 1.1) * half) for at in places]


def grooves(rng: np.random.Generator, outer: Curve, half: float) -> Shape:
    """Furrows around the outside, on one pot in eight."""
    if rng.random() > 0.12:
        return Shape()
    places = rng.uniform(0.3, 0.95, rng.integers(1, 4)) * (len(outer) - 1)
    discs = [_disc(outer[int(at)], rng.uniform(0.3, 0.55) * half) for at in places]
    both = union(discs)
    return both + both.mirror((1.0, 0.0))
