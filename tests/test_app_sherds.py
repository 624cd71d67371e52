"""Several sherds in the workbench, and what is asked of it in haste; a worker that only shows."""

import dataclasses
import functools
import shutil

import app_ready
import app_seen
import app_work
import pytest
from restored_bowl import PLACE, placement

pytestmark = pytest.mark.browser

NAMES = ("s00", "s01", "s02")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Three scans, and a pot with two other places, of which one is all but impossible."""
    likely, rare = (
        dataclasses.replace(PLACE, height_mm=90.0, confidence=share) for share in (0.1, 0.008)
    )
    places = dataclasses.replace(placement("Placed", "high", 0.8), runner_ups=(rare, likely))
    told = {"placement": dataclasses.asdict(places)}
    ready = app_ready.lay(tmp_path_factory.mktemp("ready"), **told)
    work = functools.partial(app_seen.show, str(ready))
    with app_work.bench(tmp_path_factory.mktemp("bench") / "finds", work) as made:
        for name in NAMES:
            shutil.copyfile(ready / "rim sherd.stl", made.project.folder / f"scans/{name}.stl")
            made.add(f"{name}.stl")
        app_work.until(lambda: all(scan.look for scan in made.project.scans.values()))
        yield made


@pytest.fixture(scope="module")
def shown(bench):
    with app_ready.opened(bench, patience_ms=60_000) as made:
        turn(made, "s00")
        yield made


def kept(bench, name):
    return next(scan for scan in bench.project.scans.values() if scan.name == name)


def turn(shown, name):
    shown.page.click(f"#sherds button:has-text('{name}')")
    shown.page.wait_for_selector(f"#sherds button[aria-current]:has-text('{name}')")
    shown.page.wait_for_selector("#viewer[data-shown][data-state=ready]")


def tick(bench, shown, name, others):
    """Tick a sherd, by its name, on the page of s00; the others are then these."""
    shown.page.click(f"#others_list label:has-text('{name}')")
    app_work.until(lambda: kept(bench, "s00").choices.get("others", []) == others)


@pytest.mark.parametrize(
    ("typed", "axis"),
    [
        ("0,5; 0,5; 0,7", [0.5, 0.5, 0.7]),
        ("0,5 0,5 0,6", [0.5, 0.5, 0.6]),
        ("0,5, 0,5, 0,8", [0.5, 0.5, 0.8]),
        ("0.5,0.5,0.9", [0.5, 0.5, 0.9]),
        ("0, 0, 1", [0, 0, 1]),
        ("0,0,-1", [0, 0, -1]),
        ("0,0,-1,10,20,-30", [0, 0, -1, 10, 20, -30]),
        ("0 0 1 10,5 20 30,25", [0, 0, 1, 10.5, 20, 30.25]),
    ],
)
def test_an_axis_is_read_with_commas_of_either_kind(bench, shown, typed, axis):
    if not shown.page.is_visible("[name=axis]"):
        shown.page.click("summary:has-text('Type the axis')")
    shown.page.fill("[name=axis]", typed)
    shown.page.press("[name=axis]", "Enter")
    app_work.until(lambda: kept(bench, "s00").choices.get("axis") == axis)
    assert not shown.page.is_visible("#trouble")


@pytest.mark.parametrize("typed", ["0,5,0,5,0,7", "1,2 3", "0.5,0.5 0.7", "0,0", "0,,1", "a b c"])
def test_an_axis_of_which_it_is_not_clear_what_is_meant_is_refused(bench, shown, typed):
    before = kept(bench, "s00").choices
    shown.page.fill("[name=axis]", typed)
    shown.page.press("[name=axis]", "Enter")
    shown.page.wait_for_selector("#trouble:has-text('It is not clear which numbers are meant')")
    assert kept(bench, "s00").choices is before


def test_an_axis_is_cleared(bench, shown):
    shown.page.fill("[name=axis]", "")
    shown.page.press("[name=axis]", "Enter")
    app_work.until(lambda: kept(bench, "s00").choices == {})


def test_sherds_of_one_pot_are_ticked_above_the_button_and_it_is_said_whose_name_it_gets(
    bench, shown
):
    page = shown.page
    list_, button = (page.locator(what).bounding_box() for what in ("#same_pot", "#restore"))
    assert list_["y"] + list_["height"] <= button["y"]
    assert "named after it" in page.inner_text("#pot_named")
    assert not page.is_visible("#of_one") and page.get_attribute("#by_rim", "title") == ""
    tick(bench, shown, "s01", [2])
    page.wait_for_selector("#pot_named:has-text('The pot is named after s00')")
    # What is off says why.
    assert "told of one sherd alone" in page.inner_text("#of_one")
    assert page.is_disabled("#by_rim") and page.is_disabled("[name=rim]")
    for what in ("#by_rim", "label:has([name=rim])", "label:has([name=axis])"):
        assert page.get_attribute(what, "title") == page.inner_text("#of_one")
    turn(shown, "s01")
    text = "It is to be restored together with s00, which is not done yet."
    assert page.inner_text("#part_of") == text
    assert page.inner_text("#loose") == ""
    turn(shown, "s00")


def test_which_sherds_are_in_the_pot_and_which_is_set_aside_is_said_beside_it(bench, shown):
    page = shown.page
    tick(bench, shown, "s02", [2, 3])
    page.click("#restore")
    page.wait_for_selector("#viewer[data-shown^='[\"pot\"'][data-state=ready]")
    said = page.inner_text("#loose")
    assert "2 loose sherds lie in one pot" in said and "s00.stl, s01.stl." in said
    assert "Set aside: s02.stl, as the pot that the others make does not foretell it" in said
    turn(shown, "s01")
    assert page.inner_text("#part_of") == "It is restored together with s00."
    turn(shown, "s02")
    assert page.inner_text("#part_of").startswith("It was set aside when the pot of s00")
    page.click("#part_of a")
    page.wait_for_selector("#sherds button[aria-current]:has-text('s00')")
    bench.speak("de")
    page.wait_for_selector("html[lang=de] #loose:has-text('Beiseitegelegt: s02.stl')")
    bench.speak("en")
    page.wait_for_selector("html[lang=en] #loose:has-text('Set aside: s02.stl')")
    # Two that are left are restored again by themselves.
    tick(bench, shown, "s02", [2])
    page.wait_for_function("() => !document.getElementById('loose').innerText.includes('s02')")
    turn(shown, "s02")
    assert page.inner_text("#part_of") == ""
    turn(shown, "s00")


def test_a_place_of_less_than_one_per_cent_is_not_offered(bench, shown):
    assert shown.page.locator("#runner_ups li").count() == 1
    said = shown.page.inner_text("#runner_ups li")
    assert "the sherd's middle 50.0 mm above the base; likelihood 10 %" in said
    tick(bench, shown, "s01", [])
    shown.page.click("#runner_ups button")
    app_work.until(lambda: kept(bench, "s00").choices.get("height_mm") == 90)


def test_a_picture_is_of_what_is_drawn(shown):
    page, held = shown.page, []
    page.wait_for_selector("#viewer[data-shown^='[\"pot\"'][data-state=ready]")
    page.route("**/view/scan", lambda route: held.append(route))
    page.click("[data-kind=scan]")
    page.wait_for_selector("#picture:disabled")
    page.click("[data-kind=pot]")  # Which is still drawn.
    with page.expect_download() as waited:
        page.click("#picture")
    assert waited.value.suggested_filename == "s00_pot.png"
    page.click("#sherds button:has-text('s01')")
    page.wait_for_selector("#picture:disabled")
    app_work.until(lambda: page.wait_for_timeout(10) or len(held) == 2)
    for each in held:
        each.continue_()
    page.unroute("**/view/scan")
    with page.expect_download() as waited:
        page.click("#picture")
    assert waited.value.suggested_filename == "s01_scan.png"
    turn(shown, "s00")


def test_stop_answers_at_once_and_says_that_nothing_was_changed(bench, shown):
    page, held = shown.page, []
    page.wait_for_selector("#progress", state="hidden")
    before = kept(bench, "s00").restored
    page.fill("[name=height_mm]", f"{app_seen.STUCK_MM:.0f}")
    page.press("[name=height_mm]", "Tab")
    if not before:  # Else a change restores by itself.
        page.click("#restore")
    page.wait_for_selector("#progress:has-text('place in the pot')")
    page.route("**/stop", lambda route: held.append(route))
    page.click("#stop")
    page.wait_for_selector("#progress:has-text('Stopping …')")
    assert page.is_disabled("#stop")
    held[0].continue_()
    page.unroute("**/stop")
    page.wait_for_selector("#progress:has-text('Stopped; nothing was changed.')")
    assert not page.is_visible("#stop") and kept(bench, "s00").restored == before
    page.wait_for_selector("#progress", state="hidden")


def test_a_language_that_cannot_be_kept_changes_nothing(shown):
    shown.page.evaluate("() => { globalThis.same = true; }")
    shown.page.route("**/language", lambda route: route.abort())
    shown.page.select_option("#language", "de")
    shown.page.wait_for_selector("#trouble:has-text('voxgan app does not answer')")
    assert shown.page.input_value("#language") == "en"
    assert shown.page.evaluate("() => globalThis.same === true")
    shown.page.unroute("**/language")
    shown.complaints[:] = [text for text in shown.complaints if "ERR_FAILED" not in text]


def test_it_complains_of_nothing(shown):
    shown.page.set_viewport_size({"width": 390, "height": 844})
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.complaints == []
