"""Points on a mesh and lines through it: near enough, exact, and no more than can be borne."""

from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree

from voxgan_jax.geometry import voxelise


def some_triangle(rng, kind):
    corners = rng.normal(size=(3, 3)) * np.exp(rng.uniform(-3, 3, (3, 1)))
    if kind == "thin":
        corners[2] = corners[0] + rng.random() * (corners[1] - corners[0]) + 0.05 * rng.random(3)
    return corners


@pytest.mark.parametrize("kind", ["any", "thin"])
def test_no_point_of_a_triangle_is_further_from_the_samples_than_promised(kind):
    rng = np.random.default_rng(0)
    for _ in range(200):
        corners, spacing = some_triangle(rng, kind), float(np.exp(rng.uniform(-1.5, 1)))
        mesh = trimesh.Trimesh(corners, [[0, 1, 2]], process=False)
        samples = voxelise.sample(mesh, spacing)
        points = rng.dirichlet([0.7] * 3, 1000) @ corners
        assert KDTree(samples).query(points)[0].max() <= spacing / np.sqrt(3)
        np.testing.assert_array_less(KDTree(points).query(samples)[0], 5 * spacing)


def test_samples_of_a_long_triangle_go_with_its_length():
    mesh = trimesh.Trimesh([[0, 0, 0], [1e5, 0, 0], [3e4, 0.1, 0]], [[0, 1, 2]], process=False)
    assert 1e5 < len(voxelise.sample(mesh, 1.0)) < 4e5
    # And where it passes through a grid it is found there, whatever lies beyond.
    found = voxelise.voxelise(mesh, (3e4, -2.0, -2.0), 1.0, (10, 4, 4))
    np.testing.assert_array_equal(np.argwhere(found), [[n, 2, 2] for n in range(10)])


def test_a_line_meets_big_faces_where_it_meets_small_ones():
    """A turned box is filled alike, be its faces big or small."""
    rng = np.random.default_rng(3)
    box = trimesh.creation.box((20.0, 14.0, 9.0))
    slivers: Any = box.subdivide_to_size(3.0)
    turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
    for mesh in (box, slivers):
        mesh.apply_transform(turn)
    grid = ((-14.0, -14.0, -14.0), 0.5, (56, 56, 56))
    np.testing.assert_array_equal(voxelise.inside(box, *grid), voxelise.inside(slivers, *grid))
    assert abs(voxelise.inside(box, *grid).sum() / 8 - 20 * 14 * 9) < 40


@pytest.mark.parametrize("function", [voxelise.inside, voxelise.voxelise])
def test_what_would_take_too_long_is_refused(function):
    corners = np.random.default_rng(0).uniform(0, 100, (60_000, 3))
    tangle = trimesh.Trimesh(corners, np.arange(60_000).reshape(-1, 3), process=False)
    with pytest.raises(
        ValueError, match=r"so big and so many \(\S+ steps .* limit of \S+\) .*_SECONDS=\d+$"
    ):
        function(tangle, (0.0, 0.0, 0.0), 0.5, (200, 200, 200))
    with pytest.raises(ValueError, match="so big and so many"):
        voxelise.sample(tangle, 0.1)
