"""Round pots are turned: level rims, what stands off them, finer voxels; others as before."""

import numpy as np
import pytest
from turned_solids import polygon, voxels

from voxgan_jax.geometry import half_section, surface, wheel
from voxgan_jax.inference import refinement, round_pot
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import meshes

STEP = 5.0
FRAME = surface.frame((64, 64, 64), STEP, up="z")
BOWL = ((50.5, 0), (50.5, 17.3), (10.3, 24.2), (12.2, 20.9), (46.5, 13.9), (46.5, 0))
"""The base at high heights, as a grid has it; 40 voxels high, its lip pointed."""
D, H, W = np.indices((64, 64, 64))
POT = voxels(polygon(*BOWL))
HANDLE = (np.abs(D - 31.5) < 3) & (H < 14) & (H > 2) & (W > 20) & (W < 42)
HANDLE &= ~((H > 5) & (W > 24) & (W < 38)) & ~POT
SHERD = (D > 36) & (H > 20) & (W > 20)


def labelled(pot):
    return np.where(pot & SHERD, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)


def section_of(pot):
    found = round_pot.section_of(labelled(pot), pot.astype(np.float32))
    assert found is not None
    return found


def tops(mesh):
    """The height of a mesh's rim in each of 72 directions, in mm."""
    x, y, z = (mesh.vertices - mesh.bounds.mean(0)).T
    around = ((np.arctan2(y, x) / np.pi + 1) * 36).astype(int) % 72
    return np.array([z[around == n].max() for n in range(72)])


def test_a_bowls_rim_is_level_to_a_tenth_of_a_millimetre():
    """Of 24 cm; as a surface of its voxels it is rougher."""
    labels, belief = labelled(POT), POT.astype(np.float32)
    made = meshes.surfaces(labels, belief, FRAME, None, section_of(POT))
    assert made.pot.is_volume and np.ptp(tops(made.pot)) < 0.1
    rough = meshes.surfaces(labels, belief, FRAME)
    assert np.ptp(tops(rough.pot)) > 0.5
    assert made.pot.volume == pytest.approx(POT.sum() * STEP**3, rel=0.02)
    shares = [
        area[one.labels == GIVEN].sum() / area.sum()
        for one in (made, rough)
        for area in (one.pot.area_faces,)
    ]
    assert shares[0] == pytest.approx(shares[1], rel=0.05)
    # The missing piece is cut from what lies under the given voxels' surface.
    assert made.body.is_volume and made.body.volume < 0.999 * made.pot.volume


def test_a_handle_stands_off_the_turned_pot():
    section = section_of(POT | HANDLE)
    assert (section.parts & HANDLE).sum() > 0.7 * HANDLE.sum()
    assert not section_of(POT).parts.any()
    mesh = round_pot.mesh(section, FRAME)
    assert mesh.is_volume and len(mesh.split()) == 1 and mesh.euler_number == 0
    plain = round_pot.mesh(section_of(POT), FRAME)
    grown = (mesh.volume - plain.volume) / STEP**3
    assert grown == pytest.approx(HANDLE.sum(), rel=0.15)


def test_what_is_not_round_is_none():
    box = (np.maximum(np.abs(D - 31.5), np.abs(H - 31.5)) < 20) & (W > 20) & (W < 50)
    inner = (np.maximum(np.abs(D - 31.5), np.abs(H - 31.5)) < 16) & (W < 46)
    pot = box & ~inner
    assert round_pot.section_of(labelled(pot), pot.astype(np.float32)) is None


def test_the_axis_that_is_known_is_taken():
    section = round_pot.section_of(labelled(POT), POT.astype(np.float32), (31.25, 31.5))
    assert section is not None and section.axis == (31.25, 31.5)
    assert section_of(POT).axis == pytest.approx((31.5, 31.5), abs=0.02)


@pytest.mark.parametrize("factor", [2, 4])
def test_finer_voxels_are_those_of_the_solid(factor):
    labels, belief = labelled(POT), POT.astype(np.float32)
    found = refinement.labels_of(labels, belief, FRAME, factor, section_of(POT))
    assert found.shape == (64 * factor,) * 3 and found.dtype == np.uint8
    at = (np.arange(64 * factor) + 0.5) / factor - 0.5
    radius = np.hypot(at[:, None] - 31.5, at[None] - 31.5)[..., None]
    truth = polygon(*BOWL)(at, radius) < 0
    pot = found > 0
    # Given voxels are kept as they are.
    given = (labels == GIVEN).repeat(factor, 0).repeat(factor, 1).repeat(factor, 2)
    np.testing.assert_array_equal(found == GIVEN, given)
    free = ~given
    rough = (labels > 0).repeat(factor, 0).repeat(factor, 1).repeat(factor, 2)
    scores = [(one & truth & free).sum() / ((one | truth) & free).sum() for one in (pot, rough)]
    assert scores[0] > 0.94 and scores[0] > scores[1]


def test_finer_voxels_of_what_is_not_round_and_of_a_scan():
    labels, belief = labelled(POT | HANDLE), (POT | HANDLE).astype(np.float32)
    for section in (None, section_of(POT | HANDLE)):
        found = refinement.labels_of(labels, belief, FRAME, 2, section)
        assert (found > 0).sum() / 8 == pytest.approx((labels > 0).sum(), rel=0.03)
        fine = HANDLE.repeat(2, 0).repeat(2, 1).repeat(2, 2)
        assert (found[fine] > 0).mean() > 0.85
    given = labels == GIVEN
    scan = surface.surface(surface.smooth(given), given, FRAME)
    found = refinement.labels_of(labels, belief, FRAME, 2, section_of(POT | HANDLE), scan)
    assert (found == GIVEN).sum() * (STEP / 2) ** 3 == pytest.approx(scan.volume, rel=0.02)
    np.testing.assert_array_equal(refinement.labels_of(labels, belief, FRAME, 1), labels)


def test_a_profile_of_a_half_section_is_that_of_its_voxels():
    from voxgan_jax.drawing import measures, profile

    distance = polygon(*BOWL)(
        half_section.heights(128)[:, None], np.arange(wheel.num_rings(64)) / 2
    )
    found = profile.of_half_section(np.clip(distance, -3, 3).astype(np.float32), STEP)
    assert found is not None
    own = measures.measure(found)
    voxel = measures.measure(profile.profile_of(labelled(POT), POT.astype(np.float32), STEP))
    assert own.height_mm == pytest.approx(201, abs=3)
    assert own.rim_diameter_mm == pytest.approx(242, abs=3)
    assert own.base_diameter_mm == pytest.approx(173, abs=6)
    assert own.capacity_ml == pytest.approx(voxel.capacity_ml, rel=0.03)
    assert own.volume_ml == pytest.approx(voxel.volume_ml, rel=0.03)
    assert profile.of_half_section(np.full((128, 72), 3, np.float32), STEP) is None
