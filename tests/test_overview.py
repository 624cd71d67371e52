"""The overview of a batch: written as the batch runs, cheaply, and at its end; in a browser."""

import base64
import csv
import dataclasses
import hashlib
import io
import itertools
import re

import numpy as np
import pytest
from browser import Opened, launched
from restored_bowl import MEASURES, restored
from restored_bowl import report as told

from voxgan_jax import ledger
from voxgan_jax.drawing import measures
from voxgan_jax.report import overview, page, sizes


class Clock:
    """Seconds that pass only when told, and while the overview is written."""

    def __init__(self, monkeypatch, cost):
        self.now, self.writings = 1000.0, 0
        write = overview.write_overview

        def writing(*arguments):
            self.now += cost
            self.writings += 1
            return write(*arguments)

        monkeypatch.setattr(overview, "write_overview", writing)

    def __call__(self):
        return self.now


def report(number):
    found = dataclasses.replace(MEASURES, height_mm=100.0 + number)
    return told(name=f"sherd{number:02}", measures=found)


def heading(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    return text.split("<h1>")[1].split("</h1>")[0], "Not finished:" in text


def lines(folder):
    return (folder / "summary.csv").read_text(encoding="utf-8").splitlines()[1:]


@pytest.mark.parametrize(("cost", "waits"), [(0.1, 10), (4.0, 200)])
def test_it_is_written_at_once_then_now_and_then_and_at_the_end(cost, waits, tmp_path, monkeypatch):
    clock, out = Clock(monkeypatch, cost), tmp_path / "out"
    with overview.Overview(out, 6, [report(0)], clock) as found:
        assert not out.exists()
        found.add(report(2))
        assert heading(out) == ("2 of 6 pots restored so far", True)
        found.add(report(1))
        clock.now += waits - 1
        found.fail(overview.Failure("bad", "scans/bad.vox", "it holds no voxel"))
        assert clock.writings == 1
        clock.now += 2
        found.add(report(3))
        assert heading(out) == ("4 of 6 pots restored so far, one file failed", True)
        assert [line.split(",")[0] for line in lines(out)] == [
            *(f"sherd{number:02}" for number in range(4)),
            "bad",
        ]
        clock.now += 2 * waits
        found.add(report(4))
        assert clock.writings == 2  # Nothing is left, so the end is near.
    assert heading(out) == ("5 pots restored, one file failed", False)
    assert lines(out)[-1].startswith("bad,scans/bad.vox,") and len(lines(out)) == 6
    names = [ledger.LIST, "index.html", "summary.csv"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_a_batch_that_stops_leaves_it_as_of_then(tmp_path):
    with pytest.raises(KeyboardInterrupt), overview.Overview(tmp_path, 9) as found:
        for number in range(4):
            found.add(report(number))
        raise KeyboardInterrupt
    assert heading(tmp_path) == ("4 of 9 pots restored so far", True)
    assert len(lines(tmp_path)) == 4


def test_a_fault_of_writing_shows_at_the_end_only(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(NotADirectoryError),
        overview.Overview(tmp_path / "file" / "out", 3) as found,
    ):
        found.add(report(0))
        found.add(report(1))
    assert len(found.done) == 2


def test_nowhere_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with overview.Overview(None, 2) as found:
        found.add(report(0))
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_plain_and_a_failed_file_is_named_once(tmp_path):
    found = {"height_mm": 0.0, "volume_ml": 1796312.345, "capacity_ml": 837.6764, "wall_mm": 7.0}
    found = dataclasses.replace(MEASURES, **found)
    done = told(name="a", measures=found, share_inferred=0.87654321)
    failed = overview.Failure("bad", "scans/bad.vox", "scans/bad.vox: it holds no voxel")
    overview.write_overview(tmp_path, [done], [failed])
    with (tmp_path / "summary.csv").open(encoding="utf-8") as file:
        good, bad = csv.DictReader(file)
    names = ("height_mm", "volume_ml", "capacity_ml", "wall_mm", "share_inferred")
    assert [good[name] for name in names] == ["0", "1796312", "837.676", "7", "0.87654"]
    assert good["rim_percent"] == good["eve"] == good["height_mm_low"] == ""
    assert bad["error"] == "scans/bad.vox: it holds no voxel"
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.count("scans/bad.vox") == 1 and "</strong> it holds no voxel<" in text


def test_the_table_has_the_rim_and_the_ends_of_the_intervals():
    height = sizes.Interval(half=(105.0, 118.0), most=(100.0, 125.5))
    spans = dict.fromkeys(("rim_diameter_mm", "base_diameter_mm", "capacity_ml"))
    spread = sizes.Spread(draws=5, height_mm=height, **spans)
    rim = sizes.Rim(percent=12.3, eve=0.123)
    (row,) = csv.DictReader(io.StringIO(overview.summary([told(rim=rim, spread=spread)], [])))
    assert (row["rim_percent"], row["eve"]) == ("12.3", "0.123")
    assert (row["height_mm_low"], row["height_mm_high"]) == ("100", "125.5")
    names = [f"{name}_{end}" for name in sizes.SIZES for end in ("low", "high")]
    assert len(names) == 10 and [row[name] for name in names[2:]] == [""] * 8


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


def test_the_index_sorts_filters_and_lists_what_failed(chromium, tmp_path):
    view = restored()
    known = dataclasses.replace(view.report, scale=measures.NO_SCALE)
    rows = [
        overview.Row(dataclasses.replace(said, name=name), f"{name}.html", f"{name} #%_section.svg")
        for name, said in (
            ("pot 10", dataclasses.replace(known, measures=wide(90.0))),
            ("pot 9", dataclasses.replace(known, measures=wide(1200.0))),
            ("pot 8", told()),
        )
    ]
    failed = [overview.Failure("bad", "<i>bad.vox", "it holds no voxel & more")]
    for row in rows:
        (tmp_path / row.drawing).write_text(view.drawing, encoding="utf-8")
    (tmp_path / "index.html").write_text(overview.index(rows, failed), encoding="utf-8")
    shown = Opened(chromium, tmp_path / "index.html")

    def names():
        return shown.page.locator("#pots tbody tr:visible th").all_inner_texts()

    assert shown.page.locator("h1").inner_text() == "3 pots restored, one file failed"
    assert names() == ["pot 10", "pot 9", "pot 8"]
    shown.page.get_by_role("button", name="Name").click()
    assert names() == ["pot 8", "pot 9", "pot 10"]
    for expected in (["pot 10", "pot 9", "pot 8"], ["pot 9", "pot 10", "pot 8"]):
        shown.page.get_by_role("button", name="Diameter").click()
        assert names() == expected
    assert shown.page.locator("th[aria-sort=descending]").inner_text().startswith("Diameter")
    shown.page.fill("#filter", "FAIR 9")
    assert names() == ["pot 9"]
    assert shown.page.locator("#found").inner_text() == "1 of 3"
    assert "<i>bad.vox it holds no voxel & more" in shown.page.locator(".failures").inner_text()
    href = shown.page.locator("th a").first.get_attribute("href")
    assert href in {f"./pot%20{n}.html" for n in (8, 9, 10)}
    loaded = "all => all.map(img => img.complete && img.naturalWidth > 0)"
    assert shown.page.locator("#pots img").evaluate_all(loaded) == [True] * 3
    files = [tmp_path / name for name in ("index.html", *(row.drawing for row in rows))]
    assert sorted(shown.requests) == sorted(path.as_uri() for path in files)
    assert shown.complaints == []
    shown.page.set_viewport_size({"width": 360, "height": 700})
    shown.page.fill("#filter", "")
    shown.page.get_by_role("button", name="Confidence").click()
    assert names()[-1] == "pot 8"
    assert "90.0\u00a0voxels" in shown.page.locator("#pots").inner_text()
    assert "Sizes in voxels: no scale was given" in shown.page.locator("header").inner_text()
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 360
    shown.page.close()


def wide(diameter):
    return dataclasses.replace(MEASURES, max_diameter_mm=diameter)


def test_a_batch_of_failures_only_has_no_table(tmp_path):
    overview.write_overview(tmp_path, [], [overview.Failure("a", "a", "b")])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "0 pots restored, one file failed" in text and 'id="pots"' not in text
    names = [ledger.LIST, "index.html", "summary.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_what_others_wrote_is_not_replaced_by_an_overview(tmp_path):
    (tmp_path / "index.html").write_text("by hand")
    found = overview.Overview(tmp_path, 2, overwrite=False)
    assert "index.html exists and voxgan did not write it" in str(found.refused())
    with found:
        found.add(report(0))
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    with overview.Overview(tmp_path, 2, overwrite=True) as found:
        assert found.refused() is None
        found.add(report(0))
    assert heading(tmp_path)[0] == "1 of 2 pots restored so far"


_DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" width="100" height="80" viewBox="0 0 100 80"
onload="document.title = 'run'"><script>document.title = "run"</script>
<image href="other.svg" width="9" height="9"/><path d="M0 0h100v80h-100z" fill="{}"/></svg>"""


def test_pages_run_only_their_own_scripts():
    for text in (page.page(restored()), overview.index([])):
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
        known = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert known and rules["script-src"].split() == known and "unsafe" in rules["style-src"]
        none = {name for name, allowed in rules.items() if allowed == "'none'"}
        assert none == {"default-src", "base-uri", "form-action"}


def test_a_drawing_is_shown_as_a_picture_and_runs_nothing(chromium, tmp_path):
    (tmp_path / "other.svg").write_text(_DRAWN.format("blue"))
    (tmp_path / "sherd00_section.svg").write_text(_DRAWN.format("red"))
    overview.write_overview(tmp_path, [report(0)], [])
    (tmp_path / "page.html").write_text(
        (tmp_path / "index.html")
        .read_text(encoding="utf-8")
        .replace("<main>", "<main><script>document.title = 'run'</script>"),
        encoding="utf-8",
    )
    for name, most in (("index.html", 0), ("page.html", 1)):
        shown = Opened(chromium, tmp_path / name)
        assert 'fill="red"' not in shown.page.content() and shown.page.title() == "One pot restored"
        assert not [url for url in shown.requests if url.endswith("other.svg")]
        # The browser says that it did not run the script.
        assert len(shown.complaints) == most
        red = shown.picture(".thumb img").mean(axis=(0, 1))
        assert red[0] > 200 > 60 > red[1]
        shown.page.close()


def test_drawings_can_be_seen_by_day_by_night_and_on_paper(chromium, tmp_path):
    view = restored()
    (tmp_path / "sherd00_section.svg").write_text(view.drawing, encoding="utf-8")
    overview.write_overview(tmp_path, [report(0)], [])
    shares = {}
    for scheme, medium in itertools.product(("light", "dark"), ("screen", "print")):
        shown = Opened(chromium, tmp_path / "index.html", color_scheme=scheme)
        shown.page.emulate_media(media=medium, color_scheme=scheme)
        picture = shown.picture(".thumb img").mean(axis=2)
        ground = np.median(picture)
        assert (ground < 60) == (scheme == "dark" and medium == "screen")
        shares[scheme, medium] = float((abs(picture - ground) > 120).mean())
        shown.page.close()
    assert min(shares.values()) > 0.03 and max(shares.values()) < 1.5 * min(shares.values())
