"""A restored pot: what `voxgan_jax.complete` returns and `voxgan complete` writes."""

import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from voxgan_jax import ledger
from voxgan_jax.drawing import dxf, files, measures, svg
from voxgan_jax.files import write_whole
from voxgan_jax.geometry import solids, surface
from voxgan_jax.inference import answer as answers
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.language import speaking
from voxgan_jax.report import codec, meshes, overview, record, sizes
from voxgan_jax.report.notebook import Frame, Shown
from voxgan_jax.report.page import View, page, write_page
from voxgan_jax.report.record import Report
from voxgan_jax.restore import arguments, naming
from voxgan_jax.restore.vessel import Vessel
from voxgan_jax.scan.contents import NOTHING
from voxgan_jax.version import VERSION


class Written(NamedTuple):
    """The files of one pot, their report, and what was measured of the meshes among them.

    `volume_mm3` is that of the completed pot, `missing_mm3` that of the missing piece; `gap_mm` is
    its least distance from the original, `pieces` how many bodies it has. Zeros where no such mesh
    was asked for or nothing is missing.
    """

    paths: list[pathlib.Path]
    report: Report
    volume_mm3: float = 0.0
    missing_mm3: float = 0.0
    gap_mm: float = 0.0
    pieces: int = 0


@dataclasses.dataclass(frozen=True, repr=False)
class Completion(Shown, Vessel):
    """A restored pot with its drawing and report, to be written. Made by `restore`."""

    @functools.cached_property
    def drawing(self) -> str:
        """The section drawing for a page, as SVG: as big as the pot."""
        return speaking(self.lang, svg.svg, self.figure)

    @functools.cached_property
    def report(self) -> Report:
        """All that is known of the pot but for the missing piece and the files."""
        given = int((self.labels == GIVEN).sum())
        uncertain = int((self.labels == UNCERTAIN).sum())
        added = int((self.labels == INFERRED).sum()) + uncertain
        return Report(
            name=self.name,
            version=VERSION,
            date=time.strftime("%Y-%m-%d"),
            given_voxels=given,
            inferred_voxels=added,
            uncertain_voxels=uncertain,
            share_inferred=round(added / max(given + added, 1), 4),
            left_out_voxels=self.left_out,
            pieces=self.pieces and record.Pieces.of(self.pieces, given + added),
            voxel_mm=round(self.voxel_mm, 6),
            scale=record.GIVEN_SCALE if self.scaled else measures.NO_SCALE,
            measures=self.measures,
            rim=sizes.Rim.of(self.figure),
            spread=self.spread,
            confidence=self.confidence,
            placement=self.placement,
            hypotheses=tuple(
                record.Hypothesis(share=round(other.share, 4), measures=found)
                for other, found in zip(self.hypotheses, self.hypothesis_measures, strict=True)
            ),
            transform=cast(Any, tuple(map(tuple, np.round(self.matrix, 9).tolist()))),
            model=codec.read(record.Model | None, self.about.get("model")),
            options=self.about.get("options"),
            input=codec.read(record.Input | None, self.about.get("input")),
            scan=record.Scan.of(self.contents) if self.contents != NOTHING else None,
            sherds=self.loose or None,
            missing=None,
            warnings=tuple(doubt.text for doubt in self.doubts) or None,
        )

    def view(self, height: int = 640) -> Frame:
        """The page with the pot to turn, for a notebook: so many pixels high, nothing written."""
        shown = speaking(self.lang, page, self._view(self._with_missing()))
        return Frame(shown, height, self.lang)

    def write(
        self,
        out_dir: str | pathlib.Path,
        formats: Sequence[str] = naming.USUAL,
        *,
        overwrite: bool = False,
    ) -> Written:
        """Write what is asked for: all of it or nothing, `NAME.json` last.

        Only what was written so before, and is as it was then, is replaced (`ledger`). Meshes of a
        missing piece or of hypotheses that this pot does not have are removed.

        Args:
            formats: of `naming.FORMATS`. "stl" brings the missing piece and the hypotheses as well.
            overwrite: replace other files, too, but no input.

        Raises:
            ValueError: a folder, a format or a name (`naming.checked`) that is none.
            TypeError: a folder or formats of another kind.
            OSError: a file cannot be written, or must stay (FileExistsError).
            ModuleNotFoundError: a library is missing that a format needs.
        """
        out_dir = arguments.check("out_dir", out_dir)
        if not isinstance(formats, Iterable):
            raise TypeError(f"formats={formats!r}: give some of {', '.join(naming.FORMATS)}")
        formats = (formats,) if isinstance(formats, str) else tuple(formats)
        if unknown := sorted(map(str, set(formats) - set(naming.FORMATS))):
            raise ValueError(f"no format {unknown[0]!r}; there are {', '.join(naming.FORMATS)}")
        if "dxf" in formats:
            dxf.require()
        stem = pathlib.Path(out_dir) / naming.checked(self.name)
        counts = (len(self.hypotheses), naming.MOST_HYPOTHESES)
        results = [naming.results(stem.name, formats, count) for count in counts]
        how: Any = {"inputs": self.inputs, "overwrite": overwrite}
        with ledger.published(stem.parent, *results, **how) as private:
            written = speaking(self.lang, self._write, private / stem.name, formats)
        return written._replace(paths=[stem.parent / path.name for path in written.paths])

    def _write(self, stem: pathlib.Path, formats: Sequence[str]) -> Written:
        """Write all files, called by `stem`, into a folder that holds nothing yet."""
        asked = {"stl", "html"} & set(formats)
        ready = self.printing if asked else None
        made = self.surfaces if {"stl", "glb", "html"} & set(formats) else None
        paths = meshes.write(stem, formats, self.voxels if "vox" in formats else self.labels, made)
        if "stl" in formats:
            for name, mesh in self._parts().items():
                paths.append(pathlib.Path(f"{stem}_{name}.stl"))
                surface.write_stl(paths[-1], mesh)
        report = self._with_missing() if asked else self.report
        times = int(self.scale[2:]) if self.scale else None
        for form in (form for form in files.FORMATS if form in formats):
            paths.append(stem.with_name(*naming.results(stem.name, [form])))
            drawn = files.content(form, self.figure, self.profile, self.name, times)
            write_whole(paths[-1], drawn)
        if "html" in formats:
            view = self._view(report)._replace(files=[path.name for path in paths])
            if self.in_overview:
                view = view._replace(overview=f"{'../' * self.name.count('/')}{overview.INDEX}")
            paths.append(pathlib.Path(f"{stem}.html"))
            write_page(paths[-1], view)
        report = dataclasses.replace(report, files=tuple(path.name for path in paths))
        if "json" in formats:
            paths.append(pathlib.Path(f"{stem}.json"))
            text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
            write_whole(paths[-1], text + "\n")
        written = Written(paths, report)
        if made and {"stl", "glb"} & set(formats):
            written = written._replace(volume_mm3=solids.volume(made.pot.vertices, made.pot.faces))
        if ready and "stl" in formats:
            mesh, gap, pieces, _ = ready.piece
            written = written._replace(
                missing_mm3=solids.volume(mesh.vertices, mesh.faces), gap_mm=gap, pieces=pieces
            )
        return written

    def _with_missing(self) -> Report:
        """The report, with the missing piece or why there is none."""
        missing = self.printing and record.Missing.of(self.printing, self.clearance_mm)
        why = self._piece[1] if self.report.inferred_voxels else None
        return dataclasses.replace(self.report, missing=missing, missing_why=why)

    def _view(self, report: Report) -> View:
        """What the page shows, without files beside it."""
        return View(
            report=report,
            surfaces=self.surfaces,
            missing=self.missing,
            hypotheses=self.hypothesis_meshes,
            matrix=self.matrix,
            drawing=self.drawing,
            profile=self.profile,
        )

    def _parts(self) -> dict[str, solids.Mesh]:
        """The missing piece and the hypotheses, by what their files are called."""
        found, ready = enumerate(self.hypothesis_meshes, 1), self.printing
        parts = {"missing": ready.piece.mesh, "missing_upright": ready.upright} if ready else {}
        if ready and len(ready.parts) > 1:
            parts |= {f"missing_{n}": part.mesh for n, part in enumerate(ready.parts, 1)}
        return parts | {f"hypothesis{number}": mesh for number, mesh in found}


def restore(
    request: answers.Request, answer: answers.Answer, *, name: str | None = None, **how: Any
) -> Completion:
    """The restored pot of a request and the model's answer to it, of a name or that of its file;
    `how` says what else a `Vessel` may be told, as `clearance_mm` and `about`."""
    sherd = request.sherds[0]
    labels, (x, y, z) = answer.labels, answer.shift
    # The whole cube begins before the input's box; in h it is the far end that `shift` counts.
    moved = np.eye(4)
    moved[:3, 3] = -y, -(labels.shape[1] - z - sherd.labels.shape[1]), -x
    same = ("belief", "left_out", "shift", "hypotheses", "pieces", "drawn", "probabilities")
    return Completion(
        name=naming.of_fragments(name or naming.of_file(sherd.source), sherd.ids),
        labels=answers.mark(labels, answer.belief),
        matrix=sherd.to_mm @ moved,
        judged=answer.confidence,
        # Of several sherds their voxels stand for all.
        original=sherd.mesh if len(request.sherds) == 1 else None,
        placed=sherd.placement,
        **{field: getattr(answer, field) for field in same},
        **{field: getattr(sherd, field) for field in ("told", "scaled", "contents", "loose")},
        **how,
    )
