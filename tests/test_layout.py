"""How the page is laid out and its pot lit: in a real browser, by boxes and by pixels."""

import dataclasses
import math
import re

import numpy as np
import pytest
from browser import Opened, launched
from restored_bowl import PLACE, placement, restored
from round_pots import drawn, profile_of, turned

from voxgan_jax.drawing import measures
from voxgan_jax.drawing.profile import RING
from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.report import meshes, overview, page

pytestmark = pytest.mark.browser

_DESKTOP = {"width": 1280, "height": 900}
_PAPER = (178, 265)
"""mm of A4 within the margins of 16 mm."""
_PIXELS = 96 / 25.4

_BOXES = """(what) => [...document.querySelectorAll(what)].filter((e) => e.checkVisibility())
  .map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.top, r.right, r.bottom])"""


@pytest.fixture(scope="module")
def view():
    """A page with much in it, as a scan's has."""
    plain = restored()
    place = dataclasses.replace(
        placement("Placed: " + "ho " * 30, "low", 0.3), runner_ups=(PLACE,) * 3
    )
    found = dataclasses.replace(plain.report.measures, round_share=0.5)
    said = dataclasses.replace(
        plain.report, placement=place, measures=found, scale=measures.NO_SCALE
    )
    others = [resized(plain.surfaces.pot, size) for size in (1.8, 0.4)]
    files = [f"a_{n}.stl" for n in range(8)]
    return plain._replace(report=said, hypotheses=others, files=files)


def resized(mesh, size):
    """Bigger or smaller about a point at its base."""
    found = mesh.copy()
    base = found.centroid * (1, 1, 0) + (0, 0, found.bounds[0, 2])
    found.vertices = (found.vertices - base) * size + base
    return found


@pytest.fixture(scope="module")
def made(view, tmp_path_factory):
    path = tmp_path_factory.mktemp("layout") / "pot.html"
    page.write_page(path, view)
    return path


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


@pytest.fixture
def opened(chromium, made):
    shown = Opened(chromium, made, viewport=_DESKTOP)
    yield shown
    shown.page.close()


def boxes(shown, what):
    return np.array(shown.page.evaluate(_BOXES, what))


def solid(drawn):
    """The lowest and highest column and row of what is drawn."""
    there = drawn[..., 3] > 0
    return [np.flatnonzero(there.any(axis=axis))[[0, -1]] for axis in (0, 1)]


def test_there_is_no_void_beside_or_under_the_view(opened):
    row, viewer = boxes(opened, ".columns")[0], boxes(opened, "#viewer")[0]
    assert row[3] - viewer[3] < 40
    blocks = boxes(opened, ".flow > .block")
    assert len(blocks) >= 6
    ends = [blocks[blocks[:, 0] == left, 3].max() for left in np.unique(blocks[:, 0])]
    tallest = (blocks[:, 3] - blocks[:, 1]).max()
    assert len(ends) == 2 and np.ptp(ends) < 0.6 * tallest
    assert blocks[:, 1].min() - row[3] < 60


def test_print_has_one_column_and_pages_that_are_full(opened):
    width, height = (side * _PIXELS for side in _PAPER)
    opened.page.set_viewport_size({"width": round(width), "height": round(height)})
    opened.page.emulate_media(media="print")
    blocks = boxes(opened, ".block:not(.files-block), .stage")
    assert len(blocks) >= 7
    assert np.ptp(blocks[:, 0]) < 1 and (blocks[:, 2] - blocks[:, 0]).min() > 0.98 * width
    assert (np.diff(blocks[np.argsort(blocks[:, 1])][:, [1, 3]].ravel())[1::2] > -1).all()
    # What may not be broken is no taller than half a page but for the section.
    kept = boxes(opened, "figure:not(.drawing figure), .stage, .columns .block, li, tr")
    assert (kept[:, 3] - kept[:, 1]).max() < height / 2
    long = opened.page.evaluate("document.documentElement.scrollHeight")
    pages = len(re.findall(rb"/Type\s*/Page\b", opened.page.pdf(format="A4")))
    assert pages <= math.ceil(long / height + 0.5)


@pytest.mark.parametrize("size", [_DESKTOP, {"width": 390, "height": 844}])
def test_the_pot_is_in_the_middle_of_its_stage(size, chromium, made):
    shown = Opened(chromium, made, viewport=size)
    for keys in ((), ("ArrowUp",) * 4, ("ArrowDown",) * 7, ("+",), ("ArrowLeft", "-", "-")):
        for key in keys:
            shown.page.locator("canvas").press(key)
        drawn = shown.drawn()
        for (low, high), side in zip(solid(drawn), drawn.shape[1::-1], strict=True):
            assert (low + high) / 2 == pytest.approx((side - 1) / 2, abs=4)
    shown.page.close()


