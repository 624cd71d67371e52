"""The page of a batch, in a real browser."""

import pytest
from browser import Opened, launched
from restored_bowl import restored

from voxgan_jax.report import index, profile

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def view():
    made = restored()
    return made._replace(report={**made.report, "scale": profile.NO_SCALE})


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


def test_the_index_sorts_filters_and_lists_what_failed(chromium, view, tmp_path):
    rows = [
        {"name": f"pot {n}", "page": f"pot {n}.html", "drawing": view.drawing, "report": report}
        for n, report in (
            (10, view.report | {"measures": {"height_mm": 90.0}}),
            (9, view.report | {"measures": {"height_mm": 1200.0}}),
            (8, {}),
        )
    ]
    rows.append({"name": "<i>bad.vox", "error": "it holds no voxel & more"})
    index.index_page(tmp_path / "index.html", rows)
    shown = Opened(chromium, tmp_path / "index.html")

    def names():
        return shown.page.locator("#pots tbody tr:visible th").all_inner_texts()

    assert shown.page.locator("h1").inner_text() == "3 pots restored, one file failed"
    assert names() == ["pot 10", "pot 9", "pot 8"]
    shown.page.get_by_role("button", name="Name").click()
    assert names() == ["pot 8", "pot 9", "pot 10"]
    for expected in (["pot 10", "pot 9", "pot 8"], ["pot 9", "pot 10", "pot 8"]):
        shown.page.get_by_role("button", name="Height").click()
        assert names() == expected
    assert shown.page.locator("th[aria-sort=descending]").inner_text().startswith("Height")
    shown.page.fill("#filter", "FAIR 9")
    assert names() == ["pot 9"]
    assert shown.page.locator("#found").inner_text() == "1 of 3"
    assert "<i>bad.vox it holds no voxel & more" in shown.page.locator(".failures").inner_text()
    href = shown.page.locator("th a").first.get_attribute("href")
    assert href in {f"./pot%20{n}.html" for n in (8, 9, 10)}
    assert shown.page.locator("#pots svg").count() == 3
    assert shown.requests == [(tmp_path / "index.html").as_uri()] and shown.complaints == []
    shown.page.set_viewport_size({"width": 360, "height": 700})
    shown.page.fill("#filter", "")
    shown.page.get_by_role("button", name="Inferred").click()
    assert names()[-1] == "pot 8"
    assert "90.0\u00a0mm*" in shown.page.locator("#pots").inner_text()
    assert "Sizes marked * are in voxels" in shown.page.locator("header").inner_text()
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 360
    shown.page.close()


def test_a_batch_of_failures_only_has_no_table(tmp_path):
    index.index_page(tmp_path / "index.html", [{"name": "a", "error": "b"}])
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "0 pots restored, one file failed" in text and 'id="pots"' not in text
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
