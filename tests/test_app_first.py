"""The workbench shows a pot as soon as the model has answered; its files come later."""

import functools

import app_ready
import app_seen
import app_work
import pytest

POT = "#viewer[data-shown^='[\"pot\"'][data-state=ready]"
HEIGHT = "[name=height_mm]"


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return app_ready.lay(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def bench(tmp_path, ready):
    with app_work.bench(tmp_path / "finds", functools.partial(app_seen.show, str(ready))) as made:
        yield made


def sherd(bench, ready):
    bench.bring(ready / "rim sherd.stl")
    (scan,) = bench.project.scans.values()
    app_work.until(lambda: scan.look)
    return scan


def told(bench):
    (scan,) = bench.state()["scans"]
    return scan


def early(bench, scan):
    """A pot whose files are not made yet."""
    bench.choose(scan.id, {"height_mm": app_seen.EARLY_MM})
    if not bench.jobs.state():
        bench.restore(scan.id)
    return app_work.until(lambda: told(bench)["first"] and told(bench))


def test_a_pot_is_told_of_before_its_files(bench, ready):
    scan, asked = sherd(bench, ready), app_work.client(bench)
    assert asked.get(f"/scans/{scan.id}/view/first").status_code == 404
    known = early(bench, scan)
    assert known["restored"]["files"] == [] and known["restored"]["choices"] == scan.choices
    assert scan.restored is None and known["step"] == "step_placing"
    seen = asked.get(f"/scans/{scan.id}/view/first")
    assert seen.text == (ready / "restore_view.json").read_text()
    assert asked.get(f"/scans/{scan.id}/view/pot").status_code == 404
    # It can be turned over already.
    up = known["restored"]["report"]["placement"]["axis_direction"]
    assert asked.post(f"/scans/{scan.id}/flip").status_code == 204
    assert scan.choices["axis"] == pytest.approx([-part for part in up], abs=1e-3)
    bench.change(scan.id, {"height_mm": 90.0})
    app_work.until(lambda: scan.restored and not bench.jobs.state())
    assert not told(bench)["first"] and told(bench)["restored"]["files"]
    seen = [asked.get(f"/scans/{scan.id}/view/{kind}") for kind in ("first", "pot")]
    assert seen[0].status_code == 200 and seen[0].content == seen[1].content


def test_it_is_seen_until_another_takes_its_place(bench, ready):
    scan = sherd(bench, ready)
    before = early(bench, scan)["restored"]
    bench.change(scan.id, {"height_mm": app_seen.STUCK_MM})
    app_work.until(lambda: told(bench)["step"] == "step_placing")
    assert told(bench)["first"] and told(bench)["restored"] == before
    bench.change(scan.id, {"height_mm": 90.0})
    app_work.until(lambda: scan.restored and not bench.jobs.state())
    assert not told(bench)["first"] and told(bench)["restored"]["choices"] == {"height_mm": 90.0}


@pytest.mark.parametrize("end", ["stop", "remove", "die"])
def test_a_pot_without_files_goes_with_its_work(bench, ready, end):
    scan = sherd(bench, ready)
    early(bench, scan)
    if end == "die":
        bench.jobs._process.kill()
    else:
        getattr(bench, end)(scan.id)
    app_work.until(lambda: not bench.jobs.state() and not bench._first)
    assert end == "remove" or told(bench)["restored"] is None


@pytest.mark.browser
def test_the_first_look_of_a_pot(bench, ready):
    scan = sherd(bench, ready)
    with app_ready.opened(bench, patience_ms=120_000) as shown:
        page = shown.page
        page.click("#restore")
        page.wait_for_selector("#files:visible")
        page.wait_for_selector(POT)
        page.check("#switches [data-part=missing]")
        page.fill(HEIGHT, f"{app_seen.EARLY_MM:.0f}")
        page.press(HEIGHT, "Tab")
        page.wait_for_selector("#files:not(:visible)", state="attached")
        page.wait_for_selector(POT)
        assert page.is_visible("#result") and page.is_visible("#stop")
        assert page.inner_text("#hint") == "The pot is restored."
        assert not page.is_visible("#section") and not page.is_visible("#before")
        page.click("#stop")
        page.wait_for_selector("#progress:has-text('Stopped')")
        page.wait_for_selector("#files:visible")  # Of the pot before, which is shown again.
        assert page.is_visible("#before") and "height_mm" not in scan.restored["choices"]
        page.fill(HEIGHT, "90")
        page.press(HEIGHT, "Tab")
        page.wait_for_selector("#hint:text-is('The pot is restored.')")
        app_work.until(lambda: scan.restored["choices"].get("height_mm") == 90.0)
        page.wait_for_selector("#files:visible")
        assert page.inner_text("#hint") == "The pot is restored."
        assert page.is_checked("#switches [data-part=missing]")


def test_its_warnings_are_told_with_it(tmp_path, ready):
    folder = app_ready.lay(tmp_path, warnings=["the sherd is very thin"])
    with app_work.bench(tmp_path / "f", functools.partial(app_seen.show, str(folder))) as bench:
        known = early(bench, sherd(bench, folder))
    assert known["warnings"] == ["the sherd is very thin"]
