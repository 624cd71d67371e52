"""Both pages for those who use no mouse or hear the page read: names, focus, contrast."""

import dataclasses

import pytest
from browser import Opened, launched
from restored_bowl import restored

from voxgan_jax.report import overview, page

_CONTROLS = {"application", "button", "checkbox", "link", "searchbox", "slider"}
_CONTROLS |= {"DisclosureTriangle"}
_NAMED = _CONTROLS | {"image", "group", "region", "table", "columnheader", "rowheader"}

_CONTRAST = """() => {
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
  const colour = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3]));
  const ground = (element) => {
    const below = element.parentElement ? ground(element.parentElement) : [255, 255, 255];
    return over(colour(getComputedStyle(element).backgroundColor), below);
  };
  const ratio = (a, b) => Math.max(light(a), light(b)) / Math.min(light(a), light(b));
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest("script, style, noscript, title, desc, defs")) continue;
    const style = getComputedStyle(element);
    const ink = colour(element instanceof SVGElement ? style.fill : style.color);
    const behind = ground(element);
    found.push([texts.currentNode.textContent.trim(), ratio(over(ink, behind), behind)]);
  }
  return found;
}"""

_FOCUS = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const seen = [element, element.closest("label") || element].map(getComputedStyle);
  return [element.tagName, seen.some((s) => s.outlineStyle !== "none" && s.outlineWidth === "2px")];
}"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    view, path = restored(), tmp_path_factory.mktemp("access")
    page.write_page(path / "pot.html", view)
    rows = [
        overview.Row(dataclasses.replace(view.report, name=name), shown, "pot_section.svg")
        for name, shown in (("a", "pot.html"), ("b", ""))
    ]
    (path / "pot_section.svg").write_text(view.drawing, encoding="utf-8")
    failed = [overview.Failure("c", "c.vox", "it holds no voxel")]
    (path / "index.html").write_text(overview.index(rows, failed, 9), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["pot", "index"])
def test_every_text_can_be_read(name, scheme, chromium, folder):
    shown = Opened(chromium, folder / f"{name}.html", color_scheme=scheme)
    texts = shown.page.evaluate(_CONTRAST)
    assert len(texts) > 20
    assert [text for text in texts if text[1] < 4.5] == []
    shown.page.close()


@pytest.mark.parametrize(("name", "count"), [("pot", 26), ("index", 8)])
def test_whatever_has_the_focus_shows_it(name, count, chromium, folder):
    shown = Opened(chromium, folder / f"{name}.html")
    shown.page.locator("body").click(position={"x": 2, "y": 2})
    reached = []
    for _ in range(40):
        shown.page.keyboard.press("Tab")
        found = shown.page.evaluate(_FOCUS)
        if found is None:
            break
        reached.append(found)
    assert len(reached) == count and all(visible for _, visible in reached)
    shown.page.close()


@pytest.mark.parametrize("name", ["pot", "index"])
def test_a_screen_reader_finds_a_name_for_all_that_it_tells(name, chromium, folder):
    shown = Opened(chromium, folder / f"{name}.html")
    session = shown.page.context.new_cdp_session(shown.page)
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in session.send("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    found = [(role, name) for role, name in nodes if role in _NAMED]
    # A disclosure's own box is a group without a name; its triangle has one.
    allowed = [("group", "")] if name == "pot" else []
    assert [node for node in found if not node[1].strip()] == allowed
    controls = [node for node in found if node[0] in _CONTROLS]
    assert len(controls) == {"pot": 26, "index": 8}[name]
    assert len(set(controls)) == len(controls)
    images = [name for role, name in nodes if role == "image"]
    drawn = ["Section and outside of the restored pot"]
    drawn.append("Where on the pot the sherd sat, from its side and from above")
    assert images == (drawn if name == "pot" else [])
    shown.page.close()
