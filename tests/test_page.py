"""The page of a restored pot, in a real browser: what it shows, and that it asks nobody."""

import dataclasses
import json
import re

import numpy as np
import pypdfium2 as pdfium
import pytest
import trimesh
from browser import Opened, launched
from restored_bowl import NAME, report, restored

from voxgan_jax import render
from voxgan_jax.drawing import measures
from voxgan_jax.report import meshes, page, sentences
from voxgan_jax.report.notebook import Frame

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def view():
    return restored()


@pytest.fixture(scope="module")
def made(view, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "pot.html"
    page.write_page(path, view)
    assert [other.name for other in path.parent.iterdir()] == ["pot.html"]
    return path


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


def differ(a, b):
    return float((np.abs(a - b).max(axis=2) > 12).mean())


@pytest.fixture(scope="module")
def opened(chromium, made):
    return Opened(chromium, made)


def test_the_page_needs_no_network_and_complains_of_nothing(opened, made):
    assert opened.page.locator("#viewer").get_attribute("data-state") == "ready"
    assert opened.requests == [made.as_uri()]
    assert opened.complaints == []
    assert made.stat().st_size < 3_000_000
    # Nothing to fetch: no address in what the page adds to the bundle.
    own = made.read_text(encoding="utf-8").replace(render.asset("vendor/three_viewer.min.js"), "")
    assert re.findall(r"https?://(?!www\.(w3\.org/2000/svg|inkscape\.org/namespaces))", own) == []


def test_the_picture_is_of_the_pot(opened):
    drawn = opened.drawn()
    solid = drawn[..., 3] == 255
    assert 0.1 < solid.mean() < 0.8
    assert len(np.unique(drawn[solid], axis=0)) > 100
    # Terracotta right of the middle, where the sherd is turned to.
    red = solid & (drawn[..., 0] > 2 * drawn[..., 2])
    assert red.sum() > 1000 and np.nonzero(red)[1].mean() > solid.shape[1] / 2
    assert not solid[0].any() and not solid[:, 0].any()


@pytest.mark.parametrize(
    "switch",
    ["part=pot", "part=original", "part=missing", "part=hypothesis-1"]
    + [f'label="{label}"' for label in meshes.NAMES]
    + ["cut", "section"],
)
def test_each_switch_changes_the_picture_and_back(opened, switch):
    before = opened.drawn()
    opened.page.check("input[data-part=pot]")
    box = f"input[data-{switch}]"
    opened.page.locator(box).click()
    after = opened.drawn()
    assert differ(before, after) > 0.002
    opened.page.locator(box).click()
    assert differ(before, opened.drawn()) == 0


def test_the_original_alone_is_terracotta_only(opened):
    opened.page.uncheck("input[data-part=pot]")
    opened.page.check("input[data-part=original]")
    drawn = opened.drawn()
    solid = drawn[..., 3] == 255
    assert 0.01 < solid.mean() < 0.3
    assert (drawn[solid][:, 0] > 1.5 * drawn[solid][:, 2]).all()
    opened.page.uncheck("input[data-part=original]")
    assert not opened.drawn()[..., 3].any()
    opened.page.check("input[data-part=pot]")


def test_the_sherd_is_in_the_colours_of_its_scan_until_they_are_switched_off(chromium, tmp_path):
    def green(points):
        return np.full((len(points), 3), (20, 200, 40), np.uint8)

    path = tmp_path / "dyed.html"
    page.write_page(path, restored(green))
    there = Opened(chromium, path)
    assert there.complaints == []

    def shares():
        drawn = there.drawn()
        red, blue = drawn[..., 0], drawn[..., 2]
        solid = drawn[..., 3] == 255
        is_green = solid & (drawn[..., 1] > 2 * red) & (drawn[..., 1] > 2 * blue)
        return is_green.sum() / solid.sum(), (solid & (red > 2 * blue)).sum() / solid.sum()

    # Of the pot the sherd alone; the rest has its plain colour.
    dyed, plain = shares()
    assert 0.03 < dyed < 0.5 and plain < 0.002
    there.page.uncheck("input[data-dyed]")
    assert shares() == pytest.approx((0, dyed), abs=0.02)
    there.page.uncheck("input[data-part=pot]")
    there.page.check("input[data-part=original]")
    assert shares() == pytest.approx((0, 1), abs=0.01)
    there.page.check("input[data-dyed]")
    assert shares() == pytest.approx((1, 0), abs=0.01)
    # A surface that faces the viewer has the colour of the scan.
    seen = there.drawn()
    brightest = seen[seen[..., 3] == 255][:, 1].max()
    assert brightest == pytest.approx(200, abs=12)


def test_keys_buttons_mouse_and_wheel_turn_it_and_reset_returns(opened):
    start = opened.drawn()
    canvas = opened.page.locator("canvas")
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "+"):
        before = opened.drawn()
        opened.page.keyboard.press(key)
        assert differ(before, opened.drawn()) > 0.005, key
    opened.page.keyboard.press("Home")
    assert differ(start, opened.drawn()) == 0
    for name in ("Turn right", "Tilt down", "Nearer", "Further away", "Tilt up", "Turn left"):
        before = opened.drawn()
        opened.page.get_by_role("button", name=name).click()
        assert differ(before, opened.drawn()) > 0.005, name
    opened.page.get_by_role("button", name="Reset the view").click()
    assert differ(start, opened.drawn()) == 0
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(*middle)
    opened.page.mouse.down()
    opened.page.mouse.move(middle[0] + 80, middle[1] + 20)
    opened.page.mouse.up()
    turned = opened.drawn()
    assert differ(start, turned) > 0.01
    opened.page.mouse.wheel(0, -300)  # It was clicked.
    opened.page.wait_for_timeout(100)
    near = opened.drawn()
    assert differ(turned, near) > 0.01
    opened.page.keyboard.press("Escape")
    opened.page.mouse.wheel(0, -300)
    opened.page.wait_for_timeout(100)
    assert differ(near, opened.drawn()) == 0
    opened.page.keyboard.press("0")
    assert differ(start, opened.drawn()) == 0
    assert opened.complaints == []


