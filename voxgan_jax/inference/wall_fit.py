"""A half section brought to the walls that a scan shows, at each height by as much as they lie off.

So the turned pot has the scan's rim and walls all round, and meets the scan without a step.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial import KDTree

from voxgan_jax.geometry import half_section, lathe, surface
from voxgan_jax.geometry.half_section import Distances
from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.inference.round_pot import Section
from voxgan_jax.scan import walls

Points = Float[np.ndarray, "_ 3"]

POINTS = 10_000
"""So many of the scan are looked at."""
REACH = 1.5
"""In voxels: walls that lie further from the outline are not taken for the same."""
ALIKE = 0.75
"""The least cosine between the normals of the same wall; break edges face along it."""
_COMPANY = 24
"""So many points around tell by their median how far the outline moves."""
_FADE = 4.0
"""In voxels, a usual wall: so far beyond the scan the outline is itself again."""
_FEWEST = 100
_LIP = 2.0
"""So many voxels below a rim, and above a foot, give way where it has to be longer."""
_DIRECTIONS = 36
"""Around the axis, in each of which a scan has an end."""


class Walls(NamedTuple):
    """Points on a scan and its outward unit normals there, in the grid's indices."""

    points: Points
    normals: Points


def walls_of(scan: Mesh, matrix: surface.Matrix) -> Walls:
    """Those of a scan in mm. `matrix` leads from the grid's indices to mm."""
    step = surface.step_of(matrix)
    points, normals = walls.facing(scan, POINTS, REACH * step)
    back = np.linalg.inv(matrix)
    return Walls(points @ back[:3, :3].T + back[:3, 3], normals @ (matrix[:3, :3] / step))


def fitted(section: Section, walls: Walls) -> Section:
    """The half section with its outline on the walls, where there are any within 1.5 voxels.

    It stays as it is where it would fall to pieces.
    """
    moved = _moved(section.distance, section.axis, walls)
    if moved is section.distance:
        return section
    moved = _long_enough(moved, section.axis, walls)
    whole = len(lathe.smooth_outline(moved)) <= len(lathe.smooth_outline(section.distance))
    return section._replace(distance=moved) if whole else section


def _moved(distance: Distances, axis: tuple[float, float], walls: Walls) -> Distances:
    across = walls.points[:, :2] - axis
    radius = np.linalg.norm(across, axis=1)
    outward = (walls.normals[:, :2] * across).sum(1) / np.maximum(radius, 1e-6)
    places = np.stack([walls.points[:, 2], radius], axis=1)
    normals = np.stack([walls.normals[:, 2], outward], axis=1)
    cells = places.T / half_section.STEP + [[0.5], [0.0]]
    slopes = _slopes(distance)
    off, *slope = (
        ndimage.map_coordinates(field, cells, order=1, mode="nearest")
        for field in (distance, *slopes)
    )
    good = (np.abs(off) < REACH) & ((normals * np.stack(slope, axis=1)).sum(1) > ALIKE)
    if good.sum() < _FEWEST:
        return distance
    places, normals, off = places[good], normals[good], off[good]
    near = np.abs(distance) < half_section.CLIP
    rows, rings = np.nonzero(near)
    own = np.stack([half_section.heights(len(distance))[rows], rings * half_section.STEP], axis=1)
    facing = np.stack([slope[near] for slope in slopes], axis=1)
    # Near in place and alike in direction, in one search.
    tree = KDTree(np.hstack([places, 2 * REACH * normals]))
    ranks = list(range(1, _COMPANY + 1))
    _, found = tree.query(np.hstack([own, 2 * REACH * facing]), k=ranks)  # pyright: ignore
    which = np.asarray(found)
    away = np.linalg.norm(places[which[:, 0]] - own, axis=1)
    share = 1 - np.clip((away - REACH) / _FADE, 0, 1)
    share *= np.clip((half_section.CLIP - np.abs(distance[near])) / REACH, 0, 1)
    moved = distance.copy()
    moved[near] -= (share * np.median(off[which], axis=1)).astype(np.float32)
    return moved


def _long_enough(distance: Distances, axis: tuple[float, float], walls: Walls) -> Distances:
    """With rim and foot as far out as the scan's: grids and smoothing make pointed lips blunt."""
    across, height = walls.points[:, :2] - axis, walls.points[:, 2]
    around = np.arctan2(across[:, 1], across[:, 0]) / (2 * np.pi) + 0.5
    direction = (around * _DIRECTIONS).astype(int) % _DIRECTIONS
    rows = half_section.heights(len(distance))
    for side in (-1, 1):
        far = np.full(_DIRECTIONS, -np.inf)
        np.maximum.at(far, direction, side * height)
        end = np.median(far[far > far.max() - 0.5])
        own = max((side * line[:, 0]).max() for line in lathe.smooth_outline(distance))
        if 0 < (excess := end - own) < REACH:
            below = np.clip((side * rows - own + _LIP) / _LIP, 0, 1)
            source = (rows - side * excess * below) / half_section.STEP + 0.5
            rings = np.arange(distance.shape[1])
            places = np.meshgrid(source, rings, indexing="ij")
            distance = ndimage.map_coordinates(distance, places, order=1, mode="nearest")
    return distance


def _slopes(distance: Distances) -> list[Distances]:
    """The direction away from the clay at each cell, in height and radius: a unit vector."""
    slopes = np.gradient(distance)
    length = np.maximum(np.hypot(*slopes), 1e-6)
    return [slope / length for slope in slopes]
