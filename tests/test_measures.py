"""Solids of known size are measured right; base and rim at the edge, whatever was rounded or
chamfered off it."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from restored_bowl import MEASURES, report
from round_pots import cup as straight
from round_pots import drawn, profile_of, turned

from voxgan_jax.drawing import measures, profile
from voxgan_jax.inference.answer import INFERRED
from voxgan_jax.report import sentences

SIDE, FOOT = 48, 42.5
"""FOOT is where the pot stands, in voxels along w; heights count from there."""
TOP = 32.0


def solid(outline, middle=(23.3, 23.6)):
    """How much of each voxel lies in a turned solid, its outline given as (radius, height)."""
    d, h, w = np.indices((SIDE, SIDE, SIDE)).astype(np.float32)
    share = np.zeros(d.shape, np.float32)
    thirds = (-1 / 3, 0, 1 / 3)
    for x in thirds:
        for y in thirds:
            radius = np.hypot(d + x - middle[0], h + y - middle[1])
            for z in thirds:
                share += inside(outline, radius, FOOT - w - z)
    return share / 27


def inside(outline, radius, height):
    """Whether points lie in a polygon: how often a ray from each crosses its sides."""
    found = np.zeros(radius.shape, bool)
    for (r0, z0), (r1, z1) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if z0 == z1:
            continue
        crossed = (height > z0) != (height > z1)
        found ^= crossed & (radius < r0 + (height - z0) * (r1 - r0) / (z1 - z0))
    return found


def arc(radius, height, size, start, end):
    angles = np.radians(np.linspace(start, end, 10))
    x, y = radius + size * np.cos(angles), height + size * np.sin(angles)
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def cup(edge, lip=((14, TOP), (11, TOP))):
    """Radius 14, wall 3, floor 4; `edge` is the outline of its edge below."""
    return [(0, 0), *edge, *lip, (11, 4), (0, 4)]


SLOPE = np.tan(np.radians(30))


def cone(edge):
    """Leaning out by 30°, radius 5 where its wall meets the ground, wall 3 across."""
    top = 5 + SLOPE * TOP
    return [(0, 0), *edge, (top, TOP), (top - 3.46, TOP), (SLOPE * 4 + 1.54, 4), (0, 4)]


def ring_foot(high):
    """A foot ring of radius 8.5, the wall rising from it at 45°."""
    wall = [(8.5, high), (7.5, high), (19.5, high + 12), (19.5, TOP), (16.5, TOP)]
    return [(0, high), (6, high), (6, 0), (8.5, 0), *wall, (16.5, high + 13), (6.5, high + 3)]


BASES = {
    "sharp": (cup([(14, 0)]), 14),
    "rounded by 1": (cup(arc(13, 1, 1, -90, 0)), 14),
    "rounded by 1.5": (cup(arc(12.5, 1.5, 1.5, -90, 0)), 14),
    "chamfered by 1": (cup([(13, 0), (14, 1)]), 14),
    "chamfered by 1.5": (cup([(12.5, 0), (14, 1.5)]), 14),
    "leaning out": (cone([(5, 0)]), 5),
    "leaning out, chamfered": (cone([(3.8, 0), (5 + SLOPE * 1.2, 1.2)]), 5),
    "ring of 1.5": (ring_foot(1.5), 8.5),
    "ring of 2.5": (ring_foot(2.5), 8.5),
    "ring of 4": (ring_foot(4.0), 8.5),
    "splayed foot": (
        [(0, 0), (10, 0), (7, 5), (7, 8), (16, 16), (16, TOP), (13, TOP), (13, 17), (4, 9), (0, 6)],
        10,
    ),
}

RIMS = {
    "flat": (cup([(14, 0)]), 14),
    "rounded": (cup([(14, 0)], [*arc(12.5, TOP - 1.5, 1.5, 0, 180)]), 14),
    "chamfered": (cup([(14, 0)], [(14, TOP - 1.5), (12.5, TOP), (11, TOP)]), 14),
    "leaning out": (cone([(5, 0)]), 5 + SLOPE * TOP),
    "flaring, rounded": (
        [(0, 0), (11.5, 0), (11.5, 22), *arc(18, 30, 1.5, -45, 135), (8.5, 22.6), (8.5, 4), (0, 4)],
        19.5,
    ),
    "closing": (
        [(0, 0), (16, 0), (16, 20), (6, 30), (1.8, 30), (12, 19.8), (12, 4), (0, 4)],
        6,
    ),
}


def measured(outline, step=1.0):
    share = solid(outline)
    labels = np.where(share >= 0.5, INFERRED, 0).astype(np.uint8)
    return measures.measure(profile.profile_of(labels, share, step))


@pytest.mark.parametrize("name", BASES)
def test_the_base_is_measured_at_its_edge(name):
    outline, radius = BASES[name]
    assert measured(outline).base_diameter_mm == pytest.approx(2 * radius, abs=0.5)


@pytest.mark.parametrize("name", RIMS)
def test_the_rim_is_measured_at_its_edge(name):
    outline, radius = RIMS[name]
    found = measured(outline, 3.0).rim_diameter_mm
    assert found and found / 3 == pytest.approx(2 * radius, abs=0.5)


def test_where_a_pot_stands_on_a_point_its_base_is_small():
    """A bowl of radius 16, round below: no more than is reached half a wall's thickness up."""
    ball = [(0, 0), *arc(0, 16, 16, -90, 0)[1:], *arc(0, 16, 13, 0, -90)]
    found = measured(ball).base_diameter_mm
    assert found and 0 < found < 2 * np.sqrt(2 * 16 * 1.5)


