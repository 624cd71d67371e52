"""What a page holds of meshes, without a browser."""

import base64
import json

import numpy as np
import pytest
import trimesh
from restored_bowl import STEP, restored

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import INFERRED
from voxgan_jax.report import meshes, scene


def unpacked(part):
    """The mesh of a packed part, as the viewer reads it."""
    corners = np.frombuffer(base64.b64decode(part["corners"]), "<u2").reshape(-1, 3)
    corners = np.array(part["low"]) + corners * np.array(part["step"])
    faces = [
        np.frombuffer(base64.b64decode(group["faces"]), "<u4" if group["wide"] else "<u2")
        for group in part["groups"]
    ]
    return corners, [list_.reshape(-1, 3).astype(int) for list_ in faces]


@pytest.fixture(scope="module")
def view():
    return restored()


def test_a_packed_mesh_is_the_mesh_to_16_bits(view):
    groups = {label: (name, "#000000") for label, name in meshes.NAMES.items()}
    part = scene.pack("pot", view.surfaces.pot, groups, view.surfaces.labels, 10**6)
    corners, faces = unpacked(part)
    assert (
        np.abs(corners - view.surfaces.pot.vertices).max()
        <= max(view.surfaces.pot.extents) / 65_535
    )
    assert [group["name"] for group in part["groups"]] == list(meshes.NAMES.values())
    assert sum(map(len, faces)) == len(view.surfaces.pot.faces) and part["closed"]
    found = trimesh.Trimesh(corners, np.concatenate(faces), process=False)
    assert found.volume == pytest.approx(view.surfaces.pot.volume, rel=1e-4)
    json.dumps(part, allow_nan=False)


def test_more_corners_than_16_bits_number_are_kept():
    sphere = trimesh.creation.icosphere(subdivisions=7)
    assert len(sphere.vertices) > 65_535
    part = scene.plain("a", sphere, "#ffffff", 10**6)
    corners, (faces,) = unpacked(part)
    assert part["groups"][0]["wide"] and len(faces) == len(sphere.faces)
    found = trimesh.Trimesh(corners, faces, process=False)
    assert found.volume == pytest.approx(sphere.volume, rel=1e-3)


def test_a_thinned_pot_keeps_its_colours_in_place(view):
    groups = {label: (name, "#000000") for label, name in meshes.NAMES.items()}
    whole = scene.pack("pot", view.surfaces.pot, groups, view.surfaces.labels, 10**6)
    thin = scene.pack("pot", view.surfaces.pot, groups, view.surfaces.labels, 1500)
    boxes = []
    for part in (whole, thin):
        corners, faces = unpacked(part)
        parts = [trimesh.Trimesh(corners, list_, process=False) for list_ in faces]
        boxes.append([each.area_faces @ each.triangles_center / each.area for each in parts])
    assert sum(len(list_) for list_ in unpacked(thin)[1]) <= 1500
    np.testing.assert_allclose(boxes[0], boxes[1], atol=2 * STEP)


def test_the_view_stands_a_pot_however_it_lies(view):
    found = scene.place(view.surfaces.pot, view.surfaces.labels, view.matrix)
    assert found["up"] == pytest.approx([0, 0, 1])
    assert found["height"] == pytest.approx(view.surfaces.pot.extents[2])
    centre = np.array(found["centre"])
    assert centre == pytest.approx(view.surfaces.pot.bounds.mean(axis=0), abs=0.3 * STEP)
    sherd = view.surfaces.original.centroid - centre
    assert np.array(found["front"]) @ sherd > 0.95 * np.hypot(*sherd[:2])
    turn = trimesh.transformations.rotation_matrix(1.0, [1, 2, 3], [30, 0, 0])
    other = view.surfaces.pot.copy()
    other.apply_transform(turn)
    moved = scene.place(other, view.surfaces.labels, turn @ view.matrix)
    for name in ("up", "front"):
        assert moved[name] == pytest.approx((turn[:3, :3] @ found[name]).tolist(), abs=1e-3)
    assert moved["radius"] == pytest.approx(found["radius"], rel=1e-3)
    assert moved["centre"] == pytest.approx((turn @ [*centre, 1])[:3].tolist(), abs=0.1)


def test_a_pot_without_a_sherd_can_be_stood_as_well(view):
    labels = np.full(len(view.surfaces.pot.faces), INFERRED)
    found = scene.place(view.surfaces.pot, labels, surface.frame((24, 24, 24), STEP, up="z"))
    assert np.linalg.norm(found["front"]) == pytest.approx(1)
    assert np.dot(found["front"], found["up"]) == pytest.approx(0)
