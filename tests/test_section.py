"""Profiles and drawings: solids of known size are measured right, and what is known is black."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from turned_pots import bowl, sherd

from voxgan_jax.data.synthetic import pots
from voxgan_jax.geometry import rings, wheel
from voxgan_jax.inference.answer import GIVEN, INFERRED
from voxgan_jax.report import page_text
from voxgan_jax.report import profile as section

SVG = "{http://www.w3.org/2000/svg}"
SIDE = 40


def turned(outer, inner, low=4, high=34, floor=0.0, side=SIDE, middle=None):
    """A pot whose radii are functions of the height above its foot, the base at high w."""
    d, h, w = np.indices((side, side, side))
    x, y = middle or ((side - 1) / 2, (side - 1) / 2)
    radius = np.hypot(d - x, h - y)
    height = high - w + 0.5
    pot = (w >= low) & (w <= high) & (radius <= outer(height))
    return pot & ((radius > inner(height)) | (height <= floor))


def profile_of(pot, given=None, step=1.0, **options):
    labels = pot * np.uint8(INFERRED)
    if given is not None:
        labels[given] = GIVEN
    return section.profile(labels, pot.astype(np.float32), step, **options)


def cup(middle=None, **options):
    """31 voxels high, radii 14 and 11, a floor 4 thick."""
    return turned(lambda _: 14, lambda _: 11, floor=4.0, middle=middle, **options)


@pytest.mark.parametrize("middle", [(19.5, 19.5), (19.0, 20.25)])
def test_a_cup_has_its_measures(middle):
    step = 2.5
    found = section.measures(profile_of(cup(middle), step=step))
    half = 0.5 * step
    assert found["height_mm"] == pytest.approx(31 * step, abs=0.1 * step)
    for name in ("rim", "base", "max"):
        assert found[f"{name}_diameter_mm"] == pytest.approx(28 * step, abs=half)
    assert found["wall_mm"] == pytest.approx(3 * step, abs=half)
    # By voxels exactly, by the profile to what a shift of the wall by a fifth of a voxel does.
    assert found["volume_ml"] == pytest.approx(cup(middle).sum() * step**3 / 1000, abs=1e-3)
    true = np.pi * 11**2 * 27
    assert found["capacity_ml"] == pytest.approx(true * step**3 / 1000, rel=2 * 0.2 / 11)


def test_a_cone_has_its_measures():
    """A cone open above, its wall 3 wide, level; radius 4 at the foot, 16 at the rim."""

    def outer(height):
        return 4 + 12 * height / 31

    pot = turned(outer, lambda height: outer(height) - 3, floor=3.0)
    found = section.measures(profile_of(pot))
    assert found["height_mm"] == pytest.approx(31, abs=0.1)
    assert found["rim_diameter_mm"] == pytest.approx(2 * outer(30.5), abs=0.6)
    assert found["base_diameter_mm"] == pytest.approx(2 * outer(0.5), abs=0.6)
    slope = 12 / 31
    assert found["wall_mm"] == pytest.approx(3 / np.hypot(1, slope), abs=0.4)
    small, large = outer(3) - 3, outer(31) - 3
    true = np.pi * 28 / 3 * (small**2 + small * large + large**2)
    assert found["capacity_ml"] == pytest.approx(true / 1000, rel=0.06)


def test_water_runs_out_at_the_lowest_gap_and_through_an_open_base():
    def inner(height):
        return np.where(height > 20, 99, 11)

    # Above height 20 there is no wall but a core: a spike in the middle holds no water.
    spiked = turned(lambda _: 14, inner, floor=4.0)
    d, h, w = np.indices(spiked.shape)
    spiked |= (np.hypot(d - 19.5, h - 19.5) < 3) & (w >= 4) & (w <= 34)
    assert section.measures(profile_of(spiked))["capacity_ml"] is None
    open_below = turned(lambda _: 14, lambda _: 11)
    found = section.measures(profile_of(open_below))
    assert found["capacity_ml"] is None and found["wall_mm"] is None
    assert found["max_diameter_mm"] == pytest.approx(28, abs=0.6)
    low = turned(lambda height: np.where(height > 20, 0, 14), lambda _: 11, floor=4.0)
    held = section.measures(profile_of(low))["capacity_ml"]
    assert held == pytest.approx(np.pi * 11**2 * 16 / 1000, rel=0.05)


def test_a_puddle_beside_a_hole_in_the_base_is_no_capacity():
    cup = turned(lambda _: 14, lambda _: 11, floor=6.0)
    d, h, w = np.indices(cup.shape)
    radius = np.hypot(d - 19.5, h - 19.5)
    height = np.flatnonzero(cup.any((0, 1)))[-1] - w
    dented = cup & ~((radius < 5) & (height >= 4))
    assert section.measures(profile_of(dented))["capacity_ml"] > 5
    pierced = dented & ~((radius > 6) & (radius < 9))
    found = section.measures(profile_of(pierced))
    assert found["capacity_ml"] is None and found["wall_mm"] is None
    said = page_text.measures({"measures": found})
    assert "<dt>Capacity to the rim</dt><dd>unknown: its base has a hole</dd>" in said
    assert "Capacity" not in page_text.measures({"measures": {"height_mm": 3.0}})


def test_the_profile_follows_belief_more_finely_than_voxels():
    """The uppermost voxels at 0.75 belief, with 0.25 above: the rim is half-way between them."""
    pot = cup()
    belief = pot.astype(np.float32)
    top = np.zeros_like(pot)
    top[..., 3] = pot[..., 4]
    belief[top] = 0.25
    belief[..., 4][pot[..., 4]] = 0.75
    labels = pot * np.uint8(INFERRED)
    found = section.measures(section.profile(labels, belief, 1.0))
    assert found["height_mm"] == pytest.approx(31, abs=0.25)
    belief[top] = 0.45
    higher = section.measures(section.profile(labels, belief, 1.0))
    assert higher["height_mm"] > found["height_mm"] + 0.1


def test_a_handle_moves_neither_axis_nor_profile():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    handle = (np.abs(h - 19.5) < 2.5) & (d > 33) & (d < 39) & (w > 12) & (w < 22)
    with_handle = profile_of(pot | handle)
    assert wheel.find_axis(pot | handle) == pytest.approx((19.5, 19.5), abs=0.05)
    found, bare = section.measures(with_handle), section.measures(profile_of(pot))
    for name in ("height_mm", "max_diameter_mm", "wall_mm", "capacity_ml"):
        assert found[name] == pytest.approx(bare[name], rel=0.01), name
    assert found["volume_ml"] == pytest.approx(bare["volume_ml"] + handle.sum() / 1000)


def test_the_axis_is_that_of_training():
    import jax.numpy as jnp

    pot = np.pad(pots.make_pot(3, resolution=32), 3)
    moved = np.roll(pot, (2, -1), axis=(0, 1))
    expected = rings.round_axis(jnp.asarray(moved[None, ..., None], jnp.float32))[0]
    assert wheel.find_axis(moved) == pytest.approx(np.asarray(expected).tolist(), abs=1e-3)


def test_the_base_may_lie_at_either_end():
    pot = cup()
    a = section.measures(profile_of(pot))
    b = section.measures(profile_of(np.flip(pot, 2), base="low"))
    assert a == b
    upside_down = section.measures(profile_of(pot, base="low"))
    assert upside_down["capacity_ml"] is None
    with pytest.raises(ValueError, match="base 'top' is neither high nor low"):
        profile_of(pot, base="top")
    with pytest.raises(ValueError, match="no voxel is occupied"):
        profile_of(np.zeros_like(pot))


def test_what_is_given_is_told_by_height_and_direction():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    given = pot & (d > 19.5) & (h > 19.5) & (w < 15)
    profile = profile_of(pot, given, step=2.0)
    rows = np.isfinite(profile.outer)
    # From the base up: 20 rows without the sherd, 11 with a quarter of them.
    assert profile.given[rows] == pytest.approx([0.0] * 20 + [0.25] * 11, abs=0.01)
    assert profile.heights[rows] == pytest.approx(2.0 * (np.arange(31) + 0.5))
    seen = profile.seen[rows]
    assert not seen[:20].any()
    angles = np.arange(seen.shape[1]) * 360 / seen.shape[1]
    shown = angles[seen[25]]
    # Counterclockwise from d to h, seen from the rim: the first quarter.
    assert 0 <= shown.min() < 5 and 85 < shown.max() <= 90
    assert profile.known[rows][25].max() > 0.99 and not profile.known[rows][10].any()


def test_what_is_not_round_is_called_so():
    legs = np.zeros((30, 30, 30), bool)
    for d in (3, 25):
        for h in (3, 25):
            legs[d : d + 3, h : h + 3] = True
    found = section.measures(profile_of(legs, step=2.0))
    assert found["height_mm"] == 60 and found["round_share"] == 0
    assert found["volume_ml"] == pytest.approx(36 * 30 * 8 / 1000)
    assert found["rim_diameter_mm"] is None and found["capacity_ml"] is None
    svg = section.drawing(profile_of(legs))
    assert "not round at any height" in ET.fromstring(svg).findtext(f"{SVG}text", "")
    legs[..., 14:18] = True
    table = section.measures(profile_of(legs))
    assert 0.5 < table["round_share"] < 0.85
    assert section.measures(profile_of(cup()))["round_share"] > 0.97


def test_a_crumb_in_the_air_is_left_out_unless_it_is_given():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    crumb = (np.abs(np.hypot(d - 19.5, h - 19.5) - 6) < 1.2) & (w == 1)
    lip = (np.abs(np.hypot(d - 19.5, h - 19.5) - 14) < 0.8) & (w == 2)
    assert section.measures(profile_of(pot | lip))["height_mm"] > 32
    bare, found = (section.measures(profile_of(each)) for each in (pot, pot | crumb))
    assert found["height_mm"] == pytest.approx(bare["height_mm"], abs=0.15)
    assert section.measures(profile_of(pot | crumb, crumb))["height_mm"] > 33.5
    svg = section.drawing(profile_of(pot | crumb))
    assert len(corners(paths(svg, "inferred")[0])) and paths(svg, "inferred")[0].count("M") == 1


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 1.0])
def test_noise_has_a_drawing_too(share):
    noise = np.random.default_rng(2).random((14, 9, 12)) < share
    noise[7, 4, 6] = True
    profile = profile_of(noise, noise & (np.indices(noise.shape)[0] < 7))
    found = section.measures(profile)
    assert found["volume_ml"] == pytest.approx(noise.sum() / 1000, abs=1e-3)
    ET.fromstring(section.drawing(profile))


def paths(svg, name):
    root = ET.fromstring(svg)
    return [node.attrib["d"] for node in root.iter(f"{SVG}path") if node.get("class") == name]


def corners(path):
    numbers = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)
    return np.array(numbers, float)


def test_the_drawing_is_in_mm_with_the_section_left_and_black_where_known():
    pot = cup()
    given = pot & (np.indices(pot.shape)[0] > 19.5) & (np.indices(pot.shape)[2] < 15)
    svg = section.drawing(profile_of(pot, given, step=2.0))
    root = ET.fromstring(svg)
    assert root.findtext(f"{SVG}title") == "Section and outside of the restored pot"
    said = root.findtext(f"{SVG}desc", "")
    assert "rim diameter 5.6 cm" in said and "at 35 % of the height" in said
    assert root.attrib["stroke"] == "currentColor"
    view = [float(value) for value in root.attrib["viewBox"].split()]
    assert f"{view[2]:.2f}mm" == root.attrib["width"]
    (wall,) = paths(svg, "inferred")[:1]
    outline = corners(wall)
    # Left of the centre line, from the rim at 0 to the base at 62 mm, 28 mm wide.
    assert outline[:, 0].max() <= 0.01
    assert outline.min(axis=0) == pytest.approx([-28, 0], abs=0.8)
    assert outline[:, 1].max() == pytest.approx(62, abs=0.8)
    known = corners(paths(svg, "given")[0])
    assert known[:, 1].max() == pytest.approx(22, abs=1.2)
    assert known[:, 1].min() == pytest.approx(0, abs=0.8)
    edge = corners(" ".join(paths(svg, "edge")))
    assert edge[:, 0].min() >= 0 and edge[:, 1].max() < 24
    ghost = corners(" ".join(paths(svg, "ghost")))
    assert ghost[:, 0].max() == pytest.approx(28, abs=0.8)


def area(points):
    x, y = points.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def test_the_drawn_wall_has_the_area_of_the_wall():
    svg = section.drawing(profile_of(cup(), step=1.0))
    outline = corners(paths(svg, "inferred")[0])
    assert area(outline) == pytest.approx(31 * 3 + 11 * 4, rel=0.04)


def test_the_scale_bar_is_as_long_as_it_says():
    for step, said in ((1.0, "1 cm"), (5.0, "5 cm"), (0.4, "0.5 cm"), (12.0, "10 cm")):
        svg = section.drawing(profile_of(cup(), step=step))
        root = ET.fromstring(svg)
        texts = [node.text for node in root.iter(f"{SVG}text")]
        assert said in texts
        outer = paths(svg, "bar")[-1]
        ((start, length),) = re.findall(r"M(-?[\d.]+) [\d.]+h([\d.]+)", outer)
        assert float(length) == pytest.approx(10 * float(said.split()[0]))
        assert float(start) == pytest.approx(-float(length))


def test_without_a_scale_the_drawing_speaks_of_voxels():
    svg = section.drawing(profile_of(cup()), scaled=False)
    root = ET.fromstring(svg)
    texts = [node.text or "" for node in root.iter(f"{SVG}text")]
    assert "no scale given; 1 voxel taken as 1 mm" in texts and "10 voxels" in texts
    assert any(text.startswith("⌀ 27.") and text.endswith(" voxels") for text in texts)
    said = root.findtext(f"{SVG}desc", "")
    assert "Height 30.9 voxels, rim diameter 27.9 voxels." in said and "no scale given" in said
    assert not [text for text in (*texts, said) if " cm" in text]
    assert "scale given" not in section.drawing(profile_of(cup()))
    view = [float(value) for value in root.attrib["viewBox"].split()]
    (note,) = [node for node in root.iter(f"{SVG}text") if node.get("class") == "scale"]
    assert float(note.attrib["y"]) < view[1] + view[3]


def test_the_sherd_is_drawn_where_it_lies_and_is_no_mirror_image():
    """A sherd that is wide on one side: its wide side is right or left as seen from outside."""
    pot = bowl()
    given = sherd(pot)
    svg = section.drawing(profile_of(np.flip(pot, 2), np.flip(given, 2)))
    patch = corners(paths(svg, "sherd")[0])
    profile = profile_of(np.flip(pot, 2), np.flip(given, 2))
    angles = np.arange(profile.seen.shape[1]) * 2 * np.pi / profile.seen.shape[1]
    middle = np.angle((profile.seen.sum(axis=0) * np.exp(1j * angles)).sum())
    # Rows near the sherd's lower end: counterclockwise from above is to the right from outside.
    row = int(np.flatnonzero(profile.seen.any(axis=1))[1])
    there = np.sin(angles[profile.seen[row]] - middle + np.pi / 4).mean() * profile.outer[row]
    top = 21 - profile.heights[row]
    near = patch[np.abs(patch[:, 1] - (patch[:, 1].max() - 1)) < 1.5]
    assert top > 0 and near[:, 0].mean() == pytest.approx(there, abs=2.0)


def test_two_drawings_on_a_page_share_no_ids():
    a = section.drawing(profile_of(cup()))
    b = section.drawing(profile_of(cup(), cup()))
    ids = [re.findall(r'id="([^"]+)"', svg) for svg in (a, b)]
    assert len(set(ids[0])) == len(ids[0]) and not set(ids[0]) & set(ids[1])