@pytest.mark.parametrize("high", [1, 2, 3])
def test_a_plate_has_one_diameter(high):
    d, h, w = np.indices((30, 30, 12))
    plate = (np.hypot(d - 14.5, h - 14.5) < 10) & (w > 5) & (w <= 5 + high)
    labels = plate * np.uint8(INFERRED)
    found = measures.measure(profile.profile_of(labels, plate.astype(np.float32), 1.0))
    for name in ("rim", "base", "max"):
        assert getattr(found, f"{name}_diameter_mm") == pytest.approx(20, abs=0.6), name


@pytest.mark.parametrize("middle", [(19.5, 19.5), (19.0, 20.25)])
def test_a_cup_has_its_measures(middle):
    step = 2.5
    found = measures.measure(profile_of(straight(middle), step=step))
    half = 0.5 * step
    assert found.height_mm == pytest.approx(31 * step, abs=0.1 * step)
    for name in ("rim", "base", "max"):
        assert getattr(found, f"{name}_diameter_mm") == pytest.approx(28 * step, abs=half)
    assert found.wall_mm == pytest.approx(3 * step, abs=half)
    # By voxels exactly, by the profile to what a shift of the wall by a fifth of a voxel does.
    assert found.volume_ml == pytest.approx(straight(middle).sum() * step**3 / 1000, abs=1e-3)
    true = np.pi * 11**2 * 27
    assert found.capacity_ml == pytest.approx(true * step**3 / 1000, rel=2 * 0.2 / 11)


def test_a_cone_has_its_measures():
    """A cone open above, its wall 3 wide, level; radius 4 at the foot, 16 at the rim."""

    def outer(height):
        return 4 + 12 * height / 31

    pot = turned(outer, lambda height: outer(height) - 3, floor=3.0)
    found = measures.measure(profile_of(pot))
    assert found.height_mm == pytest.approx(31, abs=0.1)
    assert found.rim_diameter_mm == pytest.approx(2 * outer(30.5), abs=0.6)
    assert found.base_diameter_mm == pytest.approx(2 * outer(0.5), abs=0.6)
    slope = 12 / 31
    assert found.wall_mm == pytest.approx(3 / np.hypot(1, slope), abs=0.4)
    small, large = outer(3) - 3, outer(31) - 3
    true = np.pi * 28 / 3 * (small**2 + small * large + large**2)
    assert found.capacity_ml == pytest.approx(true / 1000, rel=0.06)


def test_water_runs_out_at_the_lowest_gap_and_through_an_open_base():
    def inner(height):
        return np.where(height > 20, 99, 11)

    # Above height 20 there is no wall but a core: a spike in the middle holds no water.
    spiked = turned(lambda _: 14, inner, floor=4.0)
    d, h, w = np.indices(spiked.shape)
    spiked |= (np.hypot(d - 19.5, h - 19.5) < 3) & (w >= 4) & (w <= 34)
    assert measures.measure(profile_of(spiked)).capacity_ml is None
    open_below = turned(lambda _: 14, lambda _: 11)
    found = measures.measure(profile_of(open_below))
    assert found.capacity_ml is None and found.wall_mm is None
    assert found.max_diameter_mm == pytest.approx(28, abs=0.6)
    low = turned(lambda height: np.where(height > 20, 0, 14), lambda _: 11, floor=4.0)
    held = measures.measure(profile_of(low)).capacity_ml
    assert held == pytest.approx(np.pi * 11**2 * 16 / 1000, rel=0.05)


def test_a_puddle_beside_a_hole_in_the_base_is_no_capacity():
    cup = turned(lambda _: 14, lambda _: 11, floor=6.0)
    d, h, w = np.indices(cup.shape)
    radius = np.hypot(d - 19.5, h - 19.5)
    height = np.flatnonzero(cup.any((0, 1)))[-1] - w
    dented = cup & ~((radius < 5) & (height >= 4))
    assert (measures.measure(profile_of(dented)).capacity_ml or 0) > 5
    pierced = dented & ~((radius > 6) & (radius < 9))
    found = measures.measure(profile_of(pierced))
    assert found.capacity_ml is None and found.wall_mm is None
    said = sentences.measures(report(measures=found))
    assert ("Capacity to the rim", "unknown: its base has a hole") in said
    assert "Capacity" not in str(sentences.measures(report(measures=MEASURES)))


def test_what_is_not_round_is_called_so():
    legs = np.zeros((30, 30, 30), bool)
    for d in (3, 25):
        for h in (3, 25):
            legs[d : d + 3, h : h + 3] = True
    found = measures.measure(profile_of(legs, step=2.0))
    assert found.height_mm == 60 and found.round_share == 0
    assert found.volume_ml == pytest.approx(36 * 30 * 8 / 1000)
    assert found.rim_diameter_mm is None and found.capacity_ml is None
    svg = drawn(profile_of(legs))
    assert "not round at any height" in ET.fromstring(svg).findtext(".//{*}text", "")
    legs[..., 14:18] = True
    table = measures.measure(profile_of(legs))
    assert 0.5 < table.round_share < 0.85
    assert measures.measure(profile_of(straight())).round_share > 0.97
