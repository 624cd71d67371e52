"""All that pages, drawings and reports may say of pots, in English or in the language spoken."""

import asyncio
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import app_work
import numpy as np
import pytest
import restored_bowl
import trimesh
from round_pots import cup, profile_of
from test_plan import part

import voxgan_jax
from voxgan_jax import ledger
from voxgan_jax.app import choices, uploads, work
from voxgan_jax.app.project import Scan
from voxgan_jax.drawing import figure, measures, svg
from voxgan_jax.drawing.profile import Profile
from voxgan_jax.inference import bridge, confidence
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.placement import propose
from voxgan_jax.report import caption, loose_sherds, meshes, missing_piece, overview, page, record
from voxgan_jax.report import sizes as report_sizes
from voxgan_jax.scan import colours, contents, doubts, pose

SIZES = {"rim_diameter_mm": 60.0, "base_diameter_mm": 50.5, "max_diameter_mm": 61.0}
SIZES |= {"wall_mm": 4.2, "capacity_ml": 1234.0}
ROUND = dataclasses.replace(restored_bowl.MEASURES, **SIZES)
BOX = trimesh.creation.box()
ALL_LABELS = np.resize([GIVEN, INFERRED, UNCERTAIN], len(BOX.faces))


def drawings() -> list[figure.Figure | None]:
    """Figures of a cup: with rim and base or without, mirrored, without a scale; and none."""
    whole, low = (profile_of(cup(), part(cup(), 90, *span), 2.0) for span in ((0, 99), (12, 20)))
    return [
        figure.figure_of(whole),
        figure.figure_of(low, mirrored=True),
        figure.figure_of(whole, scaled=False),
        None,
    ]


def profiles() -> list[Profile | None]:
    """Of cups whose sherd holds rim or base, both or none."""
    spans = ((0, 12), (20, 99), (0, 99), (12, 20))
    return [None, *(profile_of(cup(), part(cup(), 90, *span), 2.0) for span in spans)]


def placement(size: float = 150.0, **more: Any) -> pose.Placement:
    """A sherd's place."""
    more = {"direction": np.array([0.0, 0.6, -0.8])} | more
    told: dict[str, Any] = {
        "voxel_mm": 2.0,
        "height_mm": size,
        "diameter_mm": 99.25,
        "above_base_mm": 40.0,
    }
    told |= {"matrix": np.eye(4), "point": np.zeros(3), "score": 1.0, "share": 0.8}
    return pose.Placement(**told | more)


def judged() -> Iterator[confidence.Confidence]:
    """What may be said of how far to trust an answer."""
    names = confidence.Features._fields
    for bounds in ((-1, 1), (1, 2), (-2, -1)):
        rule = confidence.Rule(1.0, dict.fromkeys(names, 0.0), dict.fromkeys(names, bounds))
        found = confidence.judge(rule, confidence.Features(*[0.0] * 7))
        yield found
        pieces = bridge.Pieces(made=2, left=2, added=0, dropped=0, floor=0, plugs=0, is_open=True)
        yield confidence.of_pot(found._replace(word="high"), pieces)
        yield confidence.bounded(found, placement(share=0.5)) or found
        vast = doubts.of_pot(pose.PotSize(3e4), pose.PotSize())
        yield confidence.bounded(found, None, vast) or found


def warned() -> Iterator[str]:
    """What may speak against what was told."""
    for size, unit in ((1.0, 1.0), (0.08, 1.0), (5e7, 1000.0), (5000.0, 1.0)):
        scan = trimesh.creation.box([size, size / 2, size / 3])
        scan.metadata["unit_mm"] = unit
        yield from (doubt.text for doubt in doubts.of_scan(scan))
    for found in (pose.PotSize(10.0, 12345.0), pose.PotSize(100.5, 100.5)):
        for told in (pose.PotSize(50.0, 200.0), pose.PotSize(200.0, 50.0)):
            yield from (doubt.text for doubt in doubts.of_pot(found, told))
    pot, sherd, told = np.full((1, 1, 9), True), np.zeros((1, 1, 9), bool), {"rim": 1, "base": 1}
    sherd[..., 4] = True
    yield from (doubt.text for doubt in doubts.of_ends(pot, sherd, 4.0, told))
    turned = placement(other_axis=np.array([1.0, 0.25, 0.0]), wall_mm=2.5)
    for made in (turned, placement(wall_mm=2.5, shown_wall_mm=4.0)):
        yield from (doubt.text for doubt in doubts.of_placement(made, pose.PotSize()))


def noted() -> Iterator[str]:
    """What may be said of a scan's file."""
    body = contents.Body((145.0, 1.25, 81.0), 0.5, 9)
    plain = contents.Contents((body, body))
    yield from plain.notes
    yield from plain._replace(taken=2, dust=1, dust_share=0.004, dust_size=body.size).notes
    yield from plain._replace(dust=3, steps=0.125, origin=(5e5, 0.5, -3.0)).notes
    whys = ("too slow", "too big", "they lie beside its faces", "5: x.stl; 7")
    yield from map(colours.LEFT_OUT.format, whys)
    yield "its colours are not all there: no x.stl, b x.stl beside it that can be read"


