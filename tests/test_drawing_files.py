"""The drawing as PDF, DXF and CSV, and what is said where a library is missing."""

import csv
import io
import itertools
import sys
from typing import Any

import numpy as np
import pypdf
import pypdfium2
import pytest
from ezdxf import bbox, filemanagement, units
from round_pots import cup, figure_of, profile_of, turned
from test_plan import part

from voxgan_jax.drawing import dxf, files, pdf, plan
from voxgan_jax.drawing.profile import table

POINT = 25.4 / 72


def figure(step=2.0, **how):
    return figure_of(profile_of(cup(), part(cup(), 90, 0, 12), step), **how)


def opened(made) -> Any:
    return pypdf.PdfReader(io.BytesIO(made))


def sizes(page):
    return [float(side) * POINT for side in page.mediabox[2:]]


def test_one_drawing_is_a_page_of_a4_with_its_letters_embedded():
    made = opened(pdf.single(figure(), "Grab 7 $x_1$ 壺"))
    assert len(made.pages) == 1 and sizes(made.pages[0]) == pytest.approx([210, 297], abs=0.1)
    text = made.pages[0].extract_text()
    for said in ("Ø 5.6 cm", "(Ø 5.6 cm)", "(6.2 cm)", "24 % of the rim", "Grab 7 $x_1$", "(1:1)"):
        assert said in text
    # Embedded, in TrueType, so that they can be edited.
    fonts = made.pages[0]["/Resources"]["/Font"]
    font = next(iter(fonts.values())).get_object()["/DescendantFonts"][0].get_object()
    assert "/FontFile2" in font["/FontDescriptor"].get_object()


def test_a_drawing_is_as_big_as_fits_on_a4_at_a_round_scale_or_its_page_grows():
    for step, times in ((2.0, 1), (8.0, 2), (20.0, 4)):
        text = opened(pdf.single(figure(step), "a")).pages[0].extract_text()
        assert f"(1:{times})" in text
    (page,) = opened(pdf.single(figure(20.0), "a", 1)).pages
    wide, high = sizes(page)
    assert wide > 2 * 14 * 20 and high > 31 * 20 and "(1:1)" in page.extract_text()
    (page,) = opened(pdf.single(None, "a")).pages
    assert plan.NO_SECTION in page.extract_text()


def test_pens_have_their_widths_on_paper_at_every_scale():
    for times in (1, 3):
        (page,) = opened(pdf.single(figure(), "a", times)).pages
        words = page.get_contents().get_data().split()
        widths = {round(float(a) * POINT, 2) for a, b in itertools.pairwise(words) if b == b"w"}
        assert widths - {0.0} == {0.18, 0.25, 0.35, 0.5, 0.9}


def test_six_pots_are_one_page_and_more_are_more():
    drawings = [(f"pot {n}", figure(2.0 + n / 4)) for n in range(6)]
    made = opened(pdf.sheet(drawings, 3))
    assert len(made.pages) == 1 and sizes(made.pages[0]) == pytest.approx([210, 297], abs=0.1)
    text = made.pages[0].extract_text()
    assert all(f"pot {n}" in text for n in range(6)) and text.count("cm (1:3)") == 6
    assert "inferred, a guess and not a find" in text and "1/1" in text
    made = opened(pdf.sheet(drawings * 6, 3))
    assert len(made.pages) > 1
    assert sum(page.extract_text().count("cm (1:3)") for page in made.pages) == 36
    with pytest.raises(ValueError, match=r"^big: bigger than a page of A4 at 1:1; give a smaller"):
        pdf.sheet([("small", figure()), ("big", figure(20.0))], 1)


def test_nothing_on_a_sheet_overlaps_or_leaves_the_paper(monkeypatch):
    pages = []
    monkeypatch.setattr(pdf, "_written", lambda found, *_: pages.extend(found) or b"")
    drawings = [(f"pot {n}", figure(0.5 + 0.7 * n)) for n in range(14)]
    pdf.sheet(drawings, 2)
    placed = [(n, each) for n, page in enumerate(pages) for each in page]
    boxes = [
        (n, np.array([x, y, x + made.paper[0], y + made.paper[1]])) for n, (made, x, y) in placed
    ]
    assert len(boxes) == 14
    for place, (page, one) in enumerate(boxes):
        assert (one[:2] >= 14.9).all() and (one[2:] <= np.array(pdf.A4) - 14.9).all()
        for other_page, other in boxes[place + 1 :]:
            assert (
                page != other_page or (one[:2] >= other[2:]).any() or (other[:2] >= one[2:]).any()
            )


