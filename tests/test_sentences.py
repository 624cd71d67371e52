"""What a page says in words, without a browser."""

import dataclasses
import json
import pathlib
import shlex

import pytest
from restored_bowl import MEASURES, PLACE, placement, report, restored, words

from voxgan_jax import render
from voxgan_jax.cli import main, options, parser
from voxgan_jax.drawing import measures
from voxgan_jax.report import page, record, sentences
from voxgan_jax.restore import request


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


LEANING = dataclasses.replace(PLACE, axis_direction=(-0.70711, 0.0, 0.70711), confidence=0.123)


@pytest.mark.parametrize(
    ("told", "typed"),
    [
        ({}, "--axis=-0.707,0,0.707 --height-mm 111 --diameter-mm 100"),
        ({"diameter_mm": 99.0}, "--axis=-0.707,0,0.707 --height-mm 111"),
        ({"axis": [0, 0, 1], "height_mm": 1.0}, "--diameter-mm 100"),
        ({"up": "z"}, "--height-mm 111 --diameter-mm 100 --place"),
        ({"up": "z", "rim": True}, "--height-mm 111 --diameter-mm 100"),
        ({"axis": [0, 0, 1], "height_mm": 1.0, "diameter_mm": 2.0}, ""),
    ],
)
def test_what_takes_another_place_can_be_typed_and_contradicts_nothing(told, typed):
    found = sentences.typed(report(options=told), LEANING)
    assert " ".join(found) == typed
    line = ["complete", "a.stl", "--out", "b", *shlex.split(typed)]
    facts = options.facts(parser.build_parser(main.main).parse_args(line))
    assert request.is_placed(pathlib.Path("a.stl"), facts | told)
    for name in ("height_mm", "diameter_mm"):
        assert facts[name] in (None, getattr(LEANING, name))


def test_beside_another_place_stand_its_likelihood_and_what_to_type():
    found = dataclasses.replace(placement("Ho", "low", 0.3), runner_ups=(LEANING, PLACE))
    text = words(report(placement=found))
    first = "<code>--axis=-0.707,0,0.707</code> <code>--height-mm 111</code>"
    assert f"Likelihood 12 %; to take it, add {first} <code>--diameter-mm 100</code>." in text
    told = {"axis": [0, 0, 1], "height_mm": 1.0, "diameter_mm": 2.0}
    assert "Ha. Likelihood 10 %.</li>" in words(report(placement=found, options=told))


@pytest.mark.parametrize(
    ("direction", "said"),
    [
        ((0.0, 0.05, -0.99), "along -z"),
        ((-0.71, 0.0, 0.7), "between -x and +z"),
        ((0.5, 0.5, 0.7), "between +x, +y and +z"),
    ],
)
def test_where_the_rim_looks_is_said_in_words(direction, said):
    found = dataclasses.replace(PLACE, axis_direction=direction)
    assert sentences.rim_side(found) == f"In the scan its rim looks {said}."
