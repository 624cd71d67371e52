"""A restored pot: what `voxgan_jax.complete` returns and `voxgan complete` writes."""

import dataclasses
import functools
import glob
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voxgan_jax.files import write_whole
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN, Answer, Hypothesis, Request
from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence, bounded
from voxgan_jax.report import naming, volumes
from voxgan_jax.report import profile as section
from voxgan_jax.version import VERSION

if TYPE_CHECKING:
    import trimesh

FORMATS = (*volumes.FORMATS, "svg", "html", "json")
"""What `Completion.write` can write. "stl" brings the missing piece and the hypotheses as well."""


@dataclasses.dataclass(frozen=True)
class Completion:
    """A pot restored from a sherd. Made by `restore`; lengths are mm, in the input's coordinates.

    Attributes:
        name: the input's, without its ending; "a/sherd" is written into the folder a.
        labels: GIVEN, INFERRED and UNCERTAIN of `outputs`, 0 where nothing is.
        belief: how probable each voxel is, from 0 to 1, above 0.5 where one was added.
        matrix: from the grid's indices to mm.
        confidence: how far to trust it and its placement; None for a model without calibration.
        left_out: how many voxels the model adds outside the box asked for.
        shift: by how many voxels the file's coordinates (x, y, z) move in the `.vox` file.
        hypotheses: other pots that the sherd may come from, the likeliest first.
        pieces: in how many pieces the model's pot came, and how many are left; None if unknown.
        original: the scan, or None where voxels were read.
        placement: how the sherd was placed, for the report; None where it lies as the file says.
        clearance_mm: how far the missing piece stays from the original.
        scaled: whether it is known how many mm a voxel has; otherwise it was taken as 1 mm.
        probabilities: the model's own but where pieces were joined or dropped, in its cube.
        about: `model`, `options` and `input` of the report.
    """

    name: str
    labels: UInt8[np.ndarray, "d h w"]
    belief: Float[np.ndarray, "d h w"]
    matrix: Float[np.ndarray, "4 4"]
    confidence: Confidence | None = None
    left_out: int = 0
    shift: tuple[int, int, int] = (0, 0, 0)
    hypotheses: tuple[Hypothesis, ...] = ()
    pieces: Pieces | None = None
    original: "trimesh.Trimesh | None" = None
    placement: Mapping[str, Any] | None = None
    clearance_mm: float = 0.2
    scaled: bool = True
    probabilities: Float[np.ndarray, "r r r"] | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def surfaces(self) -> volumes.Surfaces:
        """The restored pot, the original and the missing piece as meshes in mm."""
        return volumes.surfaces(
            self.labels,
            self.belief,
            self.matrix,
            clearance_mm=self.clearance_mm,
            original=self.original,
        )

    @property
    def pot(self) -> "trimesh.Trimesh":
        """The restored pot, watertight."""
        return self.surfaces.pot

    @property
    def missing(self) -> "trimesh.Trimesh | None":
        """The missing piece, watertight; None where nothing is missing."""
        return self.surfaces.piece and self.surfaces.piece.mesh

    @functools.cached_property
    def hypothesis_meshes(self) -> "list[trimesh.Trimesh]":
        """The surfaces of `hypotheses`."""
        return [_surface(other.labels, other.belief, self.matrix) for other in self.hypotheses]

    @functools.cached_property
    def profile(self) -> section.Profile:
        """The pot's wall in section."""
        step = volumes.step_of(self.matrix)
        return section.profile(self.labels, self.belief, step)

    @functools.cached_property
    def drawing(self) -> str:
        """The section drawing, as SVG."""
        return section.drawing(self.profile, self.measures, scaled=self.scaled)

    @functools.cached_property
    def measures(self) -> dict[str, Any]:
        """What is measured on the pot (`section.measures`)."""
        return section.measures(self.profile)

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """What `NAME.json` holds but for the missing piece: counts, measures, confidence."""
        given = int((self.labels == GIVEN).sum())
        uncertain = int((self.labels == UNCERTAIN).sum())
        added = int((self.labels == INFERRED).sum()) + uncertain
        return {
            "name": self.name,
            "version": VERSION,
            "given_voxels": given,
            "inferred_voxels": added,
            "uncertain_voxels": uncertain,
            "share_inferred": round(added / max(given + added, 1), 4),
            "left_out_voxels": self.left_out,
            "pieces": self.pieces and self.pieces.summary(given + added),
            "voxel_mm": round(volumes.step_of(self.matrix), 6),
            "scale": "given" if self.scaled else section.NO_SCALE,
            "measures": self.measures,
            "confidence": self.confidence and self.confidence._asdict(),
            "placement": self.placement,
            "hypotheses": [
                {
                    "share": round(other.share, 4),
                    "measures": section.measures(
                        section.profile(other.labels, other.belief, volumes.step_of(self.matrix))
                    ),
                }
                for other in self.hypotheses
            ],
            "transform": np.round(self.matrix, 9).tolist(),
            **self.about,
        }

    def write(
        self, out_dir: str | pathlib.Path, formats: Sequence[str] = FORMATS
    ) -> volumes.Written:
        """Write what is asked for, each file whole or not at all, `NAME.json` last.

        So where `NAME.json` is, all else is.

        Args:
            formats: of FORMATS.

        Raises:
            ValueError: a format that is none of them.
            OSError: a file cannot be written.
        """
        unknown = sorted(set(formats) - set(FORMATS))
        if unknown:
            raise ValueError(f"no format {unknown[0]!r}; there are {', '.join(FORMATS)}")
        folder = pathlib.Path(out_dir)
        stem = folder / self.name
        stem.parent.mkdir(parents=True, exist_ok=True)
        made = self.surfaces if {"stl", "html"} & set(formats) else None
        written = volumes.write(
            stem,
            self.labels,
            self.belief,
            self.matrix,
            formats=formats,
            clearance_mm=self.clearance_mm,
            original=self.original,
            made=made,
        )
        paths = list(written.paths)
        if "stl" in formats:
            paths += self._write_hypotheses(stem)
        report = self.report | {"missing": made and _missing(made, self.clearance_mm)}
        if "svg" in formats:
            paths.append(folder / f"{self.name}_section.svg")
            write_whole(paths[-1], self.drawing)
        if "html" in formats:
            paths.append(folder / f"{self.name}.html")
            self._write_page(paths[-1], report, [path.name for path in paths[:-1]])
        report |= {"files": [path.name for path in paths]}
        if "json" in formats:
            paths.append(folder / f"{self.name}.json")
            text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
            write_whole(paths[-1], text + "\n")
        return written._replace(paths=paths, report=report)

    def _write_hypotheses(self, stem: pathlib.Path) -> list[pathlib.Path]:
        paths = []
        # An earlier run may have been asked for more.
        for older in stem.parent.glob(f"{glob.escape(stem.name)}_hypothesis*.stl"):
            older.unlink()
        for number, other in enumerate(self.hypothesis_meshes, 1):
            paths.append(pathlib.Path(f"{stem}_hypothesis{number}.stl"))
            surface.write_stl(paths[-1], other)
        return paths

    def _write_page(self, path: pathlib.Path, report: dict[str, Any], files: list[str]) -> None:
        from voxgan_jax.report import page

        made = self.surfaces
        view = page.View(
            name=self.name,
            pot=made.pot,
            labels=made.labels,
            original=made.original,
            missing=made.piece and made.piece.mesh,
            hypotheses=self.hypothesis_meshes,
            matrix=self.matrix,
            report=report,
            files=files,
            drawing=self.drawing,
        )
        page.write_page(path, view)


