"""A project: a folder with scans, what was chosen for each, and what came of it.

`project.json` is written whole at each change; whoever opens the folder later finds all as it was.

    project.json   scans and choices
    scans/         the scans, as they were sent
    views/         what the page shows in 3D
    results/NAME/  the files of a restored pot
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from voxgan_jax.app import choices
from voxgan_jax.files import OWN, is_full, key, write_whole
from voxgan_jax.language import told
from voxgan_jax.report import loose_sherds, sentences
from voxgan_jax.scan.pose import Loose

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

VERSION = 1
_MOST_UNDONE = 50
_FORM = json.loads(pathlib.Path(__file__).with_name("project.schema.json").read_bytes())
_FOLDERS = ("scans", "views", "results")


@dataclasses.dataclass
class Scan:
    """A scan of a project.

    `file`: its name in `scans`. `look`: what is known of it once it was looked at (`work.look`).
    `restored`: what came of it last, and of which choices (`work.restore`). `before`: the choices
    that can be had back, the last one last. `fault`: why what was asked last could not be done.
    """

    id: int
    file: str
    choices: dict[str, Any] = dataclasses.field(default_factory=dict)
    before: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    look: dict[str, Any] | None = None
    restored: dict[str, Any] | None = None
    fault: str | None = None

    @property
    def name(self) -> str:
        """What it and its results are called."""
        return pathlib.PurePath(self.file).stem

    def choose(self, told: dict[str, Any]) -> bool:
        """Take other choices, which can be undone; False where they are the same."""
        if told == self.choices:
            return False
        self.before = [*self.before, self.choices][-_MOST_UNDONE:]
        self.choices, self.fault = told, None
        return True

    def undo(self) -> bool:
        """Have back what was chosen before; False where nothing was."""
        if not self.before:
            return False
        self.choices, self.before, self.fault = self.before[-1], self.before[:-1], None
        return True


def _foreign(path: pathlib.Path) -> bool:
    """Whether it is none of a project that was only begun, and not hidden."""
    own = path.name in _FOLDERS and path.is_dir() and not any(path.iterdir())
    return not own and not path.name.startswith(".")


class Project:
    """An open project. Its methods may be called by several threads.

    Raises:
        ValueError: the folder holds another thing, or a project that is open elsewhere.
        OSError: it cannot be made or written.
    """

    def __init__(self, folder: str | pathlib.Path):
        self.folder = pathlib.Path(folder)
        self._lock = threading.RLock()
        self.scans: dict[int, Scan] = {}
        self.language: str | None = None  # That was chosen for the page.
        self._last = 0
        unknown = self.folder.is_dir() and not self._file.is_file()
        if unknown and any(map(_foreign, self.folder.iterdir())):
            raise ValueError(
                f"{self.folder}: a folder that holds other things, and no project.json; name"
                " another by --project"
            )
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            for place in (self.folder / name, *(self.folder / name).rglob("*")):
                if place.is_symlink():
                    raise ValueError(f"{place}: a link; put what it leads to in its place")
        self._open = self._held()
        try:
            for left in self.folder.rglob(f"{OWN}*.tmp"):  # Of an end in the midst of writing.
                left.unlink()
            self._load() if self._file.is_file() else self.save()
        except BaseException:
            self.close()
            raise

    @property
    def _file(self) -> pathlib.Path:
        return self.folder / "project.json"

    def _held(self) -> Any:
        """The project's lock, which goes with this process; two would undo each other's work."""
        if fcntl is None:
            return None
        file = open(self.folder / ".lock", "w")  # noqa: SIM115 - held as long as the project
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise ValueError(
                f"{self.folder}: this project is open in another voxgan app; go on there, or end it"
            ) from error
        return file

    def close(self) -> None:
        """Let others open it."""
        if self._open:
            self._open.close()

    def _load(self) -> None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # It can be kept again.
            for wrong in jsonschema.Draft202012Validator(_FORM).iter_errors(found):
                raise ValueError(f"{wrong.json_path}: {wrong.message[:99]}")
            scans = [Scan(**entry) for entry in found["scans"]]
            self.scans = {int(scan.id): scan for scan in scans}
            self._last = max(int(found["last"]), *self.scans, 0)
            if len({key(scan.name) for scan in scans} | self.scans.keys()) < 2 * len(scans):
                raise ValueError("two scans have one number or name")
            self.language = found.get("language")
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"{self._file}: not a project of this version of voxgan ({error}); name another"
                " folder by --project"
            ) from error

    def save(self) -> None:
        """Write it as it is now."""
        with self._lock:
            scans = [dataclasses.asdict(scan) for scan in self.scans.values()]
        said = {"version": VERSION, "last": self._last, "language": self.language, "scans": scans}
        text = json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(self._file, text + "\n")

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Within, change what is kept, alone; if it cannot be saved, all is as it was before."""
        with self._lock:
            about = self.scans.copy(), self._last, self.language
            before = [(scan, vars(scan).copy()) for scan in self.scans.values()]
            try:
                yield
                self.save()
            except BaseException:
                self.scans, self._last, self.language = about
                for scan, was in before:
                    vars(scan).update(was)
                raise

    @contextlib.contextmanager
    def changing(self, number: int) -> Iterator[Scan]:
        """A scan to be changed, by `keeping`; KeyError where there is no such one, or no longer."""
        with self.keeping():
            yield self.scans[number]

    def add(self, file: str) -> Scan:
        """A scan that lies in `scans` now; if that cannot be kept, it lies there no longer."""
        try:
            with self.keeping():
                self._last += 1
                scan = self.scans[self._last] = Scan(self._last, file)
                return scan
        except BaseException:
            (self.folder / "scans" / file).unlink(missing_ok=True)
            raise

    def remove(self, number: int) -> list[Scan]:
        """Forget a scan, delete its files; returns those of whose pots it was a sherd until now."""
        with self.keeping():
            scan = self.scans.pop(number)
            parts = [one for one in self.scans.values() if number in one.choices.get("others", ())]
            for one in self.scans.values():
                kept = [choices.without(each, number) for each in (*one.before, one.choices)]
                *one.before, one.choices = kept
        self.path(scan).unlink(missing_ok=True)
        for kind in ("scan", "pot"):
            self.view(scan, kind).unlink(missing_ok=True)
        shutil.rmtree(self.results(scan), ignore_errors=True)
        return parts

    def fault(self, error: Exception) -> str:
        """Why something could not be kept, and what to do."""
        remedy = "make room on the disk" if is_full(error) else "look after this folder"
        return f"{self.folder}: {getattr(error, 'strerror', 0) or error}; {remedy}, and try again"

    def path(self, scan: Scan) -> pathlib.Path:
        """Where a scan's file is."""
        return self.folder / "scans" / scan.file

    def others(self, chosen: dict[str, Any]) -> tuple[pathlib.Path, ...]:
        """The files of the other sherds of a pot; those that were removed are none."""
        numbers = [number for number in chosen.get("others", ()) if number in self.scans]
        return tuple(self.path(self.scans[number]) for number in numbers)

    def view(self, scan: Scan, kind: str) -> pathlib.Path:
        """Where what is shown of it in 3D is: of the scan, or of the restored pot."""
        return self.folder / "views" / f"{scan.id}-{kind}.json"

    def results(self, scan: Scan) -> pathlib.Path:
        """The folder of the files of its restored pot."""
        return self.folder / "results" / scan.name

    def files(self, scan: Scan) -> dict[str, pathlib.Path]:
        """Those files by their names; no others of that folder."""
        names = scan.restored["files"] if scan.restored else ()
        return {name: self.results(scan) / name for name in names}

    def told(self, first: Mapping[int, dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """What the page is told of every scan, sentences in the language that is spoken.

        Args:
            first: the pots that are still being made (`work.restore`), by the scans' numbers: they
                are told of in place of what is kept.
        """
        with self._lock:
            return [self._told(scan, (first or {}).get(scan.id)) for scan in self.scans.values()]

    def _told(self, scan: Scan, first: dict[str, Any] | None) -> dict[str, Any]:
        restored = first or scan.restored or {"choices": scan.choices, "report": {}}
        made = restored["choices"]  # They give the files that are there.
        lang = restored["report"].get("options", {}).get("lang", "")
        sherds = tuple(Loose(**sherd) for sherd in restored["report"].get("sherds") or ())
        loose = map(sentences.said, loose_sherds.sentences(sherds))
        shown = ("id", "name", "file", "choices", "look")
        return {name: getattr(scan, name) for name in shown} | {
            "restored": first or scan.restored,
            "first": bool(first),
            "fault": scan.fault and told(scan.fault),
            "undoable": bool(scan.before),
            "command": choices.command(made, self.path(scan), self.others(made), lang),
            "notes": [told(note) for note in (scan.look or {}).get("notes", ())],
            "loose": [told(text) for text in loose],
            "warnings": [told(text) for text in restored["report"].get("warnings") or ()],
        }
