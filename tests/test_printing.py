"""The missing piece for the printer: on the bed, and what of it makes trouble."""

import itertools
from typing import Any

import numpy as np
import pytest
import trimesh
from restored_bowl import MISSING, report
from turned_pots import bowl, sherd

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import missing_piece, printing, sentences, splits
from voxgan_jax.restore.pot import Completion

MATRIX = surface.frame((24, 24, 24), 2.0)
UP = -MATRIX[:3, 2] / 2.0


def box(size, at=(0.0, 0.0, 0.0)):
    return trimesh.creation.box(size, transform=trimesh.transformations.translation_matrix(at))


def prepared(mesh, original=None, matrix=MATRIX):
    far = box((1.0, 1.0, 1.0), (500.0, 0.0, 0.0))
    piece = missing_piece.MissingPiece(mesh, 0.3, 1, 0.0)
    return printing.prepare(piece, far if original is None else original, matrix, (12.0, 12.0))


def joined(*meshes) -> Any:
    return trimesh.util.concatenate(list(meshes))


@pytest.fixture(scope="module")
def pot():
    """A bowl of which a part was given, 2 mm a voxel."""
    whole = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2)
    labels = np.where(given, GIVEN, np.where(whole, INFERRED, 0)).astype(np.uint8)
    return Completion("pot", labels, whole.astype(np.float32), surface.frame(whole.shape, 2.0))


def test_the_upright_copy_stands_on_the_bed_with_z_up(pot, tmp_path):
    made = pot.printing
    assert made.upright.is_volume and made.upright.volume == pytest.approx(pot.missing.volume)
    low, high = made.upright.bounds
    assert low[2] == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(low[:2], -high[:2], atol=1e-3)
    # As high as the pot, in mm: along its axis, which in the file's coordinates is x.
    assert high[2] == pytest.approx(np.ptp(pot.missing.bounds[:, 0]), abs=1e-3)
    # What is low on the bed was low, or high, in the pot: its mesh is turned, not mirrored.
    back = pot.missing.vertices @ (UP if made.foot == "base" else -UP)
    np.testing.assert_allclose(back - back.min(), made.upright.vertices[:, 2], atol=1e-3)
    pot.write(tmp_path, ["stl"])
    read = trimesh.load_mesh(tmp_path / "pot_missing_upright.stl")
    assert read.is_volume and read.bounds[0, 2] == pytest.approx(0, abs=1e-3)


def test_every_body_stands_on_the_bed_beside_the_others():
    mesh = joined(box((4, 4, 4)), box((6, 4, 4), (0, 0, 30)), box((4, 4, 9), (20, 0, 50)))
    upright = prepared(mesh).upright
    bodies = upright.split()
    assert [body.bounds[0, 2] for body in bodies] == pytest.approx([0, 0, 0])
    ends = sorted((body.bounds[0, 0], body.bounds[1, 0]) for body in bodies)
    assert all(b[0] - a[1] == pytest.approx(5) for a, b in itertools.pairwise(ends))


def test_thin_walls_are_found():
    # A plate of 10 mm on which a fin of half a millimetre stands: half of what shows.
    plate, fin = box((40, 10, 20)), box((40, 0.5, 40), (0, 0, 30.5))
    share = prepared(joined(plate, fin)).thin_share
    area = 2 * 40 * 40 / joined(plate, fin).area
    assert share == pytest.approx(area, abs=0.05)
    assert prepared(plate).thin_share < 0.01
    assert prepared(box((40, 0.7, 20))).thin_share > 0.9
    assert prepared(box((40, 0.9, 20))).thin_share < 0.1


def test_loops_are_counted_over_all_bodies():
    ring = trimesh.creation.torus(10, 2)
    assert prepared(ring).loops == 1
    other = ring.copy()
    other.apply_translation((50, 0, 0))
    assert prepared(joined(ring, other, box((2, 2, 2), (0, 0, 40)))).loops == 2
    assert prepared(box((3, 4, 5))).loops == 0


def test_undercuts_are_what_no_way_in_avoids():
    piece = box((20, 20, 20))
    # The original on one side, and as a channel: three sides, which can be drawn out.
    side = box((20, 20, 4), (0, 0, 12.2))
    left, right = box((4, 20, 28), (12.2, 0, 0)), box((4, 20, 28), (-12.2, 0, 0))
    for original in (side, joined(side, left, right)):
        assert prepared(piece, original).undercut_share < 0.05
    below = box((20, 20, 4), (0, 0, -12.2))
    front, back = box((20, 4, 28), (0, 12.2, 0)), box((20, 4, 28), (0, -12.2, 0))
    shut = joined(side, left, right, below, front, back)
    assert prepared(piece, shut).undercut_share > 0.1
    assert prepared(piece).undercut_share == 0


def test_overhangs_are_what_looks_down_and_does_not_stand():
    block = box((20, 20, 20))
    assert prepared(block).overhang_share == 0
    head = box((20, 60, 60))
    head.apply_translation(20 * UP)
    table = joined(block, head)
    made = prepared(table)
    # On its head the table hangs over nowhere.
    assert made.foot == "rim" and made.overhang_share < 0.15


def test_slivers_are_left_out_and_told():
    """A skin of 0.3 mm beside the wall, of far more than eight voxels' volume."""
    wall, skin = box((40.0, 8.0, 40.0)), box((40.0, 0.3, 40.0), (0.0, 9.0, 0.0))
    piece = missing_piece.missing_piece(joined(wall, skin), box((4.0, 4.0, 4.0), (0, 40, 0)), 1.0)
    assert piece is not None and piece.pieces == 1
    assert piece.mesh.extents == pytest.approx([40, 8, 40], abs=0.1)
    assert piece.left_out == pytest.approx(0.3 * 1600, rel=0.05)
    # Of a small pot the walls themselves are so thin, and stay.
    small = missing_piece.missing_piece(skin, box((4.0, 4.0, 4.0), (0, 40, 0)), 0.15)
    assert small is not None


def test_cautions_are_told_in_words():
    text = sentences.missing(report(missing=MISSING))
    for words in (
        "2 % of its surface is thinner than 0.8 mm",
        "It has 5 loops or tunnels.",
        "10 % of the joint is undercut",
        "It can be put in as 2 parts, in the order of their files",
        "Printed standing on its rim, 25 % of its surface hangs over and needs supports.",
    ):
        assert words in text
    assert sentences.cautions(report()) == []
    assert "as it stands on the printer's bed" in sentences.file("a_missing_upright.stl")
    assert "a part of the missing piece" in sentences.file("a_missing_3.stl")


def test_parts_are_written_beside_the_piece_and_told(pot, tmp_path):
    made = pot.printing
    halves = [box((20.0, 10.0, 10.0)), box((10.0, 10.0, 10.0))]
    several = tuple(splits.Part(mesh, np.array([0.0, 0.6, 0.8])) for mesh in halves)
    names = ["pot_missing_1.stl", "pot_missing_2.stl"]
    for parts in (several, several[:1]):
        pot.__dict__["printing"] = made._replace(parts=parts)
        found = pot.write(tmp_path, ["stl", "html", "json"]).report
        assert [part.volume_mm3 for part in found.missing.parts] == [2000, 1000][: len(parts)]
        assert found.missing.parts[0].direction == (0.0, 0.6, 0.8)
        there = sorted(path.name for path in tmp_path.glob("*_missing_?.stl"))
        assert there == (names if len(parts) > 1 else [])
        assert set(there) <= set(found.files)
        page = (tmp_path / "pot.html").read_text()
        assert ("It can be put in as 2 parts" in page) == (len(parts) > 1)
    pot.__dict__["printing"] = made
