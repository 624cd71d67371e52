"""Drawings for print: sizes, layers, pens in mm on paper, either side, and what the sherd holds."""

import functools
import pathlib
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from round_pots import cup, drawn, figure_of, profile_of, turned

from voxgan_jax.drawing import plan, svg
from voxgan_jax.language import LANGUAGES, speaking

SVG = "{http://www.w3.org/2000/svg}"
LABEL = "{http://www.inkscape.org/namespaces/inkscape}label"


def part(pot, degrees, low=0, high=99):
    """What of a pot lies within so many degrees about the axis, from 10° on, between two rows."""
    d, h, w = np.indices(pot.shape)
    middle = (pot.shape[0] - 1) / 2
    around = np.degrees(np.arctan2(h - middle, d - middle)) % 360
    return pot & (around >= 10) & (around < 10 + degrees) & (w >= low) & (w < high)


def texts(drawing):
    return [node.text or "" for node in ET.fromstring(drawing).iter(f"{SVG}text")]


def shapes(made, kind):
    return [line for name, lines in made.shapes for line in lines if name == kind]


@pytest.mark.parametrize(("step", "foot", "lip"), [(2.0, 6, 14), (3.0, 12, 8), (0.7, 10, 10)])
def test_rim_base_and_height_are_dimensions(step, foot, lip):
    def wall(less):
        return lambda h: foot + (lip - foot) * h / 31 - less

    pot = turned(wall(0), wall(3), floor=3.0)
    made = plan.compose(figure_of(profile_of(pot, pot, step)))
    said = [word.text for word in made.words if word.layer == "dimensions"][:3]
    sizes = [float(re.findall(r"[\d.]+", text)[0]) for text in said]
    true = (2 * lip, 2 * foot, 31)
    assert sizes == pytest.approx([size * step / 10 for size in true], abs=0.06 + step / 10)
    assert [text[:2] for text in said[:2]] == ["\u00d8 "] * 2
    # The lines of the dimensions are as long as they say.
    rim, base, height = shapes(made, "measure")[::5][:3]
    for line, size in zip((rim, base, height), sizes, strict=True):
        assert np.ptp(line, axis=0).max() / 10 == pytest.approx(size, abs=0.06 + step / 10)
    assert rim[0, 1] < 0 < base[0, 1] and height[0, 0] > 0


def test_sizes_that_the_sherd_does_not_show_are_in_brackets():
    pot = cup()
    for given, marks in (
        (pot, ["Ø", "Ø", "6."]),
        (part(pot, 60, 4, 12), ["Ø", "(Ø", "(6."]),
        (part(pot, 60, 26, 40), ["(Ø", "Ø", "(6."]),
        (part(pot, 60, 12, 20), ["(Ø", "(Ø", "(6."]),
    ):
        figure = figure_of(profile_of(pot, given, 2.0))
        said = [word.text for word in plan.compose(figure).words if word.layer == "dimensions"]
        assert [text.startswith(mark) for text, mark in zip(said, marks, strict=False)] == [
            True
        ] * 3
        assert (len(said) == 4) == ("(" not in marks[0])


@pytest.mark.parametrize("degrees", [30, 90, 200, 350])
def test_the_share_of_the_rim_is_what_the_sherd_holds(degrees):
    figure = figure_of(profile_of(cup(), part(cup(), degrees, 0, 12)))
    share = figure.facts.rim_share
    assert share == pytest.approx(degrees / 360, abs=0.02)
    made = plan.compose(figure)
    assert f"{100 * share:.0f} % of the rim" in [word.text for word in made.words]
    arcs, (circle,) = shapes(made, "arc"), shapes(made, "measure")[-1:]
    middle, radius = (circle.max(0) + circle.min(0)) / 2, np.ptp(circle[:, 0]) / 2
    drawn_length = sum(np.hypot(*np.diff(arc, axis=0).T).sum() for arc in arcs)
    assert drawn_length == pytest.approx(share * 2 * np.pi * radius, rel=0.02)
    if degrees == 90:
        # Half to the right of who looks at the outside: seen from above to the lower right.
        towards = np.concatenate(arcs).mean(axis=0) - middle
        assert towards[0] == pytest.approx(towards[1], rel=0.1) and towards[0] > radius / 2


