"""What the page says for a publication: the record of the reconstruction, the text to cite, EVE."""

import dataclasses
import html
import re

import numpy as np
import pytest
import yaml
from conftest import ROOT
from restored_bowl import placement, report, words
from turned_pots import bowl

from voxgan_jax.drawing.measures import NO_SCALE
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, Answer, Hypothesis, Request
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.report import caption, record, sizes
from voxgan_jax.restore.pot import Completion, restore
from voxgan_jax.scan.contents import Body, Contents
from voxgan_jax.scan.pose import Loose, Sherd

SHA = "04b5a4ffbd8803479e206660b4431653401f39b087b217861c595883fb96b0d8"
MODEL = record.Model(
    file="revolve64.safetensors",
    sha256=SHA,
    kind="revolve",
    threshold=0.45,
    trained_on="vox_pottery (IberianVoxel)",
    pots=704,
    source="Navarro",
    commit="60d7db26",
)
HEIGHTS = sizes.Spread(
    draws=5,
    by_share=True,
    height_mm=sizes.Interval(half=(105.0, 118.0), most=(100.0, 125.0)),
    rim_diameter_mm=None,
    base_diameter_mm=None,
    capacity_ml=None,
)


def told(**changes):
    """A report in which all is said that a record can hold."""
    known = {
        "date": "2026-11-30",
        "model": MODEL,
        "input": record.Input(file="sherd <7>.stl", bytes=1234567, sha256="2b" * 32),
        "options": {"unit": "cm", "height_mm": 120.0, "axis": [0, 0.5, -1.0], "rim": True},
        "placement": placement("Placed", "fair", 0.52),
        "confidence": Confidence("low", 0.43, "low: doubtful"),
        "rim": sizes.Rim(percent=12.3, eve=0.123),
        "spread": HEIGHTS,
    }
    return report(**known | changes)


def part(said, name):
    """The text of an element of the page that has this id."""
    inside = re.search(rf'<p id="{name}" class="quote">(.*?)</p>', words(said))
    assert inside is not None
    return html.unescape(re.sub(r"<[^>]+>", "", inside[1])).strip()


def rows(said):
    """The record as the page lists it."""
    found = re.findall(r"<dt>([^<]*)</dt><dd>(.*?)</dd>", words(said).split('class="record"')[1])
    return {title: html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for title, text in found}


def test_the_caption_says_what_the_report_holds():
    assert part(told(), "caption") == (
        "Digital reconstruction of a vessel from sherd <7>.stl, made on 2026-11-30 with voxgan_jax"
        " 9.8.7 and the model revolve64 (sha256 04b5a4ffbd88, trained on 704 pots of vox_pottery"
        " (IberianVoxel)): 32 % of it is the sherd; 68 % is inferred, a plausible pot, not a find."
        " Sizes: height 111 mm (100–125 mm); in brackets, where 90 % lie of 5 other possible pots,"
        " each counted by its likelihood; the sherd holds 12 % of the rim (EVE 0.12). The place in"
        " the vessel was found by the program from the sherd's shape with fair confidence (0.52);"
        " the user told the direction of its axis, its height and that the sherd is of its rim;"
        " the program's confidence in the whole is low (expected overlap with the true pot 0.43)."
    )


def test_the_caption_claims_nothing_that_is_not_known():
    bare = part(report(), "caption")
    assert bare == (
        "Digital reconstruction of a vessel, made with voxgan_jax 9.8.7: 32 % of it is the sherd;"
        " 68 % is inferred, a plausible pot, not a find. Sizes: height 111 mm. The place of the"
        " sherd in the vessel is that of its file."
    )
    assert "height 111 voxels" in part(report(scale=NO_SCALE), "caption")
    whole = part(report(share_inferred=0.0), "caption")
    assert "all of it was given, nothing is inferred." in whole and "plausible" not in whole
    doubtful = part(report(warnings=("it is 20 % too high", "it is thin")), "caption")
    assert doubtful.endswith(
        "The program warns: it is 20 % too high. The program warns: it is thin."
    )
    several = tuple(
        Loose(f"{name}.stl", SHA, move, name == "a", ())
        for name, move in (("a", report().transform), ("b", report().transform), ("c", None))
    )
    assert "vessel from a.stl, b.stl, made" in part(told(sherds=several), "caption")
    assert "from the shapes of several sherds" in part(told(sherds=several), "caption")