def why_missing(monkeypatch) -> Iterator[str]:
    """Why there may be no missing piece."""

    def full(*_):
        raise MemoryError

    inner = trimesh.creation.box([10.0] * 3)
    with monkeypatch.context() as patch:
        patch.setattr(missing_piece, "_gap", lambda *_: 0.24)
        patch.setattr(missing_piece, "_ROUNDS", 1)
        outer = trimesh.creation.box([40.0] * 3)
        yield missing_piece.attempt(outer, inner, 2.0, 0.25)[1] or ""
    for made in (full, lambda *_: None):
        monkeypatch.setattr(missing_piece, "missing_piece", made)
        yield missing_piece.attempt(inner, inner, 4.0, 0.25)[1] or ""


def loose() -> Iterator[record.Report]:
    """Reports of several loose sherds."""
    row = restored_bowl.ROW
    one = pose.Loose("a 1.5.stl", "5", (row, row, row, row), True, ())
    note = contents.Contents(steps=0.5).notes
    two, aside = one._replace(frame=False, notes=note), one._replace(file="c.stl", move=None)
    for sherds in ((one, two, aside), (one, aside)):
        yield restored_bowl.report(sherds=sherds, placement=record.Placement.of(placement()))


def limits() -> set[str]:
    """What the models that come with the package say that they do not tell."""
    cards = pathlib.Path(voxgan_jax.__file__).parent.glob("weights/*64.json")
    return {limit for card in cards for limit in json.loads(card.read_text()).get("limits", ())}


def reports(monkeypatch) -> Iterator[record.Report]:
    """Reports that say between them all that there is."""
    span = report_sizes.Interval(half=(1.5, 2.0), most=(1.25, 1.25))
    spans: Any = dict.fromkeys(report_sizes.SIZES, span)
    spread = report_sizes.Spread(draws=32, **spans)
    model = record.Model(file="m64.safetensors", sha256="0", limits=tuple(sorted(limits())))
    model = dataclasses.replace(
        model, kind="7", threshold=0.5, source="8", commit="9", trained_on="7 vox_pottery"
    )
    model = dataclasses.replace(model, hypotheses_file="6", hypotheses_sha256="6")
    pieces = record.Pieces(
        **{"made": 3, "left": 2, "bridge_voxels": 9, "share_bridges": 0.004, "dropped_voxels": 3},
        **{"share_dropped": 0.02, "floor_voxels": 9, "plug_voxels": 2, "open_floor": True},
    )
    base = restored_bowl.report(
        uncertain_voxels=80,
        measures=ROUND,
        warnings=tuple(warned()),
        pieces=pieces,
        spread=spread,
        date="2026-11-30",
        rim=report_sizes.Rim(percent=12.3, eve=0.123),
        left_out_voxels=7,
        hypotheses=tuple(
            record.Hypothesis(share=0.25, measures=dataclasses.replace(ROUND, **lacking))
            for lacking in (
                {},
                {"capacity_ml": None},
                {"capacity_ml": None, "rim_diameter_mm": None},
            )
        ),
        placement=record.Placement.of(placement(runner_ups=(placement(9.0, share=0.004),))),
        scan=record.Scan.of(contents.NOTHING),
        model=model,
        input=record.Input(file="a.stl", bytes=9, sha256="1"),
        options={"mirrored": True, "voxel_mm": 1.5, "unit": "inch"},
    )
    assert base.scan
    noting = dataclasses.replace(base.scan, notes=tuple(noted()), turned_faces=5, outward=False)
    yield dataclasses.replace(base, scan=noting)
    options = dict.fromkeys(caption._TOLD, True)
    for unit in (1.0, 25.4, 0.5):
        body = contents.Contents((contents.Body((145.0, 1.25, 81.0), 1.0, 9),)).scaled(unit)
        several = dataclasses.replace(spread, by_share=True)
        known = {"scan": record.Scan.of(body), "options": options, "spread": several}
        yield dataclasses.replace(base, **known)
        options = {"unit": "mm"}
    small = dataclasses.replace(restored_bowl.MISSING, pieces=1, loops=2, stands_on="base")
    unscaled = {"scale": measures.NO_SCALE, "missing": small, "options": None, "hypotheses": ()}
    hole = dataclasses.replace(ROUND, capacity_ml=None, round_share=0.5)
    for share, several in ((0.5, True), (0.2, False)):
        up = np.array([0.0, 0.0, 1.0])
        place = record.Placement.of(placement(share=share, direction=up), several)
        yield dataclasses.replace(base, placement=place, measures=hole, **unscaled)
    yield restored_bowl.report(share_inferred=0.0, options={"mirrored": True})
    yield restored_bowl.report()
    for known in ({}, {"model": dataclasses.replace(model, trained_on=None)}):
        yield restored_bowl.report(date="2026-11-30", **known)
    about = {"trained_on": "Pots 1.5", "pots": None}
    for share in (0.004, 0.996):
        said = dataclasses.replace(model, **about)
        yield restored_bowl.report(share_inferred=share, model=said, missing=restored_bowl.MISSING)
        about |= {"pots": 850}
    for why in why_missing(monkeypatch):
        yield restored_bowl.report(missing_why=why)
    for found in judged():
        yield restored_bowl.report(confidence=found)
    yield from loose()


