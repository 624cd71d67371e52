"""`voxgan app` as its user meets it: the program, its real worker, and a browser."""

import base64
import json
import re
import signal
import subprocess
import sys
import zipfile

import app_work
import numpy as np
import psutil
import pytest
from browser import Opened, launched
from conftest import ROOT
from turned_sherds import cone

from voxgan_jax.geometry import surface

pytestmark = pytest.mark.browser

_LONG_MS = 300_000
_DROP = """([name, text]) => {
  const data = new DataTransfer();
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  data.items.add(new File([bytes], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {
      dataTransfer: data, bubbles: true, cancelable: true,
    }));
  }
}"""


class Workbench:
    """The program, started in a folder, and pages that are opened of it."""

    def __init__(self, browser, folder):
        command = [sys.executable, "-m", "voxgan_jax.cli", "app", "--no-browser", "--lang", "en"]
        self.program = subprocess.Popen(
            [*command, "--project", str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self.program.stdout
        lines = [self.program.stdout.readline() for _ in range(2)]
        self.address, self.folder = lines[1].strip(), folder
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", self.address), lines
        self.context = browser.new_context()

    def page(self, **options):
        """Another page of the same browser."""
        return Opened(self, None, address=self.address, **options)

    def new_page(self, viewport, color_scheme="light"):
        """As of a browser, but that knows the others' cookies."""
        page = self.context.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        return page

    @property
    def kept(self):
        """What the project's file says of its scan."""
        return json.loads((self.folder / "project.json").read_text())["scans"][0]

    def end(self):
        """The exit code after Ctrl-C, and the processes that are left."""
        self.context.close()
        begun = psutil.Process(self.program.pid).children(recursive=True)
        assert len(begun) >= 2  # The worker, and the one that reads scans for it.
        self.program.send_signal(signal.SIGINT)
        code = self.program.wait(timeout=30)
        return code, psutil.wait_procs(begun, timeout=10)[1]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A sherd that reaches up to the rim of a cone 160 mm wide there, its axis z."""
    path = tmp_path_factory.mktemp("scan") / "rim sherd.stl"
    surface.write_stl(path, cone())
    return path


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with launched() as browser:
        made = Workbench(browser, tmp_path_factory.mktemp("bench") / "finds")
        with made.program:
            try:
                yield made
                assert made.end() == (130, [])
                assert made.program.stdout and made.program.stdout.read() == ""
            finally:
                made.program.kill()


@pytest.fixture(scope="module")
def shown(bench):
    return bench.page()


def drop(shown, path):
    shown.page.evaluate(_DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])


def mm_a_pixel(shown):
    length, unit = shown.page.locator("[data-scale] span").inner_text().split()
    width = shown.page.locator("[data-scale]").bounding_box()["width"]
    return float(length) * {"mm": 1, "cm": 10}[unit] / width


def tops(shown, shares):
    """Places in the page just under the upper edge of what is drawn, at shares of its width."""
    there = shown.drawn()[..., 3] > 200
    columns = np.flatnonzero(there.any(axis=0))
    box = shown.page.locator("canvas").bounding_box()
    ratio = there.shape[1] / box["width"]
    found = []
    for share in shares:
        column = columns[round(share * (len(columns) - 1))]
        row = int(np.argmax(there[:, column])) + 3
        found.append((box["x"] + column / ratio, box["y"] + row / ratio))
    return found


def wait_for_pot(shown, bench, choices):
    """Until the pot of these choices is there and shown."""
    shown.page.wait_for_function(
        "() => document.getElementById('progress').hidden", timeout=_LONG_MS
    )
    assert bench.kept["fault"] is None
    assert bench.kept["restored"]["choices"].keys() == choices
    shown.page.wait_for_selector("#viewer[data-shown^='[\"pot\"'][data-state=ready]")


def test_a_scan_is_dropped_and_its_unit_asked(bench, shown, scan):
    shown.page.wait_for_selector("#welcome")
    drop(shown, scan)
    shown.page.wait_for_selector("#viewer[data-shown]", timeout=_LONG_MS)
    assert "Is the sherd 8.0 cm across?" in shown.page.inner_text("#size")
    sizes = shown.page.locator("#units button").all_inner_texts()
    assert sizes == ["mm 8.0 cm", "cm 80 cm", "m 80 m", "in 2.03 m"]
    shown.page.click("[data-unit=cm]")
    shown.page.wait_for_selector("#size_question:has-text('80 cm')")
    shown.page.click("#undo")
    shown.page.wait_for_selector("#size_question:has-text('8.0 cm')")
    shown.page.wait_for_selector("#viewer[data-shown$=',1]']")  # In mm again.
    assert bench.kept["choices"] == {} and bench.kept["file"] == "rim sherd.stl"
    assert (bench.folder / "scans/rim sherd.stl").read_bytes() == scan.read_bytes()


def test_two_clicked_points_are_measured(shown):
    shown.page.click("[data-act=front]")
    left, right = tops(shown, (0.1, 0.9))
    shown.page.click("#measure")
    shown.page.mouse.click(*left)
    assert shown.page.inner_text("#distance") == ""
    shown.page.mouse.click(*right)
    flat = np.hypot(*np.subtract(left, right)) * mm_a_pixel(shown)
    measured = float(shown.page.inner_text("#distance").removesuffix(" mm"))
    # A chord of the rim that is seen at a slant.
    assert 0.98 * flat < measured < 82
    # By keyboard: the cross on the middle, and a little aside.
    canvas = shown.page.locator("canvas")
    canvas.press("Enter")
    for _ in range(3):
        canvas.press("Shift+ArrowUp")
    canvas.press("Enter")
    again = float(shown.page.inner_text("#distance").removesuffix(" mm"))
    assert again >= 23 * mm_a_pixel(shown)
    canvas.press("Escape")
    assert shown.page.locator("#measure").get_attribute("aria-pressed") == "false"


def test_three_clicks_on_the_rim_give_the_axis(bench, shown):
    shown.page.click("#by_rim")
    shown.page.click("[data-act=front]")
    for place in tops(shown, (0.08, 0.5, 0.92)):
        shown.page.mouse.click(*place)
    shown.page.wait_for_selector("#by_rim[aria-pressed=false]")
    shown.page.wait_for_selector("#place [name=rim]:checked")
    axis = bench.kept["choices"]["axis"]
    assert np.degrees(np.arccos(axis[2])) < 6 and bench.kept["choices"]["rim"] is True


def test_the_pot_is_restored(bench, shown):
    """Which the clicks on the rim began; what is told meanwhile is heeded."""
    shown.page.wait_for_selector("#progress:not([hidden])")
    shown.page.select_option("[name=hypotheses]", "1")
    app_work.until(lambda: bench.kept["choices"].get("hypotheses"))
    wait_for_pot(shown, bench, {"axis", "rim", "hypotheses"})
    assert shown.page.locator("#before").is_hidden()
    report = bench.kept["restored"]["report"]
    assert 145 < report["measures"]["rim_diameter_mm"] < 175
    assert f"{report['measures']['height_mm']:.0f}"[:2] in shown.page.inner_text("#measures")
    command = shown.page.locator("#command").text_content()
    assert (
        "--axis=" in command and " --rim " in command and "'rim sherd" in command.replace("/", "'")
    )
    assert shown.page.evaluate("document.getElementById('drawing').naturalWidth") > 100
    before = shown.drawn()
    shown.page.uncheck("[data-axis]")
    assert (np.abs(before - shown.drawn()).max(axis=2) > 12).sum() > 20


def grip(shown, name):
    """Where a handle of the axis is, in the page."""
    box = shown.page.locator(f"[data-handle={name}]").bounding_box()
    return np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])


def test_the_axis_is_dragged_and_the_pot_restored_about_it(bench, shown):
    before, asked = bench.kept["restored"], bench.kept["choices"]
    old = np.array(before["report"]["placement"]["axis_direction"])
    shown.page.check("[data-axis]")
    shown.page.click("[data-act=front]")
    base, rim = grip(shown, "base"), grip(shown, "rim")
    assert abs(base[0] - rim[0]) < 1 and base[1] - rim[1] > 200
    shown.page.mouse.move(*rim)
    shown.page.mouse.down()
    shown.page.mouse.move(*(rim + np.array([20, 4])), steps=4)
    shown.page.mouse.move(*(rim + np.array([24, 0])), steps=4)
    shown.page.mouse.up()
    shown.page.wait_for_selector("#progress:not([hidden])")
    told = np.array(bench.kept["choices"]["axis"])
    tilt = np.degrees(np.arccos(told[:3] @ old / np.linalg.norm(told[:3])))
    assert tilt == pytest.approx(np.degrees(np.arctan2(24, base[1] - rim[1])), abs=0.3)
    wait_for_pot(shown, bench, {"axis", "rim", "hypotheses"})
    made = bench.kept["restored"]["report"]["placement"]
    assert made["axis_direction"] == pytest.approx(told[:3], abs=2e-3)
    aside = np.cross(np.subtract(made["axis_point_mm"], told[3:]), told[:3])
    assert np.linalg.norm(aside) < 0.1  # The axis goes through the point that was told.
    said = ",".join(f"{part:.10g}" for part in told)
    assert f"--axis={said} " in shown.page.locator("#command").text_content()
    # By keyboard all of it is moved; what is undone is there again.
    shown.page.click("[data-act=front]")
    pixel = mm_a_pixel(shown)
    shown.page.focus("[data-handle=middle]")
    for _ in range(5):
        shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("Shift+ArrowRight")
    shown.page.wait_for_selector("#progress:not([hidden])")
    moved = np.array(bench.kept["choices"]["axis"])
    assert moved[:3] == pytest.approx(told[:3], abs=2e-3)
    apart = np.linalg.norm(np.cross(moved[3:] - told[3:], told[:3] / np.linalg.norm(told[:3])))
    assert apart == pytest.approx(21 * pixel, abs=0.2)
    shown.page.click("#undo")
    shown.page.click("#undo")
    wait_for_pot(shown, bench, {"axis", "rim", "hypotheses"})
    assert bench.kept["choices"] == asked and bench.kept["restored"] == before


def test_the_rim_is_clicked_on_the_scan_alone(shown):
    """Not on the pot that is still shown while the scan is fetched; the focus stays in the view."""
    held = []
    shown.page.route("**/view/scan", lambda route: held.append(route))
    shown.page.click("#by_rim")
    hint = shown.page.inner_text("#hint")
    box = shown.page.locator("canvas").bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2)
    assert shown.page.inner_text("#hint") == hint and "3 more" in hint
    assert len(held) == 1
    shown.page.unroute("**/view/scan")  # What was held goes on.
    shown.page.wait_for_selector("#viewer[data-shown^='[\"scan\"']")
    assert shown.page.evaluate("document.activeElement.tagName") == "CANVAS"
    shown.page.keyboard.press("Enter")
    assert "2 more" in shown.page.inner_text("#hint")
    shown.page.keyboard.press("Escape")
    shown.page.click("[data-kind=pot]")
    shown.page.wait_for_selector("#viewer[data-shown^='[\"pot\"']")


def test_the_section_plane_and_the_light_are_moved(shown):
    shown.page.check("[data-section]")
    before = shown.drawn()
    shown.page.fill("[data-depth]", "-50")
    depth = shown.page.locator("[data-depth]").get_attribute("aria-valuetext")
    assert depth.startswith("−") and depth.endswith(" mm")
    behind = shown.drawn()
    assert (np.abs(before - behind).max(axis=2) > 12).mean() > 0.01
    shown.page.fill("[data-above]", "8")
    assert (np.abs(behind - shown.drawn()).max(axis=2) > 12).mean() > 0.1
    shown.page.click("[data-act=reset]")
    shown.page.uncheck("[data-section]")


def test_another_answer_is_shown_and_the_picture_kept(shown):
    before = shown.drawn()
    shown.page.check("[data-part=hypothesis-1]")
    shown.page.uncheck("[data-part=pot]")
    other = shown.drawn()
    assert (np.abs(before - other).max(axis=2) > 12).mean() > 0.01
    assert shown.page.locator("#hypotheses_list li").count() == 1
    with shown.page.expect_download() as waited:
        shown.page.click("#picture")
    picture = waited.value.path().read_bytes()
    assert waited.value.suggested_filename == "rim sherd_pot.png"
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_all_files_are_taken_away(bench, shown):
    with shown.page.expect_download() as waited:
        shown.page.click("#all")
    with zipfile.ZipFile(waited.value.path()) as packed:
        names, report = packed.namelist(), json.loads(packed.read("rim sherd.json"))
    assert names == bench.kept["restored"]["files"] and "rim sherd_hypothesis1.stl" in names
    assert report == bench.kept["restored"]["report"] | {"files": names[:-1]}
    links = shown.page.locator("#file_list a, #more_files a")
    kept = links.evaluate_all("(all) => all.map((link) => link.download)")
    assert sorted(kept) == sorted(names)
    with shown.page.expect_download() as waited:
        shown.page.click("text=Missing piece (STL)")
    kept = bench.folder / "results/rim sherd/rim sherd_missing.stl"
    assert waited.value.path().read_bytes() == kept.read_bytes()


def test_a_page_that_is_loaded_again_and_another_page_show_the_same(bench, shown):
    said = shown.page.inner_text(".right")
    shown.page.reload()
    shown.page.wait_for_selector("#viewer[data-shown^='[\"pot\"']")
    other = bench.page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    other.page.wait_for_selector("#viewer[data-shown^='[\"pot\"']")
    for page in (shown.page, other.page):
        assert page.inner_text(".right") == said


def test_what_takes_long_is_stopped(bench, shown):
    before = bench.kept["restored"]
    shown.page.fill("[name=diameter_mm]", "170")
    shown.page.press("[name=diameter_mm]", "Tab")
    shown.page.wait_for_selector("#progress:has-text('place in the pot')")
    shown.page.click("#stop")
    shown.page.wait_for_selector("#progress", state="hidden", timeout=10_000)
    assert bench.kept["restored"] == before
    assert bench.kept["choices"]["diameter_mm"] == 170
    assert "before your last change" in shown.page.inner_text("#before")
    # The other pages were told all of it.
    others = [page for page in bench.context.pages if page != shown.page]
    others[0].wait_for_selector("#progress", state="hidden")
    assert others[0].input_value("[name=diameter_mm]") == "170"
    assert not others[0].locator("#restore").is_disabled()


def test_more_windows_than_a_browser_has_connections_are_all_told(bench, shown):
    others = [bench.page() for _ in range(7)]
    for other in others:
        other.page.wait_for_selector("#undo:not([disabled])")
    shown.page.click("#undo")
    for other in others:
        other.page.wait_for_function(
            "() => document.querySelector('[name=diameter_mm]').value === ''"
        )
        other.page.close()
    shown.page.wait_for_selector("#progress:not([hidden])")
    shown.page.click("#stop")
    shown.page.wait_for_selector("#progress", state="hidden")


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_it_fits_every_width_and_has_names_for_all(bench, shown, width):
    shown.page.set_viewport_size({"width": width, "height": 850})
    wide = shown.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    for role in ("button", "checkbox", "spinbutton", "combobox", "textbox", "link"):
        for found in shown.page.get_by_role(role).all():
            box = found.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width + 1
    nameless = shown.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, canvas")]
        .filter((e) => !(e.textContent || e.ariaLabel || e.labels?.[0]?.textContent)?.trim())
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_a_file_that_cannot_be_read_is_told_and_removed(bench, shown, tmp_path):
    (tmp_path / "broken.stl").write_bytes(b"not a scan")
    drop(shown, tmp_path / "broken.stl")
    shown.page.wait_for_selector("#fault:has-text('no mesh can be read of it')")
    for hidden in ("#viewer", "#size", "#place", "#result", "#files"):
        assert not shown.page.locator(hidden).is_visible()
    shown.page.once("dialog", lambda dialog: dialog.accept())
    shown.page.click("#remove")
    shown.page.wait_for_selector("#viewer[data-shown^='[\"pot\"']")
    assert [file.name for file in (bench.folder / "scans").iterdir()] == ["rim sherd.stl"]
    (tmp_path / "notes.txt").write_bytes(b"no scan")
    drop(shown, tmp_path / "notes.txt")
    shown.page.wait_for_selector("#trouble:has-text('no scan that can be read')")


def test_what_is_typed_goes_to_the_sherd_for_which_it_was_begun(bench, shown, tmp_path):
    """Though the window turns to another that was dropped; these two are then one pot."""
    shown.page.focus("[name=height_mm]")
    shown.page.keyboard.type("123")
    surface.write_stl(tmp_path / "other sherd.stl", cone(40.0))
    drop(shown, tmp_path / "other sherd.stl")
    shown.page.wait_for_selector("#sherds button[aria-current]:has-text('other sherd')")
    shown.page.wait_for_selector("[data-other]", timeout=_LONG_MS)
    first, second = json.loads((bench.folder / "project.json").read_text())["scans"]
    assert first["choices"]["height_mm"] == 123 and second["choices"] == {}
    assert shown.page.input_value("[name=height_mm]") == ""
    shown.page.check("[data-other]")
    shown.page.wait_for_selector("[name=rim]:disabled")
    shown.page.click("#restore")
    shown.page.wait_for_selector("#files:not([hidden])", timeout=2 * _LONG_MS)
    second = json.loads((bench.folder / "project.json").read_text())["scans"][1]
    assert second["restored"]["choices"] == {"others": [first["id"]]}
    assert [each["file"] for each in second["restored"]["report"]["sherds"]] == [
        "other sherd.stl",
        "rim sherd.stl",
    ]
    assert "other sherd_pot_completed.stl" in second["restored"]["files"]
    assert re.search(
        r"sherd.stl' \S.*sherd.stl' --one-pot", shown.page.locator("#command").text_content()
    )


def test_it_asks_nobody_else_and_complains_of_nothing(bench, shown):
    own = bench.address.split("?")[0]
    assert len(shown.requests) > 10
    others = [url for url in shown.requests if not url.startswith((own, "data:", "blob:"))]
    # What was refused, Chromium tells of by itself.
    complaints = [text for text in shown.complaints if "400 (Bad Request)" not in text]
    assert (others, complaints) == ([], [])