def slide(opened, name, value):
    """Move a slider; what it says then."""
    slider = opened.page.locator(f"input[data-{name}]")
    slider.fill(str(value))
    assert slider.get_attribute("aria-valuetext") == said(opened, name)
    return said(opened, name)


def said(opened, name):
    return opened.page.locator(f"input[data-{name}] + output").text_content()


def ends(opened):
    """The highest and the lowest row of the picture in which something is drawn."""
    rows = np.flatnonzero((opened.drawn()[..., 3] == 255).any(axis=1))
    return rows[0], rows[-1]


def test_the_section_plane_is_moved_and_turned(opened):
    assert not opened.page.locator("input[data-depth]").is_visible()
    opened.page.check("input[data-cut]")
    opened.page.check("input[data-section]")
    assert not opened.page.is_checked("input[data-cut]")
    for _ in range(9):
        opened.page.get_by_role("button", name="Tilt up").click()
    # Seen from above the half towards the viewer is gone.
    scene = json.loads(opened.page.locator("#meshes").inner_text())
    slide(opened, "facing", 50)
    slide(opened, "depth", 100)
    high, low = ends(opened)
    for depth in (50, -50, 0):
        millimetres = float(slide(opened, "depth", depth).removesuffix(" mm").replace("−", "-"))
        assert millimetres == pytest.approx(scene["radius"] * depth / 100, rel=0.03, abs=0.01)
        top, bottom = ends(opened)
        # It is not quite from above: what is lower lies lower in the picture.
        wanted = high + (1 + depth / 100) * (low - high) / 2
        assert abs(top - high) < 3 and wanted - 3 < bottom < wanted + 0.08 * (low - high)
    assert slide(opened, "facing", -130) == "−130°"
    wanted = (high + low) / 2
    assert wanted - 25 < ends(opened)[0] < wanted + 3
    # By keyboard, on the picture.
    opened.page.focus("canvas")
    opened.page.keyboard.press("PageUp")
    opened.page.keyboard.press("Shift+PageDown")
    values = [opened.page.input_value(f"input[data-{name}]") for name in ("depth", "facing")]
    assert values == ["5", "-135"]
    slide(opened, "depth", 0)
    slide(opened, "facing", 50)
    opened.page.get_by_role("button", name="Reset the view").click()