def test_the_view_fits_what_is_shown(opened):
    """One hypothesis is 1.8 times as big as the pot, the other 0.4 times."""
    for parts in (
        ("pot",),
        ("hypothesis-1",),
        ("hypothesis-2",),
        ("pot", "hypothesis-1"),
        ("original", "hypothesis-2", "hypothesis-1"),
    ):
        for part in ("pot", "original", "missing", "hypothesis-1", "hypothesis-2"):
            opened.page.locator(f"input[data-part={part}]").set_checked(part in parts)
        drawn = opened.drawn()
        spans = zip(solid(drawn), drawn.shape[1::-1], strict=True)
        shares = [((high - low) / side, min(low, side - 1 - high)) for (low, high), side in spans]
        assert max(share for share, _ in shares) > 0.75 and min(free for _, free in shares) > 8


def test_what_faces_the_viewer_has_the_colour_of_the_legend(opened):
    opened.page.uncheck("input[data-part=pot]")
    for part in ("original", "hypothesis-1", "missing"):
        opened.page.check(f"input[data-part={part}]")
        swatch = opened.page.locator(f"label:has([data-part={part}]) .swatch")
        said = swatch.evaluate("(e) => getComputedStyle(e).backgroundColor")
        drawn = opened.drawn()
        found = np.median(drawn[drawn[..., 3] == 255][:, :3], axis=0)
        legend = np.array([int(value) for value in re.findall(r"\d+", said)])
        assert np.abs(found / legend - 1).max() < 0.12, part
        opened.page.uncheck(f"input[data-part={part}]")


def test_a_cut_shows_the_section_as_clay(opened, view):
    """The cut is seen from 70° right, where it is seen straight within 5°."""
    opened.page.check("input[data-cut]")
    for _ in range(7):
        opened.page.locator("canvas").press("ArrowRight")
    drawn = opened.drawn()
    tones = [tone(meshes.COLOURS[label][:3]) for label in meshes.NAMES]
    clay = sum((np.abs(drawn[..., :3] - each).max(axis=2) < 3).sum() for each in tones)
    ruler = opened.page.locator("[data-scale]")
    pixel = float(ruler.inner_text().split()[0]) / ruler.bounding_box()["width"]
    ratio = opened.page.evaluate("devicePixelRatio")
    section = (view.profile.clay > view.profile.level).sum() * RING * view.profile.step_mm**2
    # One half section, and the other seen edgeways.
    assert clay * (pixel / ratio) ** 2 == pytest.approx(1.05 * section, rel=0.12)
    # Without the sherd the rest has its clay, too.
    opened.page.uncheck(f'input[data-label="{GIVEN}"]')
    left = opened.drawn()
    assert (np.abs(left[..., :3] - tones[1]).max(axis=2) < 3).sum() > 500


def tone(colour):
    """A colour of which 40 % of the light is left, as it is shown."""
    share = np.array(colour) / 255
    linear = 0.4 * np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.rint(255 * (1.055 * linear ** (1 / 2.4) - 0.055))


def test_a_link_leads_back_to_the_overview(opened):
    link = opened.page.get_by_role("link", name="All restored pots")
    assert link.get_attribute("href") == "../index.html" and link.is_visible()
    opened.page.emulate_media(media="print")
    assert not link.is_visible()


@pytest.mark.parametrize("times", [None, 1, 4])
@pytest.mark.parametrize(
    ("radius", "low", "step", "scaled"),
    [(4, 4, 10.0, False), (12, 4, 1.0, True), (19, 28, 10.0, True), (19, 4, 3.0, False)],
    ids=["tall", "tiny", "wide", "big"],
)
def test_no_words_of_the_drawing_touch_anything(
    radius, low, step, scaled, times, chromium, view, tmp_path
):
    pot = turned(lambda _: radius, lambda _: radius - 2, low=low, floor=2.0)
    given = pot & (np.indices(pot.shape)[0] > 20) & (np.indices(pot.shape)[2] < low + 5)
    svg = drawn(profile_of(pot, given, step=step), times, scaled=scaled)
    page.write_page(tmp_path / "a.html", view._replace(drawing=svg))
    shown = Opened(chromium, tmp_path / "a.html")
    (whole,) = boxes(shown, "svg.section")
    words = boxes(shown, "svg.section text")
    solid = boxes(shown, "svg.section :is(.bar, .key_given, .key_inferred, .arc, .inferred)")
    assert len(words) == (8 if scaled else 9) and len(solid) == 5
    for box in (*words, *solid):
        assert (box[:2] > whole[:2] - 1).all() and (box[2:] < whole[2:] + 1).all()
    for place, one in enumerate((*words, *solid)):
        for other in (*words, *solid)[place + 1 :]:
            assert (one[:2] >= other[2:]).any() or (other[:2] >= one[2:]).any()
    assert "Ø" in shown.page.locator("svg.section").text_content()
    assert "\u2300" not in shown.page.content()
    shown.page.close()


def test_the_overview_is_printed_as_a_table(chromium, view, tmp_path):
    text = overview.index([overview.Row(view.report, "", "")])
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    width = round(_PAPER[0] * _PIXELS)
    shown = Opened(chromium, tmp_path / "index.html", viewport={"width": width, "height": 900})
    shown.page.emulate_media(media="print")
    cells = boxes(shown, "#pots tbody :is(th, td)")
    assert len(cells) == 7 and np.ptp(cells[:, 1]) < 1 and cells[:, 2].max() <= width
    shown.page.close()
