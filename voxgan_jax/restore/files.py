"""Which files are meant, and which are finished already."""

import glob
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from voxgan_jax.report.record import Report
from voxgan_jax.restore import naming
from voxgan_jax.scan import formats, source

_OURS = ("_completed", "_missing")
"""How the names of our own results end; a folder of results is no folder of sherds."""


def collect(inputs: Iterable[str | pathlib.Path]) -> dict[pathlib.Path, str]:
    """The files that are meant by files, folders and globs, each once, a folder's by name.

    Of a folder its own files whose ending is one of `scan.formats.FORMATS`; what `voxgan complete`
    wrote there is left out, and so are hidden files. A name that is neither a file nor a folder is
    taken as a glob (`**` goes into subfolders).

    Returns:
        The files, and what the results of each are called (`naming.names`).

    Raises:
        FileNotFoundError: no such file, or a folder or glob without one.
    """
    found: dict[str, tuple[pathlib.Path, pathlib.PurePath]] = {}
    for given in inputs:
        path, above = pathlib.Path(given), pathlib.Path(given)
        if path.is_dir():
            inside = [entry for entry in sorted(path.iterdir()) if _is_sherd(entry)]
            if not inside:
                known = ", ".join(formats.FORMATS)
                raise FileNotFoundError(
                    f"{path}: no sherd in this folder ({known}); to look into its subfolders,"
                    f' give "{path / "**" / "*"}"'
                )
        elif not path.exists() and glob.has_magic(str(given)):
            entries = sorted(glob.glob(str(given), recursive=True))
            inside = [entry for entry in map(pathlib.Path, entries) if _is_sherd(entry)]
            if not inside:
                raise FileNotFoundError(f"{given}: no sherd's file has such a name")
            plain = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
            above = pathlib.Path(*plain)
        else:
            # A missing file is reported with the others, so that they are completed.
            inside, above = [path], path.parent
        for entry in inside:
            found.setdefault(os.path.abspath(entry), (entry, entry.relative_to(above)))
    return naming.names(dict(found.values()))


def _is_sherd(path: pathlib.Path) -> bool:
    known = path.suffix.lower() in formats.FORMATS
    hidden = path.name.startswith(".")
    ours = path.stem.endswith(_OURS) or "_hypothesis" in path.stem
    return known and not hidden and not ours and path.is_file()


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a report as they come back from JSON: those that were given."""
    # By identity: 0 is a threshold, though it equals False.
    given = {name: kept for name, kept in options.items() if kept is not None and kept is not False}
    return json.loads(json.dumps(given))


def finished(
    names: Mapping[pathlib.Path, str], out_dir: pathlib.Path, about: Mapping[str, Any]
) -> dict[pathlib.Path, Report]:
    """The reports of files that an earlier run completed, by the same model with the same options.

    A file is not among them where anything differs, or where a file that its report names has gone.
    `NAME.json` is written last, so all else was written too.

    Args:
        names: what the results of each file are called, without what follows its name.
        about: `model`, `options` and `version` as the report must have them.
    """
    reports = {path: _finished(path, out_dir / name, about) for path, name in names.items()}
    return {path: report for path, report in reports.items() if report}


def _finished(path: pathlib.Path, stem: pathlib.Path, about: Mapping[str, Any]) -> Report | None:
    others = sorted(stem.parent.glob(f"{glob.escape(stem.name)}_fragment*.json"))
    for target in (stem.with_name(f"{stem.name}.json"), *others):
        try:
            report = json.loads(target.read_text(encoding="utf-8"))
            same = all(report.get(key) == value for key, value in about.items())
            same = same and report["input"] == source.load(path)[1]
            if same and all((target.parent / made).is_file() for made in report["files"]):
                return Report.from_json(report)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None
