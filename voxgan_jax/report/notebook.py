"""What a Python console and a notebook show of a restored pot: a line, its drawing, its page."""

import dataclasses
from typing import Any

from voxgan_jax.language import speaking
from voxgan_jax.render import render
from voxgan_jax.report import sentences
from voxgan_jax.report.record import Report


class Shown:
    """A pot that can be shown: one with a `report`, and a section `drawing` as SVG."""

    report: Any
    drawing: Any

    def __repr__(self) -> str:
        """Its name, height, voxels and confidence."""
        report: Report = self.report
        height = sentences.size(report.measures.height_mm, "mm", report.scaled)
        voxels = f"{report.given_voxels} voxels given, {report.inferred_voxels} inferred"
        sure = f", confidence {report.confidence.word}" if report.confidence else ""
        return f"<Completion {report.name!r}: {height} high, {voxels}{sure}>"

    def _repr_html_(self) -> str:
        return render("notebook.html.j2", drawing=self.drawing, said=repr(self))


@dataclasses.dataclass(frozen=True, repr=False)
class Frame:
    """A page within a notebook, so many pixels high, in one of `language.LANGUAGES`."""

    page: str
    height: int
    lang: str = "en"

    def _repr_html_(self) -> str:
        return speaking(
            self.lang, lambda: render("frame.html.j2", page=self.page, height=self.height)
        )
