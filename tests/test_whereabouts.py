"""Where on its pot a sherd sat: what the parts of a pot are called, and what is drawn."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from round_pots import cup, profile_of, turned

from voxgan_jax.report import whereabouts

SVG = "{http://www.w3.org/2000/svg}"
HEIGHTS = np.arange(1.0, 101.0)

JAR = np.interp(HEIGHTS, [0, 40, 80, 90, 100], [30, 60, 25, 25, 40])
BOTTLE = np.interp(HEIGHTS, [0, 40, 100], [30, 60, 20])
BOWL = np.interp(HEIGHTS, [0, 100], [20, 80])


@pytest.mark.parametrize(
    ("radii", "at", "name"),
    [
        (JAR, 3, "foot"),
        (JAR, 20, "lower wall"),
        (JAR, 40, "belly"),
        (JAR, 60, "shoulder"),
        (JAR, 85, "neck"),
        (BOTTLE, 90, "shoulder"),
        (BOWL, 20, "lower wall"),
        (BOWL, 50, "wall"),
        (BOWL, 95, "upper wall"),
    ],
)
def test_the_parts_of_a_pot_have_their_names(radii, at, name):
    assert whereabouts.zone(HEIGHTS, radii, float(at)) == name


def placed(low, high, half=lambda d, h: d > 19.5):
    """A cup of which the rows from `low` to `high` above its foot are given, in some directions."""
    pot = cup()
    d, h, w = np.indices(pot.shape)
    given = pot & half(d, h) & (w >= 35 - high) & (w < 35 - low)
    found = whereabouts.whereabouts(profile_of(pot, given, step=2.0), "#be5c34")
    assert found is not None
    return found


def test_words_tell_height_reach_and_width():
    words = placed(10, 20).words
    assert words.startswith("On the belly: the sherd's middle is at 48 % of the pot's height.")
    low, high, wide = map(
        int, re.findall(r"from (\d+) to (\d+) % of it, and (\d+)° round", words)[0]
    )
    assert (low, high) == (32, 65) and wide == pytest.approx(180, abs=8)
    assert "holds" not in words
    assert placed(22, 31).words.endswith("It holds part of the rim.")
    assert placed(0, 31).words.endswith("It holds part of the rim and of the base.")


def test_the_picture_has_the_sherd_in_front_and_below():
    root = ET.fromstring(placed(10, 20).picture)
    sherd, outline, arc = (node.attrib["d"] for node in root.iter(f"{SVG}path"))
    face, edge, ring = (
        np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), float)
        for path in (sherd, outline, arc)
    )
    # 62 mm high, 28 mm to either side; the sherd from 20 to 40 mm above the foot.
    assert np.abs(edge).max(axis=0) == pytest.approx([28, 62], abs=1)
    assert [face[:, 1].min(), face[:, 1].max()] == pytest.approx([22, 42], abs=2)
    assert [face[:, 0].min(), face[:, 0].max()] == pytest.approx([-28, 28], abs=2)
    assert ring[:, 1].min() > -3 and ring[:, 1].max() == pytest.approx(28, abs=0.5)
    assert ring[:, 0].mean() == pytest.approx(0, abs=1)
    view = [float(value) for value in root.attrib["viewBox"].split()]
    assert view[2] > 4 * 28 and view[3] > 62 and root.attrib["aria-label"]


def test_the_picture_is_no_mirror_image():
    """A sherd that reaches further counterclockwise, seen from above, the higher up it is."""

    def slant(d, h):
        return d > 19.5

    pot = cup()
    d, h, w = np.indices(pot.shape)
    turn = np.arctan2(h - 19.5, d - 19.5)
    given = pot & slant(d, h) & (turn < (20 - w) / 20) & (w >= 10) & (w < 30)
    profile = profile_of(pot, given)
    rows = np.flatnonzero(profile.seen.any(axis=1))
    angles = np.arange(profile.seen.shape[1]) * 2 * np.pi / profile.seen.shape[1]

    def mean_turn(row):
        return np.angle(np.exp(1j * angles[profile.seen[row]]).sum())

    further = np.sin(mean_turn(rows[-2]) - mean_turn(rows[1])) > 0
    found = whereabouts.whereabouts(profile, "#be5c34")
    assert found is not None
    (path,) = [n.attrib["d"] for n in ET.fromstring(found.picture).iter(f"{SVG}path")][:1]
    face = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), float)
    top, low = (
        face[np.abs(face[:, 1] - at) < 3, 0].mean() for at in (face[:, 1].min(), face[:, 1].max())
    )
    assert (top > low) == further


def test_of_a_whole_pot_or_none_nothing_is_told():
    pot = turned(lambda _: 14, lambda _: 11, floor=4.0)
    assert whereabouts.whereabouts(profile_of(pot, pot), "red") is None
    assert whereabouts.whereabouts(profile_of(pot), "red") is None
