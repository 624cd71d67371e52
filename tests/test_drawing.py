"""Drawings: in mm, what the sherd shows is black, and what is inferred is hatched."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from round_pots import cup, drawn, profile_of
from skimage import measure
from turned_pots import bowl, sherd

from voxgan_jax.drawing import measures
from voxgan_jax.geometry import lathe

SVG = "{http://www.w3.org/2000/svg}"


def paths(svg, name):
    root = ET.fromstring(svg)
    return [node.attrib["d"] for node in root.iter(f"{SVG}path") if node.get("class") == name]


def corners(path):
    numbers = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)
    return np.array(numbers, float)


def test_the_drawing_is_in_mm_with_the_section_left_and_black_where_known():
    pot = cup()
    given = pot & (np.indices(pot.shape)[0] > 19.5) & (np.indices(pot.shape)[2] < 15)
    svg = drawn(profile_of(pot, given, step=2.0))
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
    svg = drawn(profile_of(cup(), step=1.0))
    outline = corners(paths(svg, "inferred")[0])
    assert area(outline) == pytest.approx(31 * 3 + 11 * 4, rel=0.04)


def test_the_scale_bar_is_as_long_as_it_says():
    for step, said in ((1.0, "1 cm"), (5.0, "5 cm"), (0.4, "0.5 cm"), (12.0, "10 cm")):
        svg = drawn(profile_of(cup(), step=step))
        root = ET.fromstring(svg)
        texts = [node.text for node in root.iter(f"{SVG}text")]
        assert said in texts
        (outer,) = paths(svg, "bar")
        assert np.ptp(corners(outer)[:, 0]) == pytest.approx(10 * float(said.split()[0]))


def test_the_legend_tells_of_brackets_only_where_there_are_any():
    pot = cup()
    half = pot & (np.indices(pot.shape)[0] > 19.5)
    rimless = half & (np.indices(pot.shape)[2] > 15)
    for given, brackets in ((half, False), (rimless, True)):
        root = ET.fromstring(drawn(profile_of(pot, given)))
        texts = [node.text or "" for node in root.iter(f"{SVG}text")]
        assert any(text.startswith("(") for text in texts) == brackets
        assert ("inferred; sizes in ( )" if brackets else "inferred") in texts


def test_without_a_scale_the_drawing_speaks_of_voxels():
    svg = drawn(profile_of(cup()), scaled=False)
    root = ET.fromstring(svg)
    texts = [node.text or "" for node in root.iter(f"{SVG}text")]
    assert "no scale given; 1 voxel taken as 1 mm" in texts and "10 voxels" in texts
    assert any(text.startswith("(Ø 27.") and text.endswith(" voxels)") for text in texts)
    said = root.findtext(f"{SVG}desc", "")
    assert "Height 30.9 voxels, rim diameter 27.9 voxels," in said and "no scale given" in said
    assert not [text for text in (*texts, said) if " cm" in text]
    assert "(1:3)" not in drawn(profile_of(cup()), 3, scaled=False)
    assert "scale given" not in drawn(profile_of(cup()))
    view = [float(value) for value in root.attrib["viewBox"].split()]
    (note,) = [node for node in root.iter(f"{SVG}text") if (node.text or "").startswith("no sc")]
    assert float(note.attrib["y"]) < view[1] + view[3]


def test_the_sherd_is_drawn_where_it_lies_and_is_no_mirror_image():
    """A sherd that is wide on one side: its wide side is right or left as seen from outside."""
    pot = bowl()
    given = sherd(pot)
    svg = drawn(profile_of(np.flip(pot, 2), np.flip(given, 2)))
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
    a = drawn(profile_of(cup()))
    b = drawn(profile_of(cup(), cup()))
    ids = [re.findall(r'id="([^"]+)"', svg) for svg in (a, b)]
    assert len(set(ids[0])) == len(ids[0]) and not set(ids[0]) & set(ids[1])


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 1.0])
def test_noise_has_a_drawing_too(share):
    noise = np.random.default_rng(2).random((14, 9, 12)) < share
    noise[7, 4, 6] = True
    profile = profile_of(noise, noise & (np.indices(noise.shape)[0] < 7))
    found = measures.measure(profile)
    assert found.volume_ml == pytest.approx(noise.sum() / 1000, abs=1e-3)
    ET.fromstring(drawn(profile))


def test_a_crumb_in_the_air_is_left_out_unless_it_is_given():
    pot = cup()
    d, h, w = np.indices(pot.shape)
    crumb = (np.abs(np.hypot(d - 19.5, h - 19.5) - 6) < 1.2) & (w == 1)
    lip = (np.abs(np.hypot(d - 19.5, h - 19.5) - 14) < 0.8) & (w == 2)
    assert measures.measure(profile_of(pot | lip)).height_mm > 32
    bare, found = (measures.measure(profile_of(each)) for each in (pot, pot | crumb))
    assert found.height_mm == pytest.approx(bare.height_mm, abs=0.15)
    assert measures.measure(profile_of(pot | crumb, crumb)).height_mm > 33.5
    svg = drawn(profile_of(pot | crumb))
    assert len(corners(paths(svg, "inferred")[0])) and paths(svg, "inferred")[0].count("M") == 1


@pytest.mark.parametrize("closed", [False, True])
def test_a_line_with_fewer_points_stays_within_the_tolerance(closed):
    """As scikit-image has it, whose function brings half of SciPy with it."""
    line = np.cumsum(np.random.default_rng(0).normal(size=(300, 2)), axis=0)
    line = np.concatenate([line, line[:1]]) if closed else line
    for tolerance, least, most in ((0.1, 280, 302), (1.0, 100, 280), (5.0, 5, 60)):
        kept = lathe.fewer_points(line, tolerance)
        np.testing.assert_array_equal(kept, measure.approximate_polygon(line, tolerance))
        assert least <= len(kept) <= most
