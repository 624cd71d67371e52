"""What a page says in words, without a browser."""

import dataclasses
import json

import pytest
from restored_bowl import MEASURES, report, restored, words

from voxgan_jax.report import measures, page, record, render, sentences


def test_json_in_a_script_element_ends_no_script():
    text = render.script_json({"a": "</script><!--\u2028"})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"a": "</script><!--\u2028"}


MODEL = record.Model(file="m.safetensors", sha256="1a", trained_on="pots")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"share_inferred": 0.0}, "Nothing of this pot is inferred: all of it was given."),
        ({"share_inferred": 0.996}, "More than 99 % of this pot is a guess by a model; do not"),
        (
            {"share_inferred": 0.75},
            "75 % of this pot is a guess by a model; do not cite it as a find.",
        ),
        (
            {"model": MODEL},
            "68 % of this pot is a guess by a model (m) trained on pots; do not cite it as a find.",
        ),
        (
            {"model": dataclasses.replace(MODEL, pots=704)},
            "68 % of this pot is a guess by a model (m) trained on 704 pots of pots; do not",
        ),
        (
            {"model": dataclasses.replace(MODEL, trained_on=None)},
            "68 % of this pot is a guess by a model (m);",
        ),
    ],
)
def test_what_is_a_guess_is_said_plainly(told, said):
    assert sentences.statement(report(**told)).startswith(said)
    assert f'<p class="lede">{said}' in words(report(**told))


@pytest.mark.parametrize(
    ("scale", "noted"), [(measures.NO_SCALE, True), (record.GIVEN_SCALE, False)]
)
def test_sizes_without_a_scale_are_marked(scale, noted):
    found = dataclasses.replace(MEASURES, height_mm=3.0, capacity_ml=1.2345)
    text = words(report(scale=scale, measures=found))
    assert ("3.0 mm" in text and "1.23 ml" in text) == (not noted)
    assert ("3.0 voxels" in text and "1 234 voxels" in text) == noted
    assert ("No scale given; 1 voxel taken as 1 mm" in text) == noted


@pytest.mark.parametrize(("share", "noted"), [(0.5, True), (0.98, False)])
def test_what_is_not_round_is_marked(share, noted):
    text = words(report(measures=dataclasses.replace(MEASURES, round_share=share)))
    assert ("only 50 % of the clay" in text) == noted


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((145, 860, 95), ("given 14 %", "inferred 76 %", "uncertain 10 %")),
        ((1, 999, 0), ("given less than 1 %", "inferred more than 99 %")),
        ((5, 0, 0), ("given 100 %",)),
    ],
)
def test_shares_make_a_hundred(counts, said):
    given, inferred, uncertain = counts
    told = report(given_voxels=given, inferred_voxels=inferred, uncertain_voxels=uncertain)
    shown = words(told).split('<div class="share">')[1].split("</ul>")[0]
    found = [part.split("</span>")[-1] for part in shown.split("</li>")[:-1]]
    assert tuple(found) == said


def test_numbers_have_no_false_precision():
    found = [sentences.number(*pair) for pair in ((156.75, "mm"), (5.347, "mm"), (1949.3, "ml"))]
    assert found == ["157 mm", "5.3 mm", "1.95 l"]
    assert sentences.number(28.05, "ml") == "28.1 ml" and sentences.number(0.5, "ml") == "0.50 ml"


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    view = restored()
    with pytest.raises(FileNotFoundError):
        page.write_page(tmp_path / "no" / "a.html", view)
    target = tmp_path / "a.html"
    target.mkdir()
    with pytest.raises(OSError):
        page.write_page(target, view)
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
