"""Fewer faces: a body stays a body, and what has holes keeps its place."""

import numpy as np
import pytest
import trimesh

from voxgan_jax.geometry import simplify


def test_meshes_are_thinned_to_a_budget():
    sphere = trimesh.creation.icosphere(subdivisions=5)
    assert simplify.thinned(sphere, len(sphere.faces))[0] is sphere
    thin, _ = simplify.thinned(sphere, 3000)
    assert len(thin.faces) <= 3000 and thin.is_volume
    assert thin.volume == pytest.approx(sphere.volume, rel=0.02)
    # A scan with a hole is no body.
    scan = sphere.copy()
    scan.update_faces(np.arange(len(scan.faces)) > 400)
    thin, _ = simplify.thinned(scan, 3000)
    assert 300 < len(thin.faces) <= 3000
    np.testing.assert_allclose(thin.bounds, scan.bounds, atol=0.1)


def test_borders_of_labels_stay_where_they_are():
    sphere = trimesh.creation.icosphere(subdivisions=5)
    labels = (sphere.triangles_center[:, 2] > 0.3) + 2
    border = sphere.triangles[labels == 3][..., 2].min()
    thin, kept = simplify.thinned(sphere, 2000, labels)
    assert len(kept) == len(thin.faces) <= 2000
    assert thin.area_faces[kept == 3].sum() == pytest.approx(2 * np.pi * 0.7, rel=0.05)
    assert thin.triangles[kept == 3][..., 2].min() > border - 0.02