class Writing(NamedTuple):
    """Writes a restored pot; a class, so that another process can be told to do it."""

    out_dir: pathlib.Path
    formats: tuple[str, ...]

    def __call__(self, restored: Completion) -> volumes.Written | OSError | ValueError:
        try:
            return restored.write(self.out_dir, self.formats)
        except (OSError, ValueError) as error:
            return error


def restore(
    request: Request,
    answer: Answer,
    *,
    name: str | None = None,
    clearance_mm: float = 0.2,
    about: Mapping[str, Any] | None = None,
) -> Completion:
    """The restored pot of a request and the model's answer to it, of a name or that of its file."""
    sherd = request.sherds[0]
    suffix = "".join(f"_fragment{fragment}" for fragment in sherd.ids)
    labels, (x, y, z) = answer.labels, answer.shift
    # The whole cube begins before the input's box; in h it is the far end that `shift` counts.
    moved = np.eye(4)
    moved[:3, 3] = -y, -(labels.shape[1] - z - sherd.labels.shape[1]), -x
    placement = sherd.placement and sherd.placement.summary()
    return Completion(
        name=(name or naming.plain(pathlib.Path(sherd.source).stem)) + suffix,
        labels=volumes.mark(labels, answer.belief),
        belief=answer.belief,
        matrix=sherd.to_mm @ moved,
        confidence=bounded(answer.confidence, placement),
        left_out=answer.left_out,
        shift=answer.shift,
        hypotheses=answer.hypotheses,
        pieces=answer.pieces,
        # Of several sherds their voxels stand for all.
        original=sherd.mesh if len(request.sherds) == 1 else None,
        placement=placement,
        clearance_mm=clearance_mm,
        scaled=sherd.scaled,
        probabilities=answer.probabilities,
        about=about or {},
    )


def _surface(
    labels: UInt8[np.ndarray, "d h w"],
    belief: Float[np.ndarray, "d h w"],
    matrix: Float[np.ndarray, "4 4"],
) -> "trimesh.Trimesh":
    field = surface.smooth(labels > 0, belief, labels == GIVEN)
    return surface.surface(field, labels > 0, matrix, surface.find_level(field, labels > 0))


def _missing(made: volumes.Surfaces, clearance_mm: float) -> dict[str, Any] | None:
    """What the report says of the missing piece."""
    if made.piece is None:
        return None
    return {
        "volume_mm3": round(float(made.piece.mesh.volume), 3),
        "gap_mm": round(made.piece.gap, 4),
        "pieces": made.piece.pieces,
        "clearance_mm": clearance_mm,
    }
