"""Distances of surfaces on coarse and finer grids from the true one, on synthetic pots."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import KDTree

from voxgan_jax.data.synthetic import pots as synthetic
from voxgan_jax.geometry import surface
from voxgan_jax.inference import completer, predict, round_pot
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.report import meshes

SIDE = 64
POINTS = 20_000


def distances(pots: int) -> Iterator[dict[str, float]]:
    """Of each of so many pots the mean distance from the truth by how its surface is drawn."""
    model = completer.load()
    for seed in range(pots):
        fine, coarse = (synthetic.make_pot(seed, None, side) for side in (2 * SIDE, SIDE))
        half = _finer(np.subtract(coarse.shape, np.divide(fine.shape, 2)) / 2)
        truth = _points(fine, fine.astype(np.float32), half)
        known = np.arange(len(coarse))[:, None, None] < 0.6 * len(coarse)
        answer = predict.complete(model, (coarse & known).astype(np.uint8) * np.uint8(2))
        found = {
            name: _distance(truth, _written(answer.labels, answer.belief, turned))
            for name, turned in (("64", False), ("turned, as written", True))
        }
        for name, order in (("linear", 1), ("cubic", 3)):
            field = _zoomed(answer.labels, answer.belief, order)
            for how, smooth in (("", False), (", smoothed", True)):
                points = _points(field > 0.5, field, _finer(), smooth=smooth)
                found[f"128, {name}{how}"] = _distance(truth, points)
        yield found


def _finer(corner: Float[np.ndarray, "3"] | None = None) -> Float[np.ndarray, "4 4"]:
    """From the indices of a 128³ grid to voxels of the 64³ grid."""
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    matrix[:3, 3] = -0.25 + (np.zeros(3) if corner is None else corner)
    return matrix


def _zoomed(
    labels: UInt8[np.ndarray, "d h w"], belief: Float[np.ndarray, "d h w"], order: int
) -> Float[np.ndarray, "_ _ _"]:
    field = np.pad(np.where(labels == GIVEN, np.float32(1), belief), 1)
    field = np.asarray(ndimage.zoom(field, 2, order=order, mode="nearest", grid_mode=True))
    return np.clip(field[2:-2, 2:-2, 2:-2], 0, 1)


def _written(
    labels: UInt8[np.ndarray, "d h w"], belief: Float[np.ndarray, "d h w"], turned: bool
) -> Float[np.ndarray, "points 3"]:
    section = round_pot.section_of(labels, belief) if turned else None
    pot = meshes.pot_surface(labels, belief, np.eye(4), section)
    return np.asarray(pot.sample(POINTS, seed=0))


def _points(
    occupied: Bool[np.ndarray, "d h w"],
    belief: Float[np.ndarray, "d h w"],
    matrix: Float[np.ndarray, "4 4"],
    *,
    smooth: bool = True,
) -> Float[np.ndarray, "points 3"]:
    field = surface.smooth(occupied, belief) if smooth else np.pad(belief, 2)
    pot = surface.surface(field, occupied, matrix, surface.find_level(field, occupied))
    return np.asarray(pot.sample(POINTS, seed=0))


def _distance(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"]) -> float:
    there, back = KDTree(a).query(b)[0], KDTree(b).query(a)[0]
    return float(there.mean() + back.mean()) / 2
