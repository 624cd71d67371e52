"""A restored pot is the scan itself where there is one, and meets it without a step."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree
from turned_solids import BOWL, polygon, sampled, voxels

from voxgan_jax.geometry import lathe, solids, surface, voxelise
from voxgan_jax.inference import round_pot
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import meshes, missing_piece, seam

STEP = 2.0
FRAME = surface.frame((64, 64, 64), STEP, up="z")
POT = polygon(*BOWL)
AWAY = 0.8
"""In mm: so far out of its place in the pot the scan lies."""


def scan():
    """A part of the wall, cut slantwise, with the rim."""
    whole = lathe.mesh(sampled(POT), FRAME, spacing=1.0)
    high = whole.bounds[0][2] + 60
    wedge = trimesh.creation.box((60.0, 30.0, 200.0))
    wedge.apply_transform(trimesh.transformations.rotation_matrix(0.4, [1, 0, 0]))
    wedge.apply_translation([whole.bounds[1][0] - 10, whole.bounds.mean(0)[1], high])
    both = (solids.solid(mesh.vertices, mesh.faces) for mesh in (whole, wedge))
    made, _ = solids.mesh(next(both) ^ next(both), STEP)
    made.apply_translation([AWAY, 0, AWAY / 2])
    return made


@pytest.fixture(scope="module")
def restored():
    sherd = scan()
    turned = sherd.copy()
    turned.apply_transform(np.linalg.inv(FRAME))
    given = voxelise.voxelise(turned, (-0.5,) * 3, 1.0, (64, 64, 64))
    pot = voxels(POT) | given
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    belief = pot.astype(np.float32)
    section = round_pot.section_of(labels, belief, (31.5, 31.5))
    assert section is not None
    return sherd, labels, belief, section


def test_the_pot_is_the_scan_where_there_is_one(restored):
    sherd, labels, belief, section = restored
    made = meshes.surfaces(labels, belief, FRAME, sherd, section)
    assert made.pot.is_volume and len(made.pot.split()) == 1
    own = made.pot.triangles_center[made.labels == GIVEN]
    away = KDTree(voxelise.sample(sherd, 0.2)).query(own)[0]
    # Single precision, and a simplified scan; grooves that the pot fills are its own.
    assert np.quantile(away, 0.95) < 0.2
    area = made.pot.area_faces[made.labels == GIVEN].sum()
    # But for the break edges all of its surface shows.
    assert 0.75 * sherd.area < area < 0.98 * sherd.area


def test_the_seam_has_no_step_and_the_pot_is_itself_again_beyond_a_wall(restored):
    sherd, _, _, section = restored
    pot = round_pot.mesh(section, FRAME)
    fit = seam.fitted(pot, sherd, STEP)
    assert fit.mesh.is_volume and fit.body.is_volume
    moved = np.linalg.norm(fit.mesh.vertices - pot.vertices, axis=1)
    away = KDTree(voxelise.sample(sherd, 0.5)).query(pot.vertices)[0]
    thick = 2 * pot.volume / pot.area
    assert moved[away > 1.4 * thick].max() == 0
    over = np.unique(pot.faces[fit.over])
    assert 0.5 * AWAY < moved[over].max() < 2 * AWAY
    # Along no edge of the mesh does the move change by much: that would be a step.
    ends = fit.mesh.edges_unique
    change = np.abs(moved[ends[:, 0]] - moved[ends[:, 1]])
    assert change.max() < 0.75 * moved.max()
    # The vertices over the scan lie on it, those of the body under it.
    assert (
        np.quantile(KDTree(voxelise.sample(sherd, 0.2)).query(fit.mesh.vertices[over])[0], 0.9)
        < 0.2
    )
    assert fit.body.volume < fit.mesh.volume


def test_an_open_scan_is_approached_and_the_pot_stays_closed(restored):
    sherd, labels, belief, section = restored
    half = sherd.copy()
    half.update_faces(half.face_normals[:, 0] > -0.2)
    assert not half.is_watertight
    made = meshes.surfaces(labels, belief, FRAME, half, section)
    assert made.pot.is_volume
    given = made.pot.area_faces[made.labels == GIVEN].sum()
    assert 0.6 * half.area < given < 1.3 * half.area


def test_a_fine_scan_s_noise_hides_no_sherd(restored):
    """Faces of a quarter of a voxel, each of which looks some 20° past where the wall does."""
    sherd, labels, belief, section = restored
    vertices, faces, *_ = trimesh.remesh.subdivide_to_size(sherd.vertices, sherd.faces, STEP / 4)
    rough = trimesh.Trimesh(vertices, faces)
    rough.vertices += np.random.default_rng(0).normal(0.0, 0.1, rough.vertices.shape)
    looks = rough.face_normals[KDTree(rough.triangles_center).query(sherd.triangles_center)[1]]
    off = np.degrees(np.arccos(np.clip((looks * sherd.face_normals).sum(1), -1, 1)))
    assert 10 < np.median(off) < 40
    rough.update_faces(np.arange(len(rough.faces)) > 0)  # Open, so that it is not united.
    made = meshes.surfaces(labels, belief, FRAME, rough, section)
    given = made.pot.area_faces[made.labels == GIVEN].sum()
    assert 0.7 * sherd.area < given < sherd.area
    own = made.pot.triangles_center[made.labels == GIVEN]
    assert np.quantile(KDTree(voxelise.sample(sherd, 0.2)).query(own)[0], 0.9) < 0.3


def test_the_missing_piece_keeps_its_distance_from_the_scan(restored):
    sherd, labels, belief, section = restored
    made = meshes.surfaces(labels, belief, FRAME, sherd, section)
    piece = missing_piece.missing_piece(made.body, sherd, STEP, 0.2)
    assert piece is not None and piece.mesh.is_volume and piece.gap >= 0.2 and piece.pieces == 1
    assert piece.mesh.volume < made.pot.volume - 0.9 * sherd.volume