def test_the_section_shows_clay_and_no_inside_of_a_skin(opened):
    """All that faces the viewer in the plane is of the labels' dark tones."""
    colours = [group["colour"] for group in scene_of(opened)["parts"][0]["groups"]]
    for depth in (0, 40):
        slide(opened, "depth", depth)
        drawn = opened.drawn()[..., :3]
        dark = [0.0 * drawn[..., 0] == 1]
        for colour in colours:
            tone = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
            linear = np.where(tone < 11, tone / 12.92, 255 * ((tone / 255 + 0.055) / 1.055) ** 2.4)
            tone = 255 * (1.055 * (0.4 * linear / 255) ** (1 / 2.4) - 0.055)
            dark.append(np.abs(drawn - tone).max(axis=2) < 4)
        assert np.any(dark, axis=0).sum() > 1500
    opened.page.uncheck("input[data-section]")


def scene_of(opened):
    return json.loads(opened.page.locator("#meshes").inner_text())


def bright(opened):
    """How bright the left and the right half of what is drawn are."""
    drawn = opened.drawn()
    columns = np.nonzero((drawn[..., 3] == 255).any(axis=0))[0]
    middle = (columns[0] + columns[-1]) // 2
    solid = drawn[..., 3] == 255
    halves = (slice(None), slice(0, middle)), (slice(None), slice(middle, None))
    return [float(drawn[half][..., 1][solid[half]].mean()) for half in halves]


def test_the_light_is_led_around_and_lowered(opened):
    before = opened.drawn()
    assert (said(opened, "around"), said(opened, "above")) == ("126°", "49°")
    slide(opened, "above", 10)
    slide(opened, "around", 0)
    left, right = bright(opened)
    slide(opened, "around", 180)
    now_left, now_right = bright(opened)
    assert now_left > 1.4 * left and right > 1.2 * now_right
    opened.page.focus("canvas")
    for key in ("Shift+ArrowLeft", "Shift+ArrowUp", "Shift+ArrowUp"):
        opened.page.keyboard.press(key)
    assert (said(opened, "around"), said(opened, "above")) == ("195°", "20°")
    opened.page.get_by_role("button", name="Reset the view").click()
    assert differ(before, opened.drawn()) == 0
    # Dragged with Shift to the right, it comes from there; the pot has not turned.
    box = opened.page.locator("canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.keyboard.down("Shift")
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 190, y + 80)
    opened.page.mouse.up()
    opened.page.keyboard.up("Shift")
    # The lamp hung over (-0.39, 0.53) of a disc of 150 pixels.
    assert (said(opened, "around"), said(opened, "above")) == ("360°", "28°")
    assert ((before[..., 3] > 0) == (opened.drawn()[..., 3] > 0)).all()
    opened.page.get_by_role("button", name="Reset the view").click()
    assert differ(before, opened.drawn()) == 0


def test_the_scale_bar_is_true(opened):
    """Against the pot's own width in the picture; the view is orthographic."""
    drawn = opened.drawn()
    columns = np.flatnonzero((drawn[..., 3] == 255).any(axis=0))
    ratio = opened.page.evaluate("devicePixelRatio")
    ruler = opened.page.locator("[data-scale]")
    length, unit = ruler.inner_text().split()
    assert unit == "cm"
    shown = 10 * float(length) / ruler.bounding_box()["width"] * np.ptp(columns) / ratio
    scene = json.loads(opened.page.locator("#meshes").inner_text())
    assert shown == pytest.approx(2 * scene["radius"], rel=0.03)


def test_every_control_can_be_reached_and_has_a_name(opened):
    unnamed = opened.page.evaluate(
        """() => [...document.querySelectorAll("button, input, canvas, a[href], summary")]
        .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim()
          || e.labels?.[0]?.textContent.trim())).length"""
    )
    assert unnamed == 0
    assert opened.page.locator("html").get_attribute("lang") == "en"
    assert opened.page.locator("h1").count() == 1
    opened.page.locator("body").click(position={"x": 2, "y": 2})
    reached = set()
    for _ in range(31):
        opened.page.keyboard.press("Tab")
        reached.add(
            opened.page.evaluate(
                "(e => e.tagName + (e.dataset.part || e.dataset.act || ''))(document.activeElement)"
            )
        )
    assert {"CANVAS", "INPUTpot", "INPUToriginal", "BUTTONreset", "SUMMARY", "A"} <= reached


