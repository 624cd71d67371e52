"""The report of a restored pot: what `NAME.json` holds, as a record.

Whatever shows a report, the page, the batch's overview, the console, reads this record. A field
that is None by default is left out of the JSON where it is None; any other stands there as null.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from voxgan_jax.drawing.measures import NO_SCALE, Measures
from voxgan_jax.geometry import solids
from voxgan_jax.inference import bridge
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.report import codec
from voxgan_jax.report.missing_piece import THIN
from voxgan_jax.report.printing import End, Printing, PutIn
from voxgan_jax.report.sizes import Rim, Spread
from voxgan_jax.scan import pose
from voxgan_jax.scan.contents import Contents

Point = tuple[float, float, float]
Row = pose.Row

GIVEN_SCALE = "given"
"""What `scale` is where it is known how big a voxel is."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """In how many pieces the model's pot came, whether its floor had a hole, what was done."""

    made: Annotated[int, "pieces of the model's pot"]
    left: Annotated[int, "pieces after bridges were laid and crumbs dropped"]
    bridge_voxels: Annotated[int, "voxels added to join pieces, where a wall is likeliest"]
    share_bridges: Annotated[float, "those, as a share of the pot"]
    dropped_voxels: Annotated[int, "voxels of the model's pot left out, loose in the air or crumbs"]
    share_dropped: Annotated[float, "those, as a share of the model's pot"]
    floor_voxels: Annotated[int, "voxels added to close a hole in the floor"]
    plug_voxels: Annotated[int, "voxels added to fill tunnels through the wall"]
    open_floor: Annotated[bool, "whether one sees through the floor all the same"]

    @classmethod
    def of(cls, found: bridge.Pieces, total: int) -> "Pieces":
        """The pieces of a pot that has so many voxels."""
        return cls(
            made=found.made,
            left=found.left,
            bridge_voxels=found.added,
            share_bridges=round(found.added / max(total, 1), 4),
            dropped_voxels=found.dropped,
            share_dropped=round(found.dropped / max(total + found.dropped, 1), 6),
            floor_voxels=found.floor,
            plug_voxels=found.plugs,
            open_floor=found.is_open,
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the sherd may have been in its pot; lengths and directions are those of the scan."""

    sentence: Annotated[str, "the place in plain words"]
    confidence: Annotated[float, "how likely this place is, 0 to 1"]
    word: Annotated[str, "high, fair or low"]
    axis_point_mm: Annotated[Point, "a point of the pot's axis (x, y, z)"]
    axis_direction: Annotated[Point, "of the axis, from base to rim, of length 1"]
    voxel_mm: Annotated[float, "the side of the model's voxels"]
    height_mm: Annotated[
        float, "of the pot: the restored one, or for a runner-up that which the model saw"
    ]
    diameter_mm: Annotated[float, "of that pot, the greatest"]
    above_base_mm: Annotated[float, "the height of the sherd's middle"]
    score: Annotated[float, "a logarithm of the likelihood"]

    @classmethod
    def of(cls, found: pose.Placement) -> "Place":
        """A placement as it is told, rounded."""
        return cls(**_told(found))


_OF_POT = "--diameter-mm or --height-mm"
_OF_SHERD = "--axis, --diameter-mm, --height-mm, --rim or --base"


@dataclass(frozen=True, kw_only=True)
class Placement(Place):
    """The place that was taken, found by the sherd's shape."""

    runner_ups: Annotated[tuple[Place, ...], "the next best places, the likeliest first"]

    @classmethod
    def of(cls, found: pose.Placement, several: bool = False) -> "Placement":
        """The best placement and its runners-up, and what to do where it is not sure; that of
        several loose sherds is helped by the pot's sizes alone."""
        told = _told(found)
        trust = f"confidence {found.word} ({found.share:.2f})"
        if found.word != "high":
            trust += (
                ": other places and sizes suit it as well; tell what is known by"
                f" {_OF_POT if several else _OF_SHERD}"
            )
        told["sentence"] = f"Placed by its shape: {found.sentence}; {trust}"
        return cls(**told, runner_ups=tuple(map(Place.of, found.runner_ups)))


def _told(found: pose.Placement) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "confidence": round(found.share, 3),
        "word": found.word,
        "axis_point_mm": tuple(round(float(value), 3) for value in found.point),
        "axis_direction": tuple(round(float(value), 6) for value in found.direction),
        "voxel_mm": round(found.voxel_mm, 5),
        "height_mm": round(found.height_mm, 2),
        "diameter_mm": round(found.diameter_mm, 2),
        "above_base_mm": round(found.above_base_mm, 2),
        "score": round(found.score, 3),
    }


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """Another pot that the sherd may come from."""

    share: Annotated[float, "how likely it is next to the others, 0 to 1"]
    measures: Measures


