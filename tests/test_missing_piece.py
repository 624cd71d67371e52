"""The missing piece: watertight, and nowhere nearer to the original than it may be."""

import numpy as np
import pytest
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
