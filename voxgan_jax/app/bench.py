"""The workbench: what is done with a project, whoever asks for it."""

import contextlib
import filecmp
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from voxgan_jax.app import choices, uploads
from voxgan_jax.app.events import Events
from voxgan_jax.app.jobs import Jobs
from voxgan_jax.app.project import Project, Scan
from voxgan_jax.app.work import Job, serve
from voxgan_jax.files import whole
from voxgan_jax.language import LANGUAGES, speaking
from voxgan_jax.scan import source

_ONE_UNIT = "choose the same unit for all sherds of a pot; to change it, take the pot apart first"


class Bench:
    """A project, the worker that serves it, and the pages that look on.

    Its methods may be called by several threads. They raise KeyError where there is no such scan,
    ValueError or TypeError, in words for the user, where what is told cannot be. `language` is that
    of the page that was opened last, and of the pages and drawings that are made.
    """

    def __init__(self, project: Project, work: Callable[[Connection], None] = serve):
        self.project = project
        self.events, self.language = Events(self.state), LANGUAGES[0]
        self.jobs = Jobs(self._told, work)
        self._naming, self._coming = threading.Lock(), set[str]()
        # By the scan's number, a pot whose files are still being made (`work.restore`).
        self._first: dict[int, tuple[dict[str, Any], str]] = {}
        for scan in list(project.scans.values()):
            if scan.look is None or not project.view(scan, "scan").is_file():
                self._submit("look", scan)

    def close(self) -> None:
        """End the worker, and let others open the project."""
        self.events.close()
        self.jobs.close()
        self.project.close()

    def state(self) -> dict[str, Any]:
        """All that a page is told."""
        steps = self.jobs.state()
        first = {number: told for number, (told, _) in list(self._first.items())}
        told = speaking(self.language, self.project.told, first)
        scans = [scan | {"step": steps.get(scan["id"])} for scan in told]
        about = {"project": str(self.project.folder), "language": self.project.language}
        return about | {"scans": scans}

    def speak(self, language: Any) -> None:
        """Choose the language of the page for this project, whatever browsers ask for."""
        if language not in LANGUAGES:
            raise ValueError(f"language={language!r}: choose one of {', '.join(LANGUAGES)}")
        with self.project.keeping():
            self.project.language = language
        self.language = language
        self.events.changed()

    def add(self, file: str) -> Scan:
        """A scan that lies in the project's folder now is looked at."""
        scan = self.project.add(file)
        self._submit("look", scan)
        return scan

    def bring(self, path: pathlib.Path) -> None:
        """Copy a file of this machine into the project, unless it is there already."""
        source.require(path)
        for known in map(self.project.path, list(self.project.scans.values())):
            if known.is_file() and filecmp.cmp(path, known, shallow=False):
                return
        with self.coming(path.name) as place:
            with whole(place) as unfinished:
                shutil.copyfile(path, unfinished)
            self.add(place.name)

    @contextlib.contextmanager
    def coming(self, name: str) -> Iterator[pathlib.Path]:
        """Where to keep a scan of such a name; nobody else is given this place meanwhile.

        Raises:
            RefusedError: it is none that can be read, or there are too many.
        """
        with self._naming:
            taken = {scan.file for scan in list(self.project.scans.values())} | self._coming
            if len(taken) >= uploads.MOST_SCANS:
                raise uploads.RefusedError(
                    f"{uploads.MOST_SCANS} scans are in this project already; remove some, or begin"
                    " another by --project"
                )
            file = uploads.kept_as(name, taken)
            self._coming.add(file)
        try:
            yield self.project.folder / "scans" / file
        finally:
            self._coming.discard(file)

    def remove(self, number: int) -> None:
        """Take a scan out of the project."""
        self.jobs.stop(number)
        for part in self.project.remove(number):
            self._after(part, True)
        self.events.changed()

    def choose(self, number: int, told: Any, besides: bool = False) -> None:
        """Take these choices in place of those before, or of the same ones alone: `besides`."""
        with self.project.changing(number) as scan:
            told = {**scan.choices, **told} if besides and isinstance(told, Mapping) else told
            anew = scan.choose(choices.checked(told, self.project.path(scan)))
            self._check_pot(scan)
        self._after(scan, anew)

    def change(self, number: int, told: Any) -> None:
        """Take these choices besides, or in place of the same ones; None takes one away."""
        self.choose(number, told, besides=True)

    def undo(self, number: int) -> None:
        """Have back the choices before the last change."""
        with self.project.changing(number) as scan:
            anew = scan.undo()
            self._check_pot(scan)
        self._after(scan, anew)

    def _check_pot(self, scan: Scan) -> None:
        """Raise ValueError where a scan is to be of one pot with itself, or with another unit's."""
        its = scan.choices.get("others", ())
        for other in self.project.scans.values():
            one_pot = other.id in its or scan.id in other.choices.get("others", ())
            if one_pot and (other is scan or other.choices.get("unit") != scan.choices.get("unit")):
                raise ValueError(f"{other.name}: {_ONE_UNIT}")

    def by_rim(self, number: int, points: Any) -> None:
        """Choose the axis by three points on the rim, in the file's unit."""
        scan = self.project.scans[number]
        if scan.look is None:
            raise ValueError("wait until the scan was read")
        axis = choices.rim_axis(points, scan.look["middle"])
        self.change(number, {"axis": axis, "rim": True})

    def take(self, number: int, other: Any) -> None:
        """Choose one of the next best places."""
        scan, places = self._placed(number)
        if not isinstance(other, int) or not 0 <= other < len(places["runner_ups"]):
            raise ValueError("there is no such place")
        taken = choices.taking(scan.choices, places["runner_ups"][other])
        if taken == scan.choices:
            raise ValueError("clear the height, the diameter and the axis first, to take this")
        self.change(number, taken)

    def flip(self, number: int) -> None:
        """Choose the other end up."""
        scan = self.project.scans[number]
        axis = scan.choices.get("axis") or self._placed(number)[1]["axis_direction"]
        self.change(number, {"axis": choices.flipped(axis)})

    def restore(self, number: int, kind: str = "restore") -> None:
        """Restore the pot with what is chosen."""
        with self.project.changing(number) as scan:
            scan.fault = None
        self._submit(kind, scan)

    def look(self, number: int) -> None:
        """Read a scan again."""
        self.restore(number, "look")

    def first_view(self, number: int) -> str:
        """The view of a pot whose files are still being made, as JSON; "" where there is none."""
        return self._first.get(number, (None, ""))[1]

    def stop(self, number: int) -> None:
        """Break off what is done for a scan."""
        self.jobs.stop(self.project.scans[number].id)

    def _placed(self, number: int) -> tuple[Scan, dict[str, Any]]:
        """A restored scan and its place in the report."""
        scan = self.project.scans[number]
        restored = self._first.get(number, (scan.restored, ""))[0]
        place = restored and restored["report"].get("placement")
        if not place:
            raise ValueError("restore the sherd first")
        return scan, place

    def _after(self, scan: Scan, anew: bool) -> None:
        """Do again what other choices change: all but the first time that it is restored."""
        if anew and scan.look is not None and scan.look["bodies"]:
            self._submit("look", scan)
        if anew and (scan.restored or self.jobs.has("restore", scan.id)):
            self._submit("restore", scan)
        self.events.changed()

    def _submit(self, kind: str, scan: Scan) -> None:
        project = self.project
        view = project.view(scan, "scan" if kind == "look" else "pot")
        path, out, others = project.path(scan), project.results(scan), project.others(scan.choices)
        job = Job(kind, scan.id, path, view, out, dict(scan.choices), others, self.language)
        self.jobs.submit(job)
        self.events.changed()

    def _told(self, job: Job, how: str, what: Any) -> None:
        """Keep what became of a job; that of a scan that was removed is nobody's."""
        if how == "first":
            self._first[job.scan] = what
        elif how not in ("step", "dropped") and job.kind == "restore":
            # Of one that was dropped another takes the place.
            self._first.pop(job.scan, None)
        try:
            if how in ("done", "failed") and job.scan in self.project.scans:
                with self.project.changing(job.scan) as scan:
                    scan.fault = what if how == "failed" else None
                    if how == "done":
                        setattr(scan, {"look": "look", "restore": "restored"}[job.kind], what)
        except (OSError, ValueError) as error:  # Told until the next start; it cannot be kept.
            self.project.scans[job.scan].fault = self.project.fault(error)
        finally:
            self.events.changed()
