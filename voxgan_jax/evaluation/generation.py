"""How good pots from noise are, as a set: beside a set of real ones, and beside those learned from.

MMD, coverage and 1-NN accuracy are those of Yang et al., "PointFlow", ICCV 2019, section 5.1 (the
first two after Achlioptas et al., ICML 2018), the Jensen–Shannon distance is the root of the
divergence there. What two pots are apart is 1 − IoU, or the Chamfer distance of their surfaces.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial import distance

from voxgan_jax.geometry import wheel
from voxgan_jax.inference import bridge

Pots = Bool[np.ndarray, "_ d d d"]
Distances = Float[np.ndarray, "n m"]

NOT_ROUND = 6.4
"""Voxels: by this over the cube's side a round pot's IoU with itself, a quarter turn on about its
axis, is below 1 at most: 0.9 at 64³, 0.8 at 32³ (docs/results.md says why and what pots have)."""


def overlap_distances(one: Pots, other: Pots) -> Distances:
    """1 − IoU of each pot of one set with each of the other; two empty ones are 0 apart."""
    a, b = (pots.reshape(len(pots), -1).astype(np.float32) for pots in (one, other))
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return 1.0 - np.where(either > 0, both / np.maximum(either, 1.0), 1.0)


def chamfer_distances(one: Pots, other: Pots) -> Distances:
    """The mean distance from either surface to the other, in voxels, of each pot with each.

    A surface is the voxels of a pot with a face in the open. An empty pot is a cube's side away.
    """
    a, b = (list(map(_surface, pots)) for pots in (one, other))
    return np.array([[(_way(x, y) + _way(y, x)) / 2 for y in b] for x in a])


_Surface = tuple[Bool[np.ndarray, "d d d"], Float[np.ndarray, "d d d"]]


def _surface(pot: Bool[np.ndarray, "d d d"]) -> _Surface:
    """The voxels of a surface, and how far each voxel of the cube is from the nearest of them."""
    surface = pot & ~np.asarray(ndimage.binary_erosion(pot), bool)
    if not surface.any():
        return surface, np.full(pot.shape, float(len(pot)), np.float32)
    away = np.asarray(ndimage.distance_transform_edt(~surface))
    return surface, away.astype(np.float32)


def _way(start: _Surface, end: _Surface) -> float:
    return float(end[1][start[0]].mean()) if start[0].any() else float(len(end[1]))


BY: dict[str, Callable[[Pots, Pots], Distances]] = {
    "iou": overlap_distances,
    "chamfer": chamfer_distances,
}


def mmd(made_to_real: Distances) -> float:
    """Minimum matching distance: the mean, over real pots, of the distance to the nearest made."""
    return float(made_to_real.min(axis=0).mean())


def coverage(made_to_real: Distances) -> float:
    """The share of real pots that are the nearest one of some made pot."""
    return len(set(made_to_real.argmin(axis=1))) / made_to_real.shape[1]


def nearest_neighbour_accuracy(made: Distances, made_to_real: Distances, real: Distances) -> float:
    """How often the nearest other pot of both sets is of the own set: a half where they are alike.

    Args:
        made, real: distances within a set.
    """
    every = np.block([[made, made_to_real], [made_to_real.T, real]])
    np.fill_diagonal(every, np.inf)
    is_real = np.arange(len(every)) >= len(made)
    return float((is_real[every.argmin(axis=1)] == is_real).mean())


def occupancy_distance(made: Pots, real: Pots) -> float:
    """The Jensen–Shannon distance, to base 2, of where in the cube the clay of either set lies."""
    a, b = (pots.sum(axis=0, dtype=np.float64).reshape(-1) for pots in (made, real))
    if not (a.any() and b.any()):
        return 0.0 if a.any() == b.any() else 1.0
    return float(distance.jensenshannon(a, b, base=2))


def share_whole(pots: Pots) -> float:
    """The share of pots in one piece, by faces of voxels."""
    return float(np.mean([bridge.count(pot) == 1 for pot in pots]))


def share_round(pots: Pots) -> float:
    """The share of pots that are much the same after a quarter turn about their own axis, to half a
    voxel: as far as `NOT_ROUND` says."""
    least = 1.0 - NOT_ROUND / pots.shape[-1]
    return float(np.mean([_roundness(pot) >= least for pot in pots]))


def _roundness(pot: Bool[np.ndarray, "d d d"]) -> float:
    if not pot.any():
        return 0.0
    axis = wheel.find_axis(pot)
    total, apart = (round(float(axis[0] + sign * axis[1])) for sign in (1, -1))
    d, h = np.indices(pot.shape[:2])
    places = np.stack([apart + h, total - d])
    inside = ((places >= 0) & (places < len(pot))).all(axis=0)
    turned = np.zeros_like(pot)
    turned[inside] = pot[tuple(places[:, inside])]
    return float((pot & turned).sum() / (pot | turned).sum())


def scores(
    made: Pots, real: Pots, learned: Pots, by: Sequence[str] = tuple(BY)
) -> dict[str, float]:
    """All scores of a set of pots by their names.

    Args:
        real: pots that were not learned from.
        learned: those that were: `copying` is the mean distance (1 − IoU) to the nearest of them.
        by: distances, of BY.
    """
    found: dict[str, float] = {}
    for name in by:
        away = BY[name]
        across = away(made, real)
        found |= {
            f"mmd_{name}": mmd(across),
            f"coverage_{name}": coverage(across),
            f"nn_accuracy_{name}": nearest_neighbour_accuracy(
                away(made, made), across, away(real, real)
            ),
        }
    return found | {
        "occupancy_distance": occupancy_distance(made, real),
        "share_whole": share_whole(made),
        "share_round": share_round(made),
        "copying": float(overlap_distances(made, learned).min(axis=1).mean()),
    }
