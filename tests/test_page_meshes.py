"""What a page holds of meshes and says in words, without a browser."""

import base64
import json

import numpy as np
import pytest
import trimesh
from restored_bowl import STEP, restored

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import page, page_meshes, page_text, volumes


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
    groups = {label: (name, "#000000") for label, name in volumes.NAMES.items()}
    part = page_meshes.pack("pot", view.pot, groups, view.labels, 10**6)
    corners, faces = unpacked(part)
    assert np.abs(corners - view.pot.vertices).max() <= max(view.pot.extents) / 65_535
    assert [group["name"] for group in part["groups"]] == list(volumes.NAMES.values())
    assert sum(map(len, faces)) == len(view.pot.faces) and part["closed"]
    found = trimesh.Trimesh(corners, np.concatenate(faces), process=False)
    assert found.volume == pytest.approx(view.pot.volume, rel=1e-4)
    json.dumps(part, allow_nan=False)


def test_more_corners_than_16_bits_number_are_kept():
    sphere = trimesh.creation.icosphere(subdivisions=7)
    assert len(sphere.vertices) > 65_535
    part = page_meshes.plain("a", sphere, "#ffffff", 10**6)
    corners, (faces,) = unpacked(part)
    assert part["groups"][0]["wide"] and len(faces) == len(sphere.faces)
    found = trimesh.Trimesh(corners, faces, process=False)
    assert found.volume == pytest.approx(sphere.volume, rel=1e-3)


def test_meshes_are_thinned_to_what_a_page_can_hold():
    sphere = trimesh.creation.icosphere(subdivisions=5)
    assert page_meshes.thinned(sphere, len(sphere.faces)) is sphere
    thin = page_meshes.thinned(sphere, 3000)
    assert len(thin.faces) <= 3000 and thin.is_volume
    assert thin.volume == pytest.approx(sphere.volume, rel=0.02)
    # A scan with a hole is no body.
    scan = sphere.copy()
    scan.update_faces(np.arange(len(scan.faces)) > 400)
    thin = page_meshes.thinned(scan, 3000)
    assert 300 < len(thin.faces) <= 3000
    np.testing.assert_allclose(thin.bounds, scan.bounds, atol=0.1)


def test_a_thinned_pot_keeps_its_colours_in_place(view):
    groups = {label: (name, "#000000") for label, name in volumes.NAMES.items()}
    whole = page_meshes.pack("pot", view.pot, groups, view.labels, 10**6)
    thin = page_meshes.pack("pot", view.pot, groups, view.labels, 1500)
    boxes = []
    for part in (whole, thin):
        corners, faces = unpacked(part)
        boxes.append([corners[np.unique(list_)].mean(axis=0) for list_ in faces])
    assert sum(len(list_) for list_ in unpacked(thin)[1]) <= 1500
    np.testing.assert_allclose(boxes[0], boxes[1], atol=2 * STEP)


def test_speckle_is_calmed_and_borders_stay():
    sheet = trimesh.creation.box((1, 1, 1)).subdivide_loop(iterations=1)
    for _ in range(4):
        sheet = sheet.subdivide()
    left = sheet.triangles_center[:, 0] < 0
    labels = np.where(left, GIVEN, INFERRED)
    rng = np.random.default_rng(0)
    speckled = labels.copy()
    flecks = rng.random(len(labels)) < 0.1
    speckled[flecks] = np.where(left, INFERRED, GIVEN)[flecks]
    calm = page_meshes.calmed(sheet, speckled)
    assert (calm == labels).mean() > 0.98 > (speckled == labels).mean()
    assert (page_meshes.calmed(sheet, labels) == labels).mean() > 0.98
    one = np.full(len(labels), GIVEN)
    assert (page_meshes.calmed(sheet, one) == one).all()


