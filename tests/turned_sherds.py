"""Sherds of surfaces of revolution, as meshes whose axis is known; and a model for them."""

import jax.numpy as jnp
import numpy as np
import trimesh

from voxgan_jax.inference.completer import Completer


def sherd(
    outer: np.ndarray, inner: np.ndarray, degrees: float, *, noise: float = 0.0, seed: int = 0
) -> trimesh.Trimesh:
    """Two lines of (radius, height) turned about z by an angle, closed along the four breaks.

    Args:
        noise: standard deviation of the vertices' distance from where they should be.
    """
    turns = np.radians(np.linspace(-degrees / 2, degrees / 2, 61))
    lines = np.stack([outer, inner])
    out = np.stack([np.cos(turns), np.sin(turns), np.zeros_like(turns)], 1)
    points = lines[:, None, :, :1] * out[None, :, None] + lines[:, None, :, 1:] * [0, 0, 1]
    sides, rows, columns = points.shape[:3]
    index = np.arange(sides * rows * columns).reshape(sides, rows, columns)
    # All turned outwards, or all inwards.
    grids = [
        index[0],
        index[1].T,
        index[:, 0].T,
        index[:, -1],
        index[:, :, 0],
        index[:, :, -1].T,
    ]
    faces = []
    for grid in grids:
        a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
        faces += [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    vertices = points.reshape(-1, 3)
    vertices = vertices + np.random.default_rng(seed).normal(0, noise or 1e-9, vertices.shape)
    made = trimesh.Trimesh(vertices, np.concatenate(faces), process=False)
    if made.volume < 0:
        made.invert()
    assert made.is_volume
    return made


def cone(degrees: float = 60.0, **options) -> trimesh.Trimesh:
    """A wall of 6 mm, 60 mm high, of a cone whose radius grows from 50 to 80 mm."""
    height = np.linspace(20, 80, 41)
    outer = np.stack([40 + height / 2, height], 1)
    return sherd(outer, outer - [6 * np.hypot(1, 0.5), 0], degrees, **options)


def bellied(degrees: float = 60.0, **options) -> trimesh.Trimesh:
    """The same of a belly whose profile is a parabola, 80 mm in radius at its widest."""
    height = np.linspace(-35, 45, 51)
    outer = np.stack([80 - 0.009 * height**2, height], 1)
    return sherd(outer, outer - [6.0, 0], degrees, **options)


def necked(degrees: float = 60.0, **options) -> trimesh.Trimesh:
    """The same of a shoulder, a neck of 45 mm and a lip that leans out."""
    height = np.linspace(0, 90, 61)
    radius = 45 + 35 / (1 + np.exp((height - 35) / 6)) + 12 / (1 + np.exp((85 - height) / 4))
    outer = np.stack([radius, height], 1)
    return sherd(outer, outer - [6.0, 0], degrees, **options)


def spherical(degrees: float = 60.0, **options) -> trimesh.Trimesh:
    """The same of a sphere with a radius of 80 mm about 0."""
    angle = np.radians(np.linspace(-25, 30, 51))
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    return sherd(80 * unit, 74 * unit, degrees, **options)


def turned(made: trimesh.Trimesh, seed: int = 3) -> tuple[trimesh.Trimesh, np.ndarray]:
    """The mesh in a random pose, and the matrix that brought it there."""
    rng = np.random.default_rng(seed)
    pose = trimesh.transformations.random_rotation_matrix(rng.random(3))
    pose[:3, 3] = rng.uniform(-200, 200, 3)
    moved = made.copy()
    moved.apply_transform(pose)
    return moved, pose


def turning(resolution: int = 64) -> Completer:
    """A completer that turns what it is given about the middle of the cube, height by height."""
    offset = np.arange(resolution) - (resolution - 1) / 2
    ring = np.rint(np.hypot(offset[:, None], offset)).astype(int).ravel()

    def predict(partial):
        out = np.zeros(partial.shape, np.float32)
        for row, volume in enumerate(np.asarray(partial)[..., 0]):
            columns = volume.reshape(-1, resolution)
            known = np.zeros((ring.max() + 1, resolution), np.float32)
            np.maximum.at(known, ring, columns)
            out[row, ..., 0] = known[ring].reshape(volume.shape)
        return jnp.asarray(out)

    return Completer(predict, resolution, 1, "center", 0.5)