def test_the_dxf_is_sound_in_mm_and_has_the_layers():
    found = figure(2.0)
    text = dxf.dxf(plan.compose(found))
    made = filemanagement.read(io.StringIO(text))
    audit = made.audit()
    assert not audit.errors and not audit.fixes
    assert made.units == units.MM
    assert set(plan.LAYERS) <= {layer.dxf.name for layer in made.layers}
    space = made.modelspace()
    used = {entity.dxf.layer for entity in space}
    assert used == set(plan.LAYERS)
    wall = bbox.extents(space.query('LWPOLYLINE[layer=="inferred"]'))
    # 62 mm high with the base at 0, 28 mm either side of the centre line.
    assert wall.extmin.y == pytest.approx(0, abs=0.1) and wall.extmax.y == pytest.approx(
        62, abs=0.8
    )
    assert [wall.extmin.x, wall.extmax.x] == pytest.approx([-28, 28], abs=0.8)
    patterns = {hatch.dxf.layer: hatch.dxf.pattern_name for hatch in space.query("HATCH")}
    assert patterns["section"] == "SOLID" and patterns["inferred"] == "ANSI31"
    assert {line.dxf.lineweight for line in space.query('LWPOLYLINE[layer=="outline"]')} >= {
        25,
        35,
        50,
    }
    assert {line.dxf.linetype for line in space.query('LWPOLYLINE[layer=="inferred"]')} > {
        "INFERRED"
    }
    said = [text.dxf.text for text in space.query("TEXT")]
    assert "Ø 5.6 cm" in said and "24 % of the rim" in said
    scaled = filemanagement.read(io.StringIO(dxf.dxf(plan.compose(found, 3)))).modelspace()
    again = bbox.extents(scaled.query('LWPOLYLINE[layer=="inferred"]'))
    assert again.size.y == pytest.approx(wall.size.y)
    heights = {text.dxf.height for text in scaled.query("TEXT")}
    assert len(heights) == 1 and heights.pop() == pytest.approx(0.7 * 2.5 * 3)


def test_the_table_has_the_radii_of_the_pot():
    pot = turned(lambda h: 8 + 0.2 * h, lambda h: 5 + 0.2 * h, floor=4.0)
    text = table(profile_of(pot, pot & (np.indices(pot.shape)[2] < 14), 2.0))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["height_mm", "outer_radius_mm", "inner_radius_mm", "shown"]
    height, outer, inner = (
        np.array([float(row[name]) for row in rows])
        for name in ("height_mm", "outer_radius_mm", "inner_radius_mm")
    )
    assert len(rows) == 31 and height == pytest.approx(np.arange(31) * 2 + 1)
    assert outer == pytest.approx(2 * (8 + 0.2 * height / 2), abs=1.0)
    assert (inner[:3] == 0).all()
    assert inner[6:] == pytest.approx(2 * (5 + 0.2 * height[6:] / 2), abs=1.0)
    # The sherd is the ten uppermost rows.
    assert [row["shown"] for row in rows] == ["0"] * 21 + ["1"] * 10


def test_every_format_has_a_content():
    profile = profile_of(cup(), cup())
    heads = {"svg": b"<svg", "pdf": b"%PDF", "dxf": b"0\nSECTION", "csv": b"height_mm,"}
    assert tuple(heads) == files.FORMATS
    for form, head in heads.items():
        made = files.content(form, figure_of(profile), profile, "a")
        assert (made.encode() if isinstance(made, str) else made).lstrip().startswith(head)


def test_a_missing_ezdxf_is_told_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "ezdxf", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^DXF needs .*: pip install 'voxgan_jax\[drawing\]'$"
    ):
        dxf.dxf(plan.compose(figure()))


def test_the_hatching_on_paper_is_as_dense_as_said():
    """A pot that is one block: lines are counted along a row of its section."""
    block = turned(lambda _: 18, lambda _: 0, low=14, high=34)
    made = pdf.single(figure_of(profile_of(block, step=5.0)), "a", 2)
    page = np.asarray(pypdfium2.PdfDocument(made)[0].render(scale=10).to_pil().convert("L"))
    scale = 10 / POINT
    middle = round(105 * scale)
    row = page[round(45 * scale), middle - round(40 * scale) : middle - round(5 * scale)] < 128
    lines = (row[1:] & ~row[:-1]).sum()
    assert 35 / lines / 2**0.5 == pytest.approx(plan.HATCH, rel=0.06)