def test_a_rim_that_the_sherd_does_not_reach_has_no_share():
    figure = figure_of(profile_of(cup(), part(cup(), 90, 12, 20)))
    assert figure.facts.rim == () and figure.facts.rim_share == 0
    made = plan.compose(figure)
    assert not shapes(made, "arc") and "of the rim" not in str(made.words) + made.said
    # Its line is inferred.
    assert [0, 0] in [line[:, 1].tolist() for line in shapes(made, "ghost")]
    assert [0, 0] not in [line[:, 1].tolist() for line in shapes(made, "line")]


def test_of_a_long_name_the_end_is_shown():
    figure = figure_of(profile_of(cup()))
    plain, long = (plan.compose(figure, 1, name=name) for name in ("a", "b" * 250 + "_fragment7"))
    shown = long.words[-1].text
    assert len(shown) == 40 and shown.startswith("…b") and shown.endswith("b_fragment7")
    assert plain.words[-1].text == "a" and long.paper[0] < 65


def printed(word, mm):
    """The edges of a text on paper in mm, with the letters of the PDF: left, top, right, bottom."""
    chinese = pathlib.Path(plan.__file__).with_name("chinese.ttf")
    if "Droid Sans Fallback" not in fontManager.get_font_names():
        fontManager.addfont(chinese)
    size = plan.LETTERS * 72 / 25.4
    letters = Figure(dpi=254).text(
        0, 0, word.text, size=size, family=["DejaVu Sans", "Droid Sans Fallback"]
    )
    box = letters.get_window_extent()
    x, y = word.x / mm, word.y / mm
    return x + box.x0 / 10, y - box.y1 / 10, x + box.x1 / 10, y - box.y0 / 10


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("low", [0, 20])
def test_legend_and_name_keep_clear_of_the_circle_of_the_rim(language, low):
    """With the sherd's base or without: the legend is wider without."""
    pot = cup()
    figure = figure_of(profile_of(pot, part(pot, 90, 0, 99 if low == 0 else low), 2.0))
    name = "of forty letters, some wide: WWWMMMWWWMMM"
    made = speaking(language, functools.partial(plan.compose, name=name), figure, 1)
    arcs = np.concatenate([*shapes(made, "arc"), shapes(made, "measure")[-1]])
    (left, top), (right, bottom) = arcs.min(0) - 0.45, arcs.max(0) + 0.45
    below = [word for word in made.words if word.layer in ("text", "scale", "dimensions")]
    assert sum(word.layer == "text" for word in below) == 3
    for word in below:
        box = printed(word, made.mm)
        apart = (left - box[2], box[0] - right, top - box[3], box[1] - bottom)
        assert max(apart) > 0.4, (word, box, (left, top, right, bottom))


def test_every_layer_is_a_group_with_its_name():
    root = ET.fromstring(drawn(profile_of(cup(), part(cup(), 90, 0, 12))))
    groups = {group.get(LABEL, ""): group for group in root.iter(f"{SVG}g")}
    assert tuple(groups) == plan.LAYERS
    assert set(plan.LAYERS) == {
        "outline",
        "section",
        "inferred",
        "axis",
        "dimensions",
        "scale",
        "text",
    }
    for name, group in groups.items():
        assert group.get("id", "").startswith(f"{name}-") and group.findtext(f"{SVG}title") == name
        kinds = {path.get("class", "") for path in group.iter(f"{SVG}path")}
        assert kinds and {plan.PENS[kind].layer for kind in kinds} == {name}
    assert len(list(root.iter(f"{SVG}path"))) == 1 + sum(
        len(list(group.iter(f"{SVG}path"))) for group in groups.values()
    )


@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize("step", [0.5, 8.0])
def test_at_a_scale_the_pot_shrinks_and_pens_and_letters_do_not(times, step):
    text = drawn(profile_of(cup(), cup(), step), times)
    root = ET.fromstring(text)
    view = [float(number) for number in root.attrib["viewBox"].split()]
    shrunk = float(root.attrib["width"].removesuffix("mm")) / view[2]
    assert shrunk == pytest.approx(1 / times, rel=0.01)
    pens = {
        kind: float(width) * shrunk
        for kind, width in re.findall(r"\.(\w+)\{stroke-width:([\d.]+)", text)
    }
    wanted = {"edge": 0.5, "sherd": 0.35, "inferred": 0.25, "line": 0.25, "axis": 0.18}
    assert {kind: pens[kind] for kind in wanted} == pytest.approx(wanted, rel=0.02)
    assert float(root.attrib["font-size"]) * shrunk == pytest.approx(2.5, rel=0.02)
    (length,) = (said for said in texts(text) if said.endswith(f"cm (1:{times})"))
    figure = figure_of(profile_of(cup(), cup(), step))
    (bar,) = shapes(plan.compose(figure, times), "bar")
    assert np.ptp(bar[:, 0]) == pytest.approx(10 * float(length.split()[0]))
    assert 10 <= np.ptp(bar[:, 0]) / times <= 33


