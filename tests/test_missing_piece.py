"""The missing piece: watertight, and nowhere nearer to the original than it may be."""

from typing import Any

import numpy as np
import pytest
import trimesh
from turned_pots import bowl, sherd

from voxgan_jax.geometry import surface as mesh
from voxgan_jax.geometry import voxelise
from voxgan_jax.report import missing_piece


def surface(occupied, matrix=None, probabilities=None, given=None):
    field = mesh.smooth(occupied, probabilities, given)
    level = mesh.find_level(field, occupied)
    matrix = mesh.frame(occupied.shape) if matrix is None else matrix
    return mesh.surface(field, occupied, matrix, level)


@pytest.mark.parametrize(("step", "clearance"), [(1.0, 0.2), (4.0, 0.2), (2.0, 1.5)])
def test_the_missing_piece_keeps_its_distance(step, clearance):
    pot = bowl()
    given = sherd(pot)
    matrix = mesh.frame(pot.shape, step)
    whole, original = surface(pot, matrix, None, given), surface(given, matrix)
    piece = missing_piece.missing_piece(whole, original, step, clearance)
    assert piece is not None and piece.pieces == 1
    assert piece.mesh.is_volume
    # Measured another way than the piece was: by points on both.
    points = voxelise.sample(original, step / 6), voxelise.sample(piece.mesh, step / 3)
    nearest = (
        missing_piece.KDTree(points[0]).query(points[1], distance_upper_bound=3 * step)[0].min()
    )
    assert clearance <= piece.gap <= nearest
    assert nearest < clearance + 0.5 * step
    assert not voxelise.inside(piece.mesh, (0.0, 0.0, 0.0), step, (24,) * 3)[
        np.flip(given, 1).transpose(2, 0, 1)
    ].any()
    # What is lost to the clearance is a skin along the break.
    assert 0.85 < piece.mesh.volume / step**3 / (pot & ~given).sum() < 1.02


def test_where_the_gap_hardly_grows_with_the_level_it_is_kept_all_the_same(monkeypatch):
    """As where the nearest place is a corner: a fifth of what the level is raised by is gained."""
    pot = bowl()
    whole, original = surface(pot), surface(sherd(pot))
    tried = []

    def gap(piece, exact, tree, limit):
        tried.append(limit)
        return 0.1 + 0.2 * (limit - tried[0])

    monkeypatch.setattr(missing_piece, "_gap", gap)
    piece = missing_piece.missing_piece(whole, original, 1.0, 0.2)
    assert piece is not None and piece.gap >= 0.2
    assert 6 < len(tried) <= 10 and tried[-1] < tried[0] + 0.8


def test_where_no_level_keeps_it_clear_that_is_said(monkeypatch):
    pot = bowl()
    whole, original = surface(pot), surface(sherd(pot))
    monkeypatch.setattr(missing_piece, "_gap", lambda *_: 0.0)
    with pytest.raises(ValueError, match=r"no missing piece keeps 0.2 mm .* another --clearance"):
        missing_piece.missing_piece(whole, original, 1.0, 0.2)


def test_a_whole_pot_lacks_nothing():
    made = surface(bowl(16))
    assert missing_piece.missing_piece(made, made, 1.0) is None
    with pytest.raises(ValueError, match="clearance -1 mm: give 0 or more"):
        missing_piece.missing_piece(made, made, 1.0, -1.0)


def test_an_open_scan_can_be_kept_clear_of_as_well():
    pot = bowl()
    given = sherd(pot)
    original = surface(given)
    original.update_faces(np.arange(len(original.faces)) > 40)
    assert not original.is_watertight
    piece = missing_piece.missing_piece(surface(pot, None, None, given), original, 1.0, 0.3)
    assert piece is not None and piece.mesh.is_volume
    points = voxelise.sample(original, 0.2), voxelise.sample(piece.mesh, 0.3)
    assert missing_piece.KDTree(points[0]).query(points[1], distance_upper_bound=2)[0].min() >= 0.28


def test_an_original_that_is_no_manifold_is_taken_by_its_samples():
    """Two boxes that share an edge: closed, and four faces meet there."""
    one = trimesh.creation.box((4.0, 4.0, 4.0))
    two = trimesh.creation.box((4.0, 4.0, 4.0), transform=moved(4, 4, 0))
    both: Any = trimesh.util.concatenate([one, two])
    both.merge_vertices()
    whole = trimesh.creation.box((20.0, 20.0, 20.0))
    piece, why = missing_piece.attempt(whole, both, 1.0, 0.2)
    assert why is None and piece is not None and piece.gap >= 0.2


def moved(*by):
    return trimesh.transformations.translation_matrix([float(value) for value in by])


def test_why_there_is_no_piece_is_said_and_all_else_is_made():
    corners = np.random.default_rng(0).uniform(-10, 10, (30_000, 3))
    tangle = trimesh.Trimesh(corners, np.arange(30_000).reshape(-1, 3), process=False)
    whole = trimesh.creation.box((20.0, 20.0, 20.0))
    piece, why = missing_piece.attempt(whole, tangle, 0.5, 0.2)
    assert piece is None and why and "so big and so many" in why
    with pytest.raises(ValueError, match="give 0 or more"):
        missing_piece.attempt(whole, tangle, 0.5, -1.0)


def test_slivers_are_told_by_volume_and_thickness_each_body_by_itself():
    """A block, a plate of 0.3 mm and a crumb: only the block is left, wherever they lie."""
    import manifold3d

    def box(sides, corner):
        return manifold3d.Manifold.cube(sides).translate(corner)

    block, plate, crumb = (
        box((5, 5, 5), (1000, 0, 0)),
        box((9, 9, 0.3), (1010, 0, 0)),
        box((1, 1, 1), (1030, 0, 0)),
    )
    piece, count = missing_piece._without_slivers(block + plate + crumb, 1.0)
    assert piece is not None and count == 1
    assert piece.volume() == pytest.approx(125, rel=1e-9)
    assert missing_piece._without_slivers(plate + crumb, 1.0) == (None, 0)
    two, count = missing_piece._without_slivers(block + block.translate((20, 0, 0)), 1.0)
    assert two is not None and count == 2 and two.volume() == pytest.approx(250, rel=1e-9)