def test_all_is_said_and_nothing_from_outside_is_markup(opened, view):
    text = opened.page.locator("body").inner_text()
    assert opened.page.locator("h1").inner_text() == NAME
    assert opened.page.title() == f"{NAME}: restored pot"
    share = round(100 * view.report.share_inferred)
    assert (
        f"{share} % of this pot is a guess by a model (revolve64) trained on 850 pots of <pots>; do"
        in (text)
    )
    for said in (
        "Fair",
        "It is in crumbs.",
        "Placed: rim up; confidence high (0.80).",
        "Ha.",
        "2 pieces of 1.23 ml",
    ):
        assert said in text
    assert "height 111 mm, likelihood 25 %" in text and "No <handles>." in text
    assert "No scale given" not in text
    assert "0.31 mm" in text and "9.8.7" in text and "Digital reconstruction" in text
    assert sentences.number(view.report.measures.height_mm, "mm") in text
    links = opened.page.evaluate(
        "[...document.querySelectorAll('a[download]')].map((a) => a.getAttribute('href'))"
    )
    assert links == ["./a%20b_completed.stl", "./q%22%3Ci%3E.json", "./javascript%3Aalert%281%29"]
    assert opened.page.locator("h1 b, td b, i").count() == 0


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_scrolls_one_way_only_and_a_finger_turns(chromium, made, width):
    phone = Opened(
        chromium, made, viewport={"width": width, "height": 760}, is_mobile=True, has_touch=True
    )
    sizes = phone.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert sizes == [width, width]
    assert phone.page.evaluate(
        "getComputedStyle(document.querySelector('canvas')).touchAction"
    ) == ("pan-y")
    small = phone.page.evaluate(
        """() => [...document.querySelectorAll("button, .switches label:not([hidden])")]
        .map((e) => e.getBoundingClientRect())
        .filter((r) => Math.min(r.width, r.height) < 36).length"""
    )
    assert small == 0
    before = phone.drawn()
    box = phone.page.locator("canvas").bounding_box()
    client = phone.page.context.new_cdp_session(phone.page)
    x, y = box["x"] + 150, box["y"] + 150
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 60, "y": y}]),
        ("touchMove", [{"x": x + 120, "y": y}]),
        ("touchEnd", []),
    ):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert differ(before, phone.drawn()) > 0.01
    phone.page.close()


def test_a_dark_scheme_is_dark(chromium, made):
    backgrounds = []
    for scheme in ("light", "dark"):
        shown = Opened(chromium, made, color_scheme=scheme)
        picture = shown.picture("header")
        backgrounds.append(picture[1, -2].mean())
        ink = shown.page.evaluate("getComputedStyle(document.querySelector('.section')).color")
        assert (np.mean([int(n) for n in re.findall(r"\d+", ink)[:3]]) > 128) == (scheme == "dark")
        shown.page.close()
    assert backgrounds[0] > 230 and backgrounds[1] < 40


def test_the_record_is_folded_on_screen_and_open_on_paper(chromium, made):
    shown = Opened(chromium, made)
    record = shown.page.locator("dl.record")
    assert not record.is_visible()
    pdf = shown.page.pdf(format="A4")
    with pdfium.PdfDocument(pdf) as document:
        paper = "".join(page.get_textpage().get_text_range() for page in document)
    assert "--voxel-mm 5" in paper and "Place chosen" in paper and "Copy" not in paper
    # And as it was, on the screen.
    assert not record.is_visible()
    shown.page.locator("summary").click()
    assert record.is_visible() and "--whole-cube" in record.inner_text()
    assert shown.complaints == []
    shown.page.close()


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_button_copies_the_text_to_cite(chromium, made, clipboard):
    shown = Opened(chromium, made, permissions=["clipboard-read"])
    if not clipboard:
        shown.page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }"
        )
    for name in ("caption", "software"):
        shown.page.locator(f"[data-copy={name}]").click()
        shown.page.get_by_text("Copied.").nth(int(name == "software")).wait_for()
        said = " ".join(shown.page.locator(f"#{name}").inner_text().split())
        assert shown.page.evaluate("navigator.clipboard.readText()").strip() == said
        assert "voxgan_jax" in said and len(said) > 100
    assert shown.complaints == []
    shown.page.close()


