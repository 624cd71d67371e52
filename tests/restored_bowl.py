"""A restored bowl as a page shows it."""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import trimesh
from round_pots import drawn
from turned_pots import bowl, sherd

from voxgan_jax.drawing import measures, profile
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.inference.round_pot import section_of
from voxgan_jax.report import meshes, missing_piece, page, printing, record

NAME = 'A <b>"pot"</b> & </script><script>boom()</script>'
ROW = (1.0, 0.0, 0.0, 0.0)
STEP = 5.0

MEASURES = measures.Measures(
    height_mm=111.0,
    rim_diameter_mm=None,
    base_diameter_mm=None,
    max_diameter_mm=None,
    wall_mm=None,
    volume_ml=500.0,
    capacity_ml=None,
    round_share=1.0,
)

PLACE = record.Place(
    sentence="Ha",
    confidence=0.1,
    word="low",
    axis_point_mm=(0.0, 0.0, 0.0),
    axis_direction=(0.0, 0.0, 1.0),
    voxel_mm=STEP,
    height_mm=111.0,
    diameter_mm=100.0,
    above_base_mm=50.0,
    score=1.0,
)


MISSING = record.Missing(
    volume_mm3=1234.0,
    gap_mm=0.31,
    pieces=2,
    clearance_mm=0.2,
    slivers_mm3=3.0,
    thin_share=0.02,
    loops=5,
    undercut_share=0.1,
    overhang_share=0.25,
    stands_on="rim",
    parts=tuple(
        printing.PutIn(volume_mm3=mm3, direction=(0.0, 0.0, 1.0)) for mm3 in (1000.0, 234.0)
    ),
)


def placement(sentence: str, word: str, confidence: float) -> record.Placement:
    """A sherd's place as a report has it, with one other."""
    told = {"sentence": sentence, "word": word, "confidence": confidence}
    return record.Placement(**vars(PLACE) | told, runner_ups=(PLACE,))


def report(**changes: Any) -> record.Report:
    """The least that is known of a pot, and what a test says besides."""
    plain = record.Report(
        name="sherd",
        version="9.8.7",
        given_voxels=320,
        inferred_voxels=680,
        uncertain_voxels=0,
        share_inferred=0.68,
        left_out_voxels=0,
        pieces=None,
        voxel_mm=STEP,
        scale=record.GIVEN_SCALE,
        measures=MEASURES,
        confidence=None,
        placement=None,
        hypotheses=(),
        transform=(ROW, ROW, ROW, ROW),
        missing=None,
    )
    return dataclasses.replace(plain, **changes)


def words(said: record.Report) -> str:
    """The page of a report, of a box and without a drawing; white space is one blank."""
    box = trimesh.creation.box()
    labels = np.full(len(box.faces), INFERRED)
    alone = meshes.Surfaces(box, labels, trimesh.Trimesh(), box)
    return " ".join(page.page(page.View(said, alone, None, (), np.eye(4), "")).split())


def restored(dye: Callable[[np.ndarray], np.ndarray] | None = None) -> page.View:
    """A bowl of one sherd, with one hypothesis and a hostile name; `dye` gives colours to points
    of its scan."""
    pot = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2)
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    labels[(labels == INFERRED) & (np.indices(pot.shape)[2] > 16)] = UNCERTAIN
    matrix = surface.frame(pot.shape, STEP, up="z")
    belief = pot.astype(np.float32)
    made = meshes.surfaces(labels, belief, matrix, None, section_of(labels, belief))
    if dye:
        cast(Any, made.original.visual).vertex_colors = dye(made.original.vertices)
        made = meshes.surfaces(labels, belief, matrix, made.original, section_of(labels, belief))
    piece = missing_piece.missing_piece(made.body, made.original, STEP)
    assert piece is not None
    wider = trimesh.Trimesh(made.pot.vertices, made.pot.faces, process=False)
    wider.vertices = (wider.vertices - wider.centroid) * [1.15, 1.15, 1.0] + wider.centroid
    section = profile.profile_of(labels, belief, STEP)
    counts = {label: int((labels == label).sum()) for label in meshes.NAMES}
    added = counts[INFERRED] + counts[UNCERTAIN]
    said = report(
        name=NAME,
        given_voxels=counts[GIVEN],
        inferred_voxels=added,
        uncertain_voxels=counts[UNCERTAIN],
        share_inferred=added / sum(counts.values()),
        measures=measures.measure(section),
        confidence=Confidence("fair", 0.64, "fair: it is in crumbs"),
        placement=placement("Placed: rim up; confidence high (0.80)", "high", 0.8),
        missing=MISSING,
        hypotheses=(record.Hypothesis(share=0.25, measures=MEASURES),),
        model=record.Model(
            file="revolve64.safetensors",
            sha256="1a",
            trained_on="<pots>",
            pots=850,
            limits=("No <handles>.",),
        ),
        input=record.Input(file="a.VOX", bytes=9, sha256="2b"),
        options={"voxel_mm": 5.0, "formats": ["stl", "html"], "whole_cube": True},
    )
    return page.View(
        report=said,
        surfaces=made,
        missing=piece.mesh,
        hypotheses=[wider],
        matrix=matrix,
        drawing=drawn(section),
        files=["a b_completed.stl", 'q"<i>.json', "javascript:alert(1)"],
        profile=section,
        overview="../index.html",
    )
