"""What a mesh encloses, and whether it bounds a body, as trimesh tells it."""

import numpy as np
import pytest
import trimesh

from voxgan_jax.geometry import solids


def test_a_volume_is_trimeshs_wherever_the_mesh_lies():
    for mesh in (trimesh.creation.icosphere(3), trimesh.creation.annulus(2, 5, 4)):
        assert solids.volume(mesh.vertices, mesh.faces) == pytest.approx(mesh.volume, rel=1e-12)
        far = mesh.copy()
        far.apply_translation([1e5, -2e5, 3e5])
        assert solids.volume(far.vertices, far.faces) == pytest.approx(mesh.volume, rel=1e-9)
        mesh.invert()
        assert (
            solids.volume(mesh.vertices, mesh.faces) == pytest.approx(mesh.volume, rel=1e-12)
            and mesh.volume < 0
        )


def test_a_body_is_closed_and_looks_outwards():
    ball = trimesh.creation.icosphere(2)
    inside_out, open_, mixed = (ball.copy() for _ in range(3))
    inside_out.invert()
    open_.update_faces(np.arange(len(ball.faces)) > 0)
    mixed.faces = np.vstack([ball.faces[:1, ::-1], ball.faces[1:]])
    for mesh, expected in ((ball, True), (inside_out, False), (open_, False), (mixed, False)):
        assert solids.is_body(mesh) is expected is mesh.is_volume