def test_the_software_is_cited_as_its_citation_file_has_it():
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    said = part(told(version=facts["version"]), "software")
    system, data = facts["references"]
    for fact in (
        *(facts["authors"][0]["name"], facts["title"], facts["version"], facts["license"]),
        *(system["title"], system["institution"]["name"], str(system["year"]), system["type"]),
        *(author["family-names"] for author in system["authors"]),
    ):
        assert fact.removesuffix("ublished") in said, fact
    of_data = [data["title"], data["doi"], *(a.get("family-names") for a in data["authors"][:3])]
    assert all(fact in said for fact in of_data)
    # A model of other pots owes it nothing.
    assert data["doi"] not in part(report(model=record.Model(file="m", sha256="1")), "software")


def test_the_record_lists_scan_place_and_model():
    scan = record.Scan.of(
        Contents(
            (Body((14.5, 11.7, 8.1), 0.9, 9), Body((1.0, 1.0, 1.0), 0.1, 4)), taken=1, turned=12
        )
        .scaled(10.0)
        ._replace(outward=False)
    )
    assert (scan.unit_mm, scan.size_mm) == (10.0, (145.0, 117.0, 81.0))
    found = rows(told(scan=scan, left_out_voxels=7))
    assert found["Made"] == "On 2026-11-30 by voxgan_jax 9.8.7."
    assert found["Scan"] == (f"sherd <7>.stl, 1 234 567 bytes, sha256 {'2b' * 32}.")
    assert found["Unit and size"] == (
        "Coordinates were taken as cm, as the user told. The sherd measures"
        " 145.0 × 117.0 × 81.0 mm."
    )
    assert found["Done to the scan"] == (
        "Of 2 bodies in the file body 1, 145 × 117 × 81 mm, was taken. 12 faces were turned to look"
        " outward. Whether all faces look outward is not known."
    )
    assert found["Told by the user"].startswith("The direction of its axis, its height and that")
    assert found["Place chosen"] == (
        "Found by the program, within what was told: fair confidence (0.52)."
    )
    assert found["Places not chosen"].startswith("1, of likelihood 10 %.")
    assert found["Model"] == (
        f"revolve64.safetensors, of the kind revolve, sha256 {SHA}. Trained on 704 pots of"
        " vox_pottery (IberianVoxel) (Navarro). Commit 60d7db26. Its own threshold: 0.45."
    )
    assert found["Sherd and inference"] == (
        "Given: 32 %, 320 voxels. Inferred: 68 %, 680 voxels. Left out, as outside the box that was"
        " asked for: 7 voxels."
    )
    assert found["All options"] == "--unit cm --height-mm 120 --axis=0,0.5,-1 --rim"
    clean = record.Scan.of(Contents((Body((1.0, 2.0, 3.0), 1.0, 9),)).scaled(1000.0))
    found = rows(told(scan=clean, options={"place": True, "formats": ["stl", "html"]}))
    assert found["Unit and size"] == (
        "Coordinates were taken as m, as is usual for such a file; nobody told the unit."
        " The sherd measures 1000.0 × 2000.0 × 3000.0 mm."
    )
    assert found["Done to the scan"] == "Nothing but that equal corners were made one."
    assert found["Told by the user"] == "Nothing of the pot or of the sherd's place."
    assert found["All options"] == "--place --formats stl html"
    both = record.Scan.of(
        Contents((Body((1.0, 2.0, 3.0), 0.6, 9), Body((1.0, 2.0, 3.0), 0.4, 9))).scaled(1.0)
    )
    assert both.size_mm is None and both.unit_mm == 1.0