@dataclass(frozen=True, kw_only=True)
class Model:
    """The weights that answered: what a weights file and its card say."""

    file: str
    sha256: str
    kind: Annotated[str | None, "of generator"] = None
    threshold: Annotated[float | None, "the model's own: voxels above this were added"] = None
    trained_on: str | None = None
    pots: Annotated[int | None, "how many it was trained on"] = None
    source: Annotated[str | None, "of the pots"] = None
    commit: Annotated[str | None, "of the code that trained it"] = None
    limits: Annotated[tuple[str, ...] | None, "what no answer of the model tells"] = None
    hypotheses_file: Annotated[str | None, "the weights that gave the other pots"] = None
    hypotheses_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """The file that was read."""

    file: Annotated[str, "its name without folders"]
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What the file held, and what was done with it."""

    bodies: Annotated[int, "in the file, without dust; 0 for voxels"]
    taken: Annotated[int | None, "the number of the one that was, the largest 1; null: all of them"]
    dust: Annotated[int, "small bodies that touch nothing, left out"]
    dust_share: Annotated[float, "those, as a share of the area"]
    turned_faces: Annotated[int, "so many were turned, to look outward"]
    outward: Annotated[bool, "whether it is known that all faces look outward now"]
    origin_mm: Annotated[Point, "add it to the results' coordinates to have the scan's"]
    notes: Annotated[tuple[str, ...], "what a user has to know of it, in words"]
    unit_mm: Annotated[float | None, "so many mm a coordinate of the file was taken for"] = None
    size_mm: Annotated[Point | None, "of the body that was taken, along x, y and z"] = None

    @classmethod
    def of(cls, found: Contents) -> "Scan":
        """What was found, rounded."""
        number = 1 if len(found.bodies) == 1 else found.taken
        size: Any = tuple(round(mm, 2) for mm in found.bodies[number - 1].size) if number else None
        return cls(
            unit_mm=found.unit_mm,
            size_mm=size,
            bodies=len(found.bodies),
            taken=found.taken,
            dust=found.dust,
            dust_share=round(found.dust_share, 6),
            turned_faces=found.turned,
            outward=found.outward,
            origin_mm=found.origin,
            notes=found.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Missing:
    """The missing piece: what the restored pot adds to the original."""

    volume_mm3: float
    gap_mm: Annotated[float, "measured: the least distance from the original"]
    pieces: Annotated[int, "how many separate bodies it has"]
    clearance_mm: Annotated[float, "the distance that was asked for"]
    slivers_mm3: Annotated[float, "the volume of thin bodies and crumbs that were left out"]
    thin_share: Annotated[float, f"of its surface, where it is thinner than {THIN:g} mm"]
    loops: Annotated[int, "tunnels through it: 1 where the sherd lies amid a wall"]
    undercut_share: Annotated[float, "of the joint, in the way when it is put in straight"]
    overhang_share: Annotated[float, "of its surface, needs supports when printed upright"]
    stands_on: Annotated[End, "which end of the pot is down in the upright copy"]
    parts: Annotated[
        tuple[PutIn, ...] | None,
        "put in one after the other; one: the piece as it is; left out where no way was found",
    ] = None

    @classmethod
    def of(cls, made: Printing, clearance: float) -> "Missing":
        """A piece as it is told, rounded."""
        found = made.piece
        return cls(
            volume_mm3=round(solids.volume(found.mesh.vertices, found.mesh.faces), 3),
            gap_mm=round(found.gap, 4),
            pieces=found.pieces,
            clearance_mm=clearance,
            slivers_mm3=round(found.left_out, 3),
            thin_share=round(made.thin_share, 4),
            loops=made.loops,
            undercut_share=round(made.undercut_share, 4),
            overhang_share=round(made.overhang_share, 4),
            stands_on=made.foot,
            parts=tuple(map(PutIn.of, made.parts)) or None,
        )


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is known of a restored pot; lengths in mm of the input's coordinates.

    These are the file's, but for `scan.origin_mm`.
    """

    name: Annotated[str, "of the results; with folders where a batch has subfolders"]
    version: Annotated[str, "of voxgan_jax"]
    date: Annotated[str | None, "on which it was made, as the machine had it: 2026-11-30"] = None
    given_voxels: int
    inferred_voxels: Annotated[int, "all that were added, the uncertain ones too"]
    uncertain_voxels: Annotated[int, "those of which the model is not sure"]
    share_inferred: Annotated[float, "0 to 1, of the voxels"]
    left_out_voxels: Annotated[int, "added by the model outside the box asked for"]
    pieces: Annotated[Pieces | None, "null where the model did not tell"]
    voxel_mm: Annotated[float, "the side of a voxel"]
    scale: Annotated[str, f"'{GIVEN_SCALE}', or '{NO_SCALE}'"]
    measures: Measures
    rim: Annotated[Rim | None, "left out where the sherd holds nothing of it"] = None
    spread: Annotated[Spread | None, "left out where there are no several pots"] = None
    confidence: Annotated[Confidence | None, "null where the model was not calibrated"]
    placement: Annotated[Placement | None, "null where the sherd lies as the file has it"]
    hypotheses: Annotated[tuple[Hypothesis, ...], "other pots, the likeliest first"]
    transform: Annotated[
        tuple[Row, Row, Row, Row], "4 × 4, from the grid's indices to coordinates in mm"
    ]
    model: Model | None = None
    options: Annotated[Mapping[str, Any] | None, "what was asked for, by the options' names"] = None
    input: Input | None = None
    scan: Annotated[Scan | None, "what the file held; left out for most voxels"] = None
    sherds: Annotated[
        tuple[pose.Loose, ...] | None, "of several loose sherds of one pot, where each lies"
    ] = None
    missing: Annotated[Missing | None, "null where nothing is missing or no mesh was made"]
    missing_why: Annotated[str | None, "why there is no missing piece"] = None
    warnings: Annotated[
        tuple[str, ...] | None, "what contradicts what was told, or is not credible"
    ] = None
    files: Annotated[tuple[str, ...] | None, "written before this one, names beside it"] = None

    @property
    def scaled(self) -> bool:
        """Whether sizes are of this world; otherwise a voxel was taken as 1 mm."""
        return self.scale == GIVEN_SCALE

    def to_json(self) -> dict[str, Any]:
        """What `NAME.json` holds."""
        return codec.plain(self)

    @classmethod
    def from_json(cls, found: Any) -> "Report":
        """A report that was written before; what this version does not know is left out.

        Raises:
            ValueError: it is no report, or holds what cannot be written.
        """
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")
        return codec.read(cls, found)
