"""Where on its pot the sherd sat: in words, and in a small picture from its side and from above."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voxgan_jax.drawing import outline, svg
from voxgan_jax.drawing.figure import runs
from voxgan_jax.drawing.profile import Profile
from voxgan_jax.render import render

_BELLY = 0.95
"""From this share of the greatest radius on it is the belly; a neck is narrower than this share of
what is above it."""
_OPEN = 0.9
"""Pots that are widest above this share of their height have a wall only."""
_FOOT = 0.08
"""So much of the height is the foot."""
_AT_END = 1.5
"""A sherd that reaches so near to an end, in voxels, holds part of it."""
_ROUND = 0.25
"""A direction counts where the sherd shows in this share of the rows of where it is tallest: about
a pointed base it goes all round."""


class Whereabouts(NamedTuple):
    """The sherd's place in words, and as SVG text for inline use."""

    words: str
    picture: str


def whereabouts(profile: Profile, colour: str) -> Whereabouts | None:
    """Where the sherd of a profile sat; None where it shows nowhere, or nothing is inferred.

    Args:
        colour: of the sherd in the picture.
    """
    clay = np.isfinite(profile.outer)
    shown = profile.seen.any(axis=1) & clay
    if not shown.any() or profile.given[clay].min() == 1:
        return None
    return Whereabouts(_words(profile, clay, shown), _picture(profile, clay, colour))


def zone(heights: Float[np.ndarray, "rows"], radii: Float[np.ndarray, "rows"], at: float) -> str:
    """What the part of a pot at this height is called.

    Args:
        heights: of its rows, from its base up.
        radii: the outer radius of each.
    """
    low, high = heights[[0, -1]]
    share = (at - low) / max(high - low, 1e-9)
    widest = int(radii.argmax())
    here, most = float(np.interp(at, heights, radii)), radii[widest]
    if share < _FOOT:
        return "foot"
    if heights[widest] - low > _OPEN * (high - low):
        return "lower wall" if share < 1 / 3 else "upper wall" if share > 2 / 3 else "wall"
    if here >= _BELLY * most:
        return "belly"
    if at < heights[widest]:
        return "lower wall"
    narrow = widest + int(radii[widest:].argmin())
    flares = radii[narrow] < _BELLY * radii[narrow:].max()
    slim = here < radii[narrow] + (most - radii[narrow]) / 4
    return "neck" if flares and slim else "shoulder"


def _words(
    profile: Profile, clay: Bool[np.ndarray, "rows"], shown: Bool[np.ndarray, "rows"]
) -> str:
    heights, radii = profile.heights[clay], profile.outer[clay]
    weight = (profile.given * np.where(clay, profile.outer, 0))[clay]
    middle = float(weight @ heights / weight.sum())
    half = profile.step_mm / 2
    low, tall = heights[0] - half, np.ptp(heights) + 2 * half
    first, last = profile.heights[shown][[0, -1]]
    per_cent = [100 * (at - low) / tall for at in (middle, first - half, last + half)]
    round_about = 360 * _round(profile).mean()
    near = _AT_END * profile.step_mm
    ends = [
        name
        for name, gap in (("rim", heights[-1] - last), ("base", first - heights[0]))
        if gap < near
    ]
    holds = f" It holds part of the {' and of the '.join(ends)}." if ends else ""
    return (
        f"On the {zone(heights, radii, middle)}: the sherd's middle is at {per_cent[0]:.0f} % of"
        f" the pot's height. It reaches from {per_cent[1]:.0f} to {per_cent[2]:.0f} % of it, and"
        f" {round_about:.0f}° round.{holds}"
    )


def _round(profile: Profile) -> Bool[np.ndarray, "angles"]:
    """The directions about the axis that the sherd takes."""
    rows = profile.seen.sum(axis=0)
    return rows > _ROUND * rows.max()


def _picture(profile: Profile, clay: Bool[np.ndarray, "rows"], colour: str) -> str:
    """The pot's outline with the sherd in front; its rim and widest ring with the sherd below."""
    edge = np.stack([profile.outer[clay], profile.heights[clay]], 1)
    edge = np.concatenate([edge[:1] * (0, 1), edge, edge[-1:] * (0, 1)])
    edge[:2, 1] -= profile.step_mm / 2
    edge[-2:, 1] += profile.step_mm / 2
    top, wide = float(edge[:, 1].max()), float(edge[:, 0].max())
    angles = np.arange(profile.seen.shape[1]) * (2 * np.pi / profile.seen.shape[1])
    turned = angles - outline.middle_of(profile)
    ring = wide * np.stack([np.sin(turned), np.cos(turned)], 1)
    seen = _round(profile)
    # So that no stretch that is seen runs over the list's end.
    start = int(np.argmin(seen))
    ring, seen = np.roll(ring, -start, axis=0), np.roll(seen, -start)
    down = np.array([1, -1]), np.array([0, top])
    faces = [line * down[0] + down[1] for line in outline.patch(profile, edge[1:-1], 0)]
    edge = edge * down[0] + down[1]
    return render(
        "whereabouts.svg.j2",
        edge=svg.path([edge, edge * (-1, 1)]),
        sherd=svg.path(faces, closed=True),
        arc=svg.path([ring[start:end] for start, end in runs(seen)]),
        rim=float(edge[-2, 0]),
        top=top,
        wide=wide,
        unit=max(top, 2 * wide) / 100,
        colour=colour,
    )