def pages(monkeypatch) -> Iterator[str]:
    """Pages of all these reports, and of a batch."""
    dyed: Any = BOX.copy()
    dyed.visual.vertex_colors = np.arange(24, dtype=np.uint8).reshape(8, 3)
    surfaces = meshes.Surfaces(BOX, ALL_LABELS, dyed, BOX)
    ends = ("_completed.vox", "_completed.stl", "_completed.glb", "_missing.stl")
    ends += ("_missing_upright.stl", "_missing_2.stl", "_section.svg", ".json", "_hypothesis1.stl")
    files = [f"x{end}" for end in ends]
    made = list(reports(monkeypatch))
    figures, seen = drawings(), profiles()
    for number, report in enumerate(made):
        drawing = svg.svg(figures[number % len(figures)])
        profile = seen[number % len(seen)]
        others = [BOX] * len(report.hypotheses)
        told = (report, surfaces, BOX, others, np.eye(4), drawing, files, profile, "index.html")
        yield page.page(page.View(*told))
    sure = [each for each in made if each.confidence]
    placed = [dataclasses.replace(each, placement=made[4].placement) for each in sure]
    rows = [overview.Row(each, "", "") for each in (*made, *placed)]
    failed = overview.Failure("x", "x.stl", "x.stl: fault")
    yield overview.index(rows, [failed], len(rows) + 2)
    yield overview.index(rows, [failed] * 2, len(rows) + 4)
    yield overview.index(rows[:1])
    yield overview.index(rows)


def refused(monkeypatch) -> Iterator[str]:
    """What the workbench refuses, and why."""
    with tempfile.TemporaryDirectory() as place, app_work.bench(pathlib.Path(place) / "p") as bench:
        folder = pathlib.Path(place)
        scan, other = (app_work.added(bench, folder, name) for name in ("a.stl", "b.stl"))
        bench.project.scans[9] = Scan(9, "c.stl")
        monkeypatch.setattr(uploads, "MOST_SCANS", 3)
        flat, corner = [[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
        yield from (
            _why(asked, *given)
            for asked, *given in (
                (choices.rim_axis, flat[:2], [0.0, 0.0, 0.0]),
                (choices.rim_axis, flat, [0.0, 0.0, 1.0]),
                (choices.rim_axis, corner, [3.0, 3.0, 0.0]),
                (bench.by_rim, 9, corner),
                (bench.flip, scan.id),
                (uploads.kept_as, "x.doc", ()),
                (bench.coming("x.stl").__enter__,),
                (asyncio.run, uploads.receive(folder / "x.stl", _chunks(), uploads.MOST_BYTES + 1)),
                (asyncio.run, uploads.receive(folder / "x.stl", _chunks())),
            )
        )
        bench.change(other.id, {"unit": "cm"})
        yield _why(bench.change, other.id, {"others": [scan.id]})
        bench.restore(scan.id)
        app_work.until(lambda: scan.restored)
        yield _why(bench.take, scan.id, 5)
        bench.change(scan.id, {"axis": [0, 0, 1], "height_mm": 90, "diameter_mm": 80})
        yield _why(bench.take, scan.id, 0)
        yield app_work.client(bench).post("/scans/99/undo").json()["fault"]
        job = work.Job("look", 1, bench.project.path(scan), folder / "x", folder, {})
        yield work.answered(job, print)[1]
        for wrong in (
            lambda *_: ledger.refuse(folder, ["a.stl"], overwrite=False),
            lambda *_: _no_place(),
        ):
            monkeypatch.setitem(work.JOBS, "look", wrong)
            yield work.answered(job, print)[1]


async def _chunks():
    for chunk in ():
        yield chunk


def _no_place() -> None:
    raise ValueError(propose.NO_PLACE)


def _why(asked: Callable[..., Any], *given: Any) -> str:
    with pytest.raises((ValueError, TypeError)) as refused:
        asked(*given)
    return str(refused.value)


def sentences(monkeypatch) -> list[str]:
    """What comes finished in English, as the reports hold it."""
    found = [*warned(), *noted(), *why_missing(monkeypatch), *limits()]
    found += [each.sentence for each in judged()]
    found += refused(monkeypatch)
    found += [text for report in loose() for text in loose_sherds.sentences(report.sherds)]
    places = [placement(share=share) for share in (0.9, 0.5)]
    found += [each.sentence for each in places]
    return found + [
        record.Placement.of(each, several).sentence for each in places for several in (True, False)
    ]
