"""Solids of revolution whose distance is known in closed form, or to a polygon's edges."""

import numpy as np

from voxgan_jax.geometry import half_section, wheel

CENTRE = (31.5, 31.5)
BOWL = ((10.5, 0), (10.5, 17.3), (50.5, 24.2), (50.5, 20.9), (14.5, 13.9), (14.5, 0))
"""200 mm high where a voxel is 5 mm: a slanted wall 3.3 voxels thick, flat below and above."""


def ball(height, radius, around=0.0):
    """A ball, or a ring of this cross-section about the axis."""
    return lambda h, r: np.hypot(h - height, r - around) - radius


def shell(height, radius, half):
    return lambda h, r: np.abs(np.hypot(h - height, r) - radius) - half


def polygon(*points):
    """A half section with straight edges; those on the axis are no surface."""
    corners = np.array(points, float)

    def distance(h, r):
        h, r = np.broadcast_arrays(h, r)
        far, inside = np.full(h.shape, np.inf), np.zeros(h.shape, bool)
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
            u = b - a
            if u[0]:
                inside ^= ((a[0] <= h) != (b[0] <= h)) & (r < a[1] + (h - a[0]) / u[0] * u[1])
            if a[1] > 0 or b[1] > 0:
                t = np.clip(((h - a[0]) * u[0] + (r - a[1]) * u[1]) / (u @ u), 0, 1)
                far = np.minimum(far, np.hypot(h - a[0] - t * u[0], r - a[1] - t * u[1]))
        return np.where(inside, -far, far)

    return distance


def cells(resolution=64):
    """The heights and radii of a grid's cells."""
    rings = wheel.num_rings(resolution)
    return half_section.heights(2 * resolution)[:, None], np.arange(rings) / 2


def sampled(solid, resolution=64):
    """Its exact distance on the grid, clipped."""
    return np.clip(solid(*cells(resolution)), -3, 3).astype(np.float32)


def voxels(solid, axis=CENTRE, resolution=64):
    radius = wheel.radii((resolution, resolution), np.array([axis]))[0][..., None]
    return solid(np.arange(float(resolution)), radius) < 0