def test_without_a_scale_it_is_as_big_as_the_pot_with_pens_in_proportion():
    for step in (0.5, 8.0):
        text = drawn(profile_of(cup(), cup(), step))
        root = ET.fromstring(text)
        assert float(root.attrib["viewBox"].split()[2]) == pytest.approx(
            float(root.attrib["width"].removesuffix("mm"))
        )
        (edge,) = re.findall(r"\.edge\{stroke-width:([\d.]+)", text)
        assert float(edge) == pytest.approx(0.5 * 31 * step / 80, rel=0.03)


def test_mirrored_the_section_is_right_and_the_sherd_no_mirror_image():
    d, h, w = np.indices((40, 40, 40))
    # A band that winds up about the pot.
    around = np.degrees(np.arctan2(h - 19.5, d - 19.5)) + 3 * w
    profile = profile_of(cup(), cup() & (around > 40) & (around < 70) & (w > 8) & (w < 28))
    usual, mirrored = (figure_of(profile, mirrored=turn) for turn in (False, True))
    for kind in ("inferred", "given"):
        for one, other in zip(usual.lines[kind], mirrored.lines[kind], strict=True):
            np.testing.assert_allclose(one * (-1, 1), other)
            assert one[:, 0].max() < 0.01
    assert mirrored.lines["edge"][0][:, 0].max() < 0 < usual.lines["edge"][0][:, 0].max()
    faces = [np.concatenate(each.lines["sherd"]) for each in (usual, mirrored)]
    assert faces[0][:, 0].min() > -0.5 and faces[1][:, 0].max() < 0.5
    leans = [np.polyfit(face[:, 1], face[:, 0], 1)[0] for face in faces]
    assert leans[0] * leans[1] > 0 and min(map(abs, leans)) > 0.2
    said = plan.compose(mirrored).said
    assert said.startswith("Half section right, outside left.")
    out = [word for word in plan.compose(mirrored).words if word.upright]
    assert out[0].x < faces[1][:, 0].min()


def test_what_is_drawn_is_read_again(tmp_path):
    profile = profile_of(cup(), part(cup(), 90, 0, 12), 2.0)
    others = [np.array([[20.0, 0.0], [25.0, 70.0]])]
    figure = figure_of(profile, spread=others, mirrored=True, scaled=False)
    (tmp_path / "a_section.svg").write_text(svg.svg(figure, 3), encoding="utf-8")
    again = svg.read(tmp_path / "a_section.svg")
    assert again.facts == figure.facts
    assert again.lines.keys() == {kind for kind, lines in figure.lines.items() if lines}
    for kind, lines in again.lines.items():
        for one, other in zip(lines, figure.lines[kind], strict=True):
            np.testing.assert_allclose(one, other, atol=0.0051)
    # Nothing is clipped: a wall that may have been is higher than the pot.
    made = plan.compose(figure)
    assert (
        made.box[1] < 62 - 70 and min(line[:, 1].min() for line in shapes(made, "axis")) < 62 - 70
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<metadata>{", "<metadata>["),
        ("M", "m"),
        ("L", "C"),
        ('class="inferred"', 'class="wall"'),
        ("height_mm", "height"),
        ("<defs>", "<defs"),
    ],
)
def test_a_drawing_that_another_program_changed_is_refused(old, new, tmp_path):
    text = drawn(profile_of(cup(), cup()))
    path = tmp_path / "a_section.svg"
    path.write_text(
        text.replace(old, new) if len(old) > 1 else re.sub(f'd="([^"]*){old}', rf'd="\1{new}', text)
    )
    with pytest.raises(
        ValueError, match=r"a_section\.svg: no section as voxgan draws it; complete"
    ):
        svg.read(path)
