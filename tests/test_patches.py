"""Labels of faces: speckle and specks go, borders and true patches stay."""

import numpy as np
import pytest
import trimesh

from voxgan_jax.geometry import patches

FIRST, OTHER, THIRD = 1, 2, 3


@pytest.fixture(scope="module")
def sheet():
    """Two triangles for each of 40 × 40 square voxels."""
    x, y = np.meshgrid(np.arange(41.0), np.arange(41.0), indexing="ij")
    corner = np.arange(41 * 41).reshape(41, 41)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    faces = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    corners = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    return trimesh.Trimesh(corners, faces, process=False)


def calmed(mesh, labels, first: int | None = FIRST):
    return patches.calmed(mesh.faces, mesh.area_faces, labels, first)


def square(mesh, side, at=(5, 5)):
    return (np.abs(mesh.triangles_center[:, :2] - at) < side / 2).all(axis=1)


def test_speckle_is_calmed_and_borders_stay(sheet):
    left = sheet.triangles_center[:, 0] < 20
    labels = np.where(left, FIRST, OTHER)
    flecks = np.random.default_rng(0).random(len(labels)) < 0.1
    speckled = np.where(flecks, FIRST + OTHER - labels, labels)
    for first in (FIRST, None):
        calm = calmed(sheet, speckled, first)
        assert (calm == labels).mean() > 0.98 > (speckled == labels).mean()
        assert (calmed(sheet, labels, first) == labels).mean() > 0.98
    one = np.full(len(labels), FIRST)
    assert (calmed(sheet, one) == one).all()


@pytest.mark.parametrize(
    ("around", "inside", "side", "stays"),
    [
        (FIRST, OTHER, 5, False),
        (FIRST, OTHER, 9, True),
        # What is given may be small.
        (OTHER, FIRST, 6, True),
        (OTHER, FIRST, 3, False),
    ],
)
def test_a_speck_takes_the_label_that_it_lies_in(sheet, around, inside, side, stays):
    labels = np.full(len(sheet.faces), around)
    labels[sheet.triangles_center[:, 0] > 28] = inside
    far = square(sheet, side, at=(12, 20))
    labels[far] = inside
    found = calmed(sheet, labels)
    assert (found[far] == inside).any() == stays
    assert (found[sheet.triangles_center[:, 0] > 29] == inside).all()


def test_specks_of_several_labels_side_by_side_go_together(sheet):
    labels = np.full(len(sheet.faces), FIRST)
    labels[sheet.triangles_center[:, 0] > 28] = OTHER
    labels[sheet.triangles_center[:, 0] > 34] = THIRD
    labels[square(sheet, 4, at=(10, 20))] = OTHER
    labels[square(sheet, 4, at=(14, 20))] = THIRD
    found = calmed(sheet, labels)
    assert (found[sheet.triangles_center[:, 0] < 27] == FIRST).all()
    assert set(found) == {FIRST, OTHER, THIRD}


def test_what_is_small_alone_stays(sheet):
    """A label has no bigger patch, and a body borders on nothing."""
    labels = np.full(len(sheet.faces), OTHER)
    labels[square(sheet, 4)] = FIRST
    assert (calmed(sheet, labels) == FIRST).any()
    crumb = sheet.submesh([np.flatnonzero(square(sheet, 3))], append=True)
    crumb.apply_translation([60, 0, 0])
    both = sheet + crumb
    labels = np.full(len(both.faces), FIRST)
    labels[len(sheet.faces) :] = OTHER
    labels[: len(sheet.faces)][sheet.triangles_center[:, 0] > 20] = OTHER
    assert (calmed(both, labels)[len(sheet.faces) :] == OTHER).all()


def test_patches_that_are_mostly_marked_are_found_whole(sheet):
    labels = np.where(square(sheet, 8), OTHER, FIRST)
    marked = square(sheet, 6)
    found = patches.mostly(sheet.faces, sheet.area_faces, labels, marked)
    np.testing.assert_array_equal(found, labels == OTHER)
    assert not patches.mostly(sheet.faces, sheet.area_faces, labels, square(sheet, 4)).any()