def test_without_a_script_no_button_is_there_and_the_record_opens(chromium, made):
    plain = Opened(chromium, made, java_script_enabled=False)
    assert not plain.page.locator("button.copy").first.is_visible()
    plain.page.emulate_media(media="print")
    assert plain.page.locator("dl.record").is_visible()
    plain.page.close()


def test_a_notebook_s_frame_holds_the_page_and_shows_it(chromium, made, tmp_path):
    text = made.read_text(encoding="utf-8")
    (tmp_path / "book.html").write_text(
        f"<!doctype html><body>{Frame(text, 500)._repr_html_()}", encoding="utf-8"
    )
    shown = Opened(chromium, tmp_path / "book.html")
    frame = shown.page.frame_locator("iframe")
    frame.locator("#viewer[data-state=ready]").wait_for()
    assert shown.page.locator("iframe").bounding_box()["height"] == 500
    assert frame.locator("h1").inner_text() == NAME and shown.complaints == []
    assert len(repr(Frame(text, 500))) < 200
    shown.page.close()


def test_the_drawing_is_printed_at_a_round_scale(chromium, made, view):
    shown = Opened(chromium, made)
    shown.page.emulate_media(media="print")
    assert not shown.page.locator(".switches").first.is_visible()
    assert "Printed at 1:1." in shown.page.locator(".drawing").inner_text()
    width = shown.page.locator(".section").bounding_box()["width"]
    (mm,) = re.findall(r'<svg[^>]* width="([\d.]+)mm"', view.drawing)
    assert width == pytest.approx(float(mm) / 25.4 * 96, rel=0.01)
    shown.page.close()


def test_without_a_scale_all_is_in_voxels(chromium, view, tmp_path):
    said = dataclasses.replace(view.report, scale=measures.NO_SCALE)
    page.write_page(tmp_path / "pot.html", view._replace(report=said))
    shown = Opened(chromium, tmp_path / "pot.html")
    text = shown.page.locator("main").inner_text()
    assert "No scale given; 1 voxel taken as 1 mm" in text
    assert "0.31 voxels" in text and "height 111 voxels" in text and "One voxel" not in text
    assert shown.page.locator("[data-scale]").inner_text().endswith(" voxels")
    shown.page.emulate_media(media="print")
    assert "Printed at" not in shown.page.locator(".drawing").inner_text()
    shown.page.close()


def test_without_webgl_the_page_says_so_and_shows_the_rest(chromium, made):
    plain = chromium.new_page()
    complaints = []
    plain.on("pageerror", lambda error: complaints.append(str(error)))
    plain.on("console", lambda message: complaints.append(message.text))
    plain.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    plain.goto(made.as_uri())
    assert plain.locator("#viewer").get_attribute("data-state") == "failed"
    assert plain.get_by_text("This browser shows no 3D view").is_visible()
    assert plain.locator(".section").is_visible() and plain.locator("dl.measures").is_visible()
    assert not plain.locator("canvas").is_visible() and complaints == []
    plain.close()


def test_a_page_with_next_to_nothing_works(chromium, view, tmp_path):
    alone = view.surfaces._replace(original=trimesh.Trimesh())
    bare = page.View(report(), alone, None, (), view.matrix, "")
    page.write_page(tmp_path / "bare.html", bare)
    shown = Opened(chromium, tmp_path / "bare.html")
    assert shown.page.locator("#viewer").get_attribute("data-state") == "ready"
    assert shown.complaints == []
    assert "do not cite it as a find" in shown.page.locator("body").inner_text()
    assert shown.page.locator("input[data-part]").count() == 1
    shown.page.close()
