"""A half section is brought to the walls that a scan shows, and is itself again beyond them."""

import numpy as np
import pytest
import trimesh
from turned_solids import polygon, sampled

from voxgan_jax.geometry import half_section, lathe, solids, surface
from voxgan_jax.inference import round_pot, wall_fit

STEP = 2.0
FRAME = surface.frame((64, 64, 64), STEP, up="z")
AXIS = (31.5, 31.5)
BOWL = ((50.5, 0), (50.5, 17.3), (10.5, 24.2), (10.5, 20.9), (46.5, 13.9), (46.5, 0))
"""The base at high heights, as a grid has it, and a flat rim."""
TOO_THICK = 0.4
"""In voxels: so far do the pot's walls lie beyond those of the scan."""


@pytest.fixture(scope="module")
def scan():
    """A wedge of the true pot with its rim; its break edges face up, down and aside."""
    whole = lathe.mesh(sampled(polygon(*BOWL)), FRAME, spacing=1.0)
    wedge = trimesh.creation.box((60.0, 40.0, 2 * (whole.extents[2] - 50)))
    wedge.apply_translation([whole.bounds[1][0], whole.bounds.mean(0)[1], whole.bounds[1][2]])
    both = (solids.solid(mesh.vertices, mesh.faces) for mesh in (whole, wedge))
    return solids.mesh(next(both) ^ next(both), STEP)[0]


def section(distance):
    return round_pot.Section(distance, AXIS, np.zeros((64, 64, 64), bool))


def test_the_outline_lies_on_the_walls_as_far_as_the_scan_shows_them(scan):
    true = sampled(polygon(*BOWL))
    thick = np.clip(true - np.float32(TOO_THICK), -half_section.CLIP, half_section.CLIP)
    found = wall_fit.fitted(section(thick), wall_fit.walls_of(scan, FRAME)).distance
    heights = half_section.heights(len(true))[:, None] + 0 * true
    shown = (scan.bounds[0, 2] - FRAME[2, 3]) / FRAME[2, 2]
    outline = np.abs(true) < 0.5
    inside, beyond = outline & (heights < shown - 1.5), outline & (heights > shown + 6.5)
    assert inside.sum() > 50 and beyond.sum() > 50
    off = np.abs(found - true)
    assert np.median(off[inside]) < 0.03 and np.quantile(off[inside], 0.95) < 0.12
    np.testing.assert_array_equal(found[beyond], thick[beyond])


def test_the_rim_of_the_turned_pot_is_as_high_as_the_scans(scan):
    thick = sampled(polygon(*BOWL)) - np.float32(TOO_THICK)
    walls = wall_fit.walls_of(scan, FRAME)
    before, after = (
        round_pot.mesh(one, FRAME).bounds[1][2] - scan.bounds[1][2]
        for one in (section(thick), wall_fit.fitted(section(thick), walls))
    )
    assert before > 0.8 * TOO_THICK * STEP and abs(after) < 0.1 * STEP


def test_walls_far_off_change_nothing(scan):
    true = section(sampled(polygon(*BOWL)))
    away = scan.copy()
    away.apply_translation([40.0, 0, 0])
    assert wall_fit.fitted(true, wall_fit.walls_of(away, FRAME)).distance is true.distance