def test_the_view_stands_a_pot_however_it_lies(view):
    found = page_meshes.place(view.pot, view.labels, view.matrix)
    assert found["up"] == pytest.approx([0, 0, 1])
    assert found["height"] == pytest.approx(view.pot.extents[2])
    centre = np.array(found["centre"])
    assert centre == pytest.approx(view.pot.bounds.mean(axis=0), abs=0.3 * STEP)
    sherd = view.original.centroid - centre
    assert np.array(found["front"]) @ sherd > 0.95 * np.hypot(*sherd[:2])
    turn = trimesh.transformations.rotation_matrix(1.0, [1, 2, 3], [30, 0, 0])
    other = view.pot.copy()
    other.apply_transform(turn)
    moved = page_meshes.place(other, view.labels, turn @ view.matrix)
    for name in ("up", "front"):
        assert moved[name] == pytest.approx((turn[:3, :3] @ found[name]).tolist(), abs=1e-6)
    assert moved["radius"] == pytest.approx(found["radius"])
    assert moved["centre"] == pytest.approx((turn @ [*centre, 1])[:3].tolist())


def test_a_pot_without_a_sherd_can_be_stood_as_well(view):
    labels = np.full(len(view.pot.faces), INFERRED)
    found = page_meshes.place(view.pot, labels, surface.frame((24, 24, 24), STEP, up="z"))
    assert np.linalg.norm(found["front"]) == pytest.approx(1)
    assert np.dot(found["front"], found["up"]) == pytest.approx(0)


def test_json_in_a_script_element_ends_no_script():
    text = page.script_json({"a": "</script><!--\u2028"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"a": "</script><!--\u2028"}


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({}, "Part of this pot is a guess by a model; do not cite it as a find."),
        ({"share_inferred": 0.0}, "Nothing of this pot is inferred: all of it was given."),
        ({"share_inferred": 0.996}, "More than 99 % of this pot is a guess by a model; do not"),
        ({"given_voxels": 1, "inferred_voxels": 3}, "75 % of this pot is a guess by a model;"),
        (
            {"share_inferred": 0.68, "model": {"name": "m", "training_data": {"name": "pots"}}},
            "68 % of this pot is a guess by a model (m) trained on pots; do not cite it as a find.",
        ),
        ({"share_inferred": 0.68, "model": "m64"}, "68 % of this pot is a guess by a model (m64);"),
    ],
)
def test_what_is_a_guess_is_said_plainly(report, said):
    assert page_text.statement(report).startswith(said)


@pytest.mark.parametrize(
    ("report", "noted"),
    [
        ({"input": {"file": "a.vox"}}, True),
        ({"input": {"file": "a.vox"}, "options": {"voxel_mm": 2.0}}, False),
        ({"input": {"file": "a.stl"}}, False),
        ({}, False),
    ],
)
def test_sizes_without_a_scale_are_marked(report, noted):
    text = page_text.measures(report | {"measures": {"height_mm": 3.0, "capacity_ml": 1.2345}})
    assert ("3.0 mm" in text and "1.23 ml" in text) == (not noted)
    assert ("3.0 voxels" in text and "1 234 voxels" in text) == noted
    assert ("No scale given; 1 voxel taken as 1 mm" in text) == noted


@pytest.mark.parametrize(("share", "noted"), [(0.5, True), (0.98, False)])
def test_what_is_not_round_is_marked(share, noted):
    text = page_text.measures({"measures": {"height_mm": 3.0, "round_share": share}})
    assert ("only 50 % of the clay" in text) == noted


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((145, 860, 95), ("given 14 %", "inferred 76 %", "uncertain 10 %")),
        ((1, 999, 0), ("given less than 1 %", "inferred more than 99 %")),
        ((5, 0, 0), ("given 100 %",)),
    ],
)
def test_shares_make_a_hundred(counts, said):
    names = ("given", "inferred", "uncertain")
    report = dict(zip((f"{name}_voxels" for name in names), counts, strict=True))
    report["inferred_voxels"] = counts[1]
    text = page_text.shares(report)
    found = [part.split("</span>")[-1] for part in text.split("</li>")[:-1]]
    assert tuple(found) == said


def test_numbers_have_no_false_precision():
    found = [page_text.number(*pair) for pair in ((156.75, "mm"), (5.347, "mm"), (1949.3, "ml"))]
    assert found == ["157 mm", "5.3 mm", "1.95 l"]
    assert page_text.number(28.05, "ml") == "28.1 ml" and page_text.number(0.5, "ml") == "0.50 ml"


def test_a_page_that_cannot_be_written_leaves_nothing(view, tmp_path):
    with pytest.raises(FileNotFoundError):
        page.write_page(tmp_path / "no" / "a.html", view)
    target = tmp_path / "a.html"
    target.mkdir()
    with pytest.raises(OSError):
        page.write_page(target, view)
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