def test_a_bare_record_says_no_more_than_is_known():
    found = rows(report())
    assert list(found) == ["Made", "Told by the user", "Place chosen", "Sherd and inference"]
    assert found["Place chosen"] == "That of the file."
    sherds = (
        Loose("a.stl", SHA, report().transform, True, ()),
        Loose("b.stl", SHA, None, False, ()),
    )
    assert rows(told(sherds=sherds))["Sherd 1"] == f"a.stl, sha256 {SHA}: placed."
    assert rows(told(sherds=sherds))["Sherd 2"] == f"b.stl, sha256 {SHA}: set aside."
    other = dataclasses.replace(MODEL, hypotheses_file="h.safetensors", hypotheses_sha256="9f")
    assert rows(told(model=other))["Model of other pots"] == "h.safetensors, sha256 9f."
    assert caption.told(report(options={"unit": "mm"})) == ""
    assert caption.told(report(options={"up": "z", "base": True})) == (
        "where its rim is and that the sherd is of its base"
    )


def of_arc(degrees: float, rows_from: int, *others: Hypothesis) -> Completion:
    """A bowl of which the sherd is a part about the axis, from a row on; the rim is at low w."""
    pot = np.flip(bowl(), 2)
    d, h, w = np.indices(pot.shape)
    angle = np.degrees(np.arctan2(h - (pot.shape[1] - 1) / 2, d - (pot.shape[0] - 1) / 2)) % 360
    top = int(np.flatnonzero(pot.any(axis=(0, 1)))[0])
    given = pot & (angle < degrees) & (w >= top + rows_from) & (w < top + rows_from + 8)
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    belief = pot.astype(np.float32)
    answer = Answer(labels, 0, (0, 0, 0), belief, belief, hypotheses=others)
    matrix = surface.frame(pot.shape, 5.0)
    return restore(Request((Sherd(given.astype(np.uint8), (), "a.stl", matrix),)), answer)


@pytest.mark.parametrize("degrees", [40, 120, 300])
def test_the_rim_that_the_sherd_holds_is_its_eve(degrees):
    said = of_arc(degrees, 0).report
    assert said.rim is not None
    assert said.rim.eve == pytest.approx(degrees / 360, abs=0.04)
    assert said.rim.percent == pytest.approx(100 * said.rim.eve, abs=0.05)
    shown = f"{said.rim.percent:.2g} %, EVE {said.rim.eve:.2g}"
    assert f"<dt>Rim preserved</dt><dd>{shown}</dd>" in words(said)
    assert "it counts pots" in words(said) and record.Report.from_json(said.to_json()) == said


def test_a_page_in_a_notebook_speaks_the_language_of_its_pot():
    made = of_arc(120, 0)
    english, german = made.view(), dataclasses.replace(made, lang="de").view()
    assert '<html lang="en">' in english.page and 'title="Restored pot"' in english._repr_html_()
    assert '<html lang="de">' in german.page and 'title="Ergänztes Gefäß"' in german._repr_html_()
    assert "Digitale Rekonstruktion eines Gefäßes, erstellt am" in german.page
    assert '"Kopiert."' in german.page and '"Copied."' not in german.page


def test_below_the_rim_there_is_no_eve():
    said = of_arc(120, 4).report
    assert said.rim is None and "rim" not in said.to_json()
    assert "Rim preserved" not in words(said) and ", EVE" not in words(said)


def test_hypotheses_give_the_report_intervals():
    pot = np.flip(bowl(), 2)
    # The same without the row of its rim.
    low = pot.copy()
    low[..., int(np.flatnonzero(pot.any(axis=(0, 1)))[0])] = False
    others = [
        Hypothesis(part.astype(np.uint8) * INFERRED, part.astype(np.float32), share)
        for part, share in ((pot, 0.6), (low, 0.4))
    ]
    said = of_arc(120, 0, *others).report
    assert said.spread is not None and said.spread.by_share and said.spread.draws == 2
    heights = [other.measures.height_mm for other in said.hypotheses]
    assert heights[0] - heights[1] == pytest.approx(5.0, abs=1.0)
    assert said.spread.height_mm is not None
    assert said.spread.height_mm.most == pytest.approx((heights[1], heights[0]), abs=0.01)
    assert said.spread.max_diameter_mm is not None
    assert record.Report.from_json(said.to_json()) == said
    assert of_arc(120, 0, *others[:1]).report.spread is None
