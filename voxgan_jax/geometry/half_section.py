"""A turned pot's half section: its outline as lines, and its signed distance on a grid.

A pot that was made on the wheel is its half section, turned. About the axis, this plane's radius is
a distance to the axis and every distance to the outline is a distance to the pot's surface.

Everything here is in voxels. A point is (height, radius): the height is an index of the grid's last
axis (a voxel's middle is whole), the radius is measured from the axis. Of a cube of side n the grid
has 2n rows, two a voxel, and as many rings half a voxel apart as `wheel.num_rings` has: a pot that
fits the cube reaches n/2 from its axis, which may lie 4 voxels off the middle; the cube's corners
hold no round pot. Ring k has the radius k/2, so ring 0 is the axis itself and lines end on it.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from skimage import measure

from voxgan_jax.geometry import wheel

CLIP = 3.0
"""In voxels: distances beyond it, to either side, tell nothing more of the outline."""
STEP = 0.5
"""The side of a cell in voxels."""

Line = Float[np.ndarray, "_ 2"]
"""A line's points (height, radius): closed where the last one is the first, else from the axis back
to the axis."""

Distances = Float[np.ndarray, "_ _"]
"""Signed distance to the outline in voxels, negative in the clay."""

_SPAN = 1.0  # no piece of a line whose neighbourhood is looked at as one is longer
_BLOCK = 1 << 18  # so many pairs of a cell and a piece at a time


def heights(rows: int) -> Float[np.ndarray, "{rows}"]:
    """The height of each row of a grid."""
    return (np.arange(rows) - 0.5) * STEP


def signed_distance(lines: Sequence[Line], resolution: int, clip: float = CLIP) -> Distances:
    """The distance of each cell's middle to the nearest of the lines: exact up to `clip`.

    A cell lies in the clay where an odd number of lines is passed on the way from far out to it.

    Args:
        lines: closed ones, or such as end on the axis.
        resolution: the side n of the cube; the grid has 2n rows and `wheel.num_rings(n)` rings.
        clip: all distances beyond are cut off at it.
    """
    shape = 2 * resolution, wheel.num_rings(resolution, STEP)
    if not len(lines):
        return np.full(shape, clip, np.float32)
    # In cells from here on.
    ends = [(line[:-1], line[1:]) for line in lines]
    start, end = (np.concatenate(part) / STEP + [0.5, 0.0] for part in zip(*ends, strict=True))
    distance = _distance(start, end, shape, clip / STEP) * STEP
    return np.where(_inside(start, end, shape), -distance, distance).astype(np.float32)


def _distance(
    start: Line, end: Line, shape: tuple[int, int], clip: float
) -> Float[np.ndarray, "rows rings"]:
    """The distance of each cell's middle to the nearest segment, at most `clip`; all in cells."""
    parts = np.maximum(np.ceil(np.linalg.norm(end - start, axis=1) * STEP / _SPAN), 1).astype(int)
    of = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)
    along = (end - start) / parts[:, None]
    first, along = start[of] + along[of] * number[:, None], along[of]
    reach = math.ceil(clip + (_SPAN / STEP + 1) / 2)
    steps = np.arange(-reach, reach + 1)
    middle = np.rint(first + along / 2).astype(int)
    # A border takes what lies beyond the grid.
    low = reach + 1
    rows, rings = (side + 2 * low for side in shape)
    square = np.full(rows * rings, clip**2, np.float32)
    length = np.maximum((along**2).sum(1), 1e-12).astype(np.float32)
    for at in range(0, len(of), max(_BLOCK // len(steps) ** 2, 1)):
        block = slice(at, at + max(_BLOCK // len(steps) ** 2, 1))
        near = middle[block, :, None] + steps
        h, r = (near - first[block, :, None]).astype(np.float32).transpose(1, 0, 2)
        h, r = h[:, :, None], r[:, None, :]
        dh, dr = along[block].T.astype(np.float32)[:, :, None, None]
        # Squared distance to the segment's foot at the share t of its length.
        t = h * (dh / length[block, None, None]) + r * (dr / length[block, None, None])
        np.clip(t, 0, 1, out=t)
        found = np.square(h - t * dh)
        t *= dr
        np.subtract(r, t, out=t)
        found += np.square(t, out=t)
        near = np.clip(near + low, 0, np.array([[rows - 1], [rings - 1]])).astype(np.int32)
        cell = near[:, 0, :, None] * np.int32(rings) + near[:, 1, None, :]
        np.minimum.at(square, cell.ravel(), found.ravel())
    return np.sqrt(square.reshape(rows, rings)[low:-low, low:-low])


def _inside(start: Line, end: Line, shape: tuple[int, int]) -> np.ndarray:
    """Whether each cell's middle lies in the clay; all in cells."""
    rows, rings = shape
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    row = np.arange(rows)[:, None]
    row, of = np.nonzero((row >= low) & (row < high))
    share = (row - start[of, 0]) / (end[of, 0] - start[of, 0])
    radius = start[of, 1] + share * (end[of, 1] - start[of, 1])
    # Cells up to that radius have this crossing further out.
    last = np.clip(np.floor(radius).astype(int), -1, rings - 1) + 1
    crossings = np.bincount(row * (rings + 1) + last, minlength=rows * (rings + 1))
    further = crossings.reshape(rows, rings + 1)[:, ::-1].cumsum(1)[:, ::-1]
    return further[:, 1:] % 2 == 1


def outline(distance: Distances) -> list[Line]:
    """The lines where a grid of distances is 0: clay lies to one side of each.

    What the grid cuts off is closed along its edge, but for the axis.
    """
    # A cell of exactly 0 would give the same point twice.
    field = np.where(np.abs(distance) < 1e-5, np.float32(1e-5), distance)
    field = np.pad(field, ((1, 1), (0, 1)), constant_values=CLIP)
    return [(line - [1.5, 0.0]) * STEP for line in measure.find_contours(field, 0.0)]
