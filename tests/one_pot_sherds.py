"""Loose sherds of one turned pot in poses that are known; and a model that knows the pot."""

import jax.numpy as jnp
import numpy as np
import trimesh
import turned_sherds

from voxgan_jax.inference.completer import Completer
from voxgan_jax.placement import locator

WALL = 6.0
FOOT, RIM = -60.0, 60.0
"""Where the pot ends along its axis, which is z."""
HEIGHT = RIM - FOOT
STEP = HEIGHT / locator.LONGEST
"""The side of the model's voxels in mm, of a pot that is told to be so high."""


def radius(height: np.ndarray) -> np.ndarray:
    """The outer one in mm, of a belly below and a neck above."""
    return 54 - 0.008 * (height + 20) ** 2 + 6 * np.tanh(height / 20)


def sherd(low: float, high: float, degrees: float = 45.0) -> trimesh.Trimesh:
    """The wall between two heights, a scan with some noise."""
    height = np.linspace(low, high, 41)
    outer = np.stack([radius(height), height], 1)
    return turned_sherds.sherd(outer, outer - [WALL, 0], degrees, noise=0.05)


def pot(side: int = 64) -> np.ndarray:
    """The pot in the middle of a cube, the rim at low w."""
    across = (np.arange(side) - (side - 1) / 2) * STEP
    height = -across
    rings = np.hypot(across[:, None], across)[..., None]
    inside = (height > FOOT) & (height < RIM) & (rings < radius(height))
    return inside & ((rings > radius(height) - WALL) | (height < FOOT + WALL))


def knowing(side: int = 64) -> Completer:
    """A model whose answer is always this pot."""
    answer = jnp.asarray(pot(side)[..., None], jnp.float32)

    def predict(partial):
        return jnp.broadcast_to(answer, partial.shape)

    about = {"file": "known", "sha256": "0"}
    return Completer(predict, side, 1, "center", 0.5, about=about)


def scattered(*sherds: trimesh.Trimesh) -> tuple[list[trimesh.Trimesh], list[np.ndarray]]:
    """Each in a pose of its own, and the matrices that brought them there."""
    moved, poses = zip(*map(turned_sherds.turned, sherds, range(len(sherds))), strict=True)
    return list(moved), list(poses)
