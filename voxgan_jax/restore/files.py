"""Which files are meant, which are finished already, and which have no place for their results."""

import functools
import glob
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from voxgan_jax import ledger
from voxgan_jax.report.record import Report
from voxgan_jax.restore import faults, naming
from voxgan_jax.scan import formats, source

_OURS = re.compile(r".*_(completed|missing(_upright|_\d)?|hypothesis\d+)\.\w+")
"""What our own results are called; a folder of results is no folder of sherds."""

_NAMED = 5
"""So many of the files that are left out of a folder are named."""


def collect(
    inputs: Iterable[str | pathlib.Path],
    tell: Callable[[str], None] | None = None,
    wrong: dict[pathlib.Path, Exception] | None = None,
) -> dict[pathlib.Path, str]:
    """The files that are meant by files, folders and globs, each once, a folder's by name.

    Of a folder its own files whose ending is one of `scan.formats.FORMATS`; what `voxgan complete`
    wrote there is left out, and so are hidden files. A name that is neither a file nor a folder is
    taken as a glob (`**` goes into subfolders, but neither through links nor into hidden ones).

    Args:
        tell: is told, in a line for each folder, which of its files are left out.
        wrong: gets what is wrong with an input that means no file; without it, that is raised.

    Returns:
        The files, and what the results of each are called (`naming.names`).

    Raises:
        FileNotFoundError: no such file, or a folder or glob without one.
    """
    found: dict[str, tuple[pathlib.Path, pathlib.PurePath]] = {}
    for given in inputs:
        try:
            inside, above = _meant(given, tell)
        except OSError as error:
            if wrong is None:
                raise
            wrong[pathlib.Path(given)] = faults.of_file(given or "''", error)
            continue
        for entry in inside:
            found.setdefault(os.path.abspath(entry), (entry, entry.relative_to(above)))
    return naming.names(dict(found.values()))


def _meant(
    given: str | pathlib.Path, tell: Callable[[str], None] | None
) -> tuple[list[pathlib.Path], pathlib.Path]:
    """The files that an input means, and the folder from which their names count; of what it means
    in its words, but is no sherd, some is named."""
    path = pathlib.Path(given)
    if not str(given):
        raise FileNotFoundError("'' names no file; name a file, a folder or a glob")
    if path.is_dir():
        above, entries = path, set(path.iterdir())
        known, deeper = ", ".join(formats.FORMATS), path / "**" / "*"
        none = f'no sherd in this folder ({known}); to look into its subfolders, give "{deeper}"'
    elif path.exists() or not glob.has_magic(str(given)):
        # A missing file is reported with the others, so that they are completed.
        return [path], path.parent
    else:
        plain = next(n for n, part in enumerate(path.parts) if glob.has_magic(part))
        above = pathlib.Path(*path.parts[:plain])
        entries = _below(above, path.parts[plain:])
        none = "no sherd's file has such a name"
    inside = sorted(filter(_is_sherd, entries))
    if not inside:
        raise FileNotFoundError(f"{given}: {none}")
    others = (path for path in entries - {*inside} if path.is_file() and path.name != ledger.LIST)
    left = sorted(path.name for path in others)
    if left and tell:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        tell(f"{given}: left out, as they are no sherds: {', '.join(left[:_NAMED])}{more}")
    return inside, above


def _below(above: pathlib.Path, parts: Sequence[str]) -> set[pathlib.Path]:
    """What a glob finds below a folder, but nothing in a hidden folder."""
    # By `**` `Path.glob`, unlike `glob.glob`, goes through no link; some lead round for ever.
    pattern = "/".join(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts)
    found = {path: path.relative_to(above).parts for path in above.glob(pattern)}
    return {path for path, inner in found.items() if not any(part[0] == "." for part in inner[:-1])}


def _is_sherd(path: pathlib.Path) -> bool:
    known = path.suffix.lower() in formats.FORMATS
    hidden = path.name.startswith(".")
    return known and not hidden and not _OURS.fullmatch(path.name) and path.is_file()


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a report as they come back from JSON: those that were given."""
    # By identity: 0 is a threshold, though it equals False.
    said = {**options, "lang": options.get("lang") if options.get("lang") != "en" else None}
    given = {name: kept for name, kept in said.items() if kept is not None and kept is not False}
    return json.loads(json.dumps(given))


def named(paths: Iterable[pathlib.Path]) -> list[str] | None:
    """Files by their names and the beginnings of their digests, as a report's options tell them;
    None for no file at all.

    Raises:
        FileNotFoundError, ScanError: of one that cannot be read.
    """
    told = [source.load(path)[1] for path in paths]
    return [f"{about['file']} {about['sha256'][:12]}" for about in told] or None


def taken(
    names: Mapping[pathlib.Path, str],
    out_dir: pathlib.Path,
    formats: Sequence[str],
    hypotheses: int,
    **how: Any,
) -> dict[pathlib.Path, Exception]:
    """The files in the place of whose results others lie that must stay, and what to say of each.

    Args:
        names: what the results of each file are called.
        how: `inputs` and `overwrite` of `ledger.refuse`.

    Raises:
        OSError: nothing at all can be written to `out_dir`.
    """
    ledger.ready(out_dir)
    ready = functools.cache(ledger.ready)

    def refuse(folder: pathlib.Path, results: Sequence[str]) -> None:
        ready(folder)
        ledger.refuse(folder, results, **how)

    wrong = {}
    for path, name in names.items():
        stem = out_dir / name
        results = naming.results(stem.name, formats, hypotheses)
        wrong[path] = faults.guarded(path, refuse, stem.parent, results)
    return {path: error for path, error in wrong.items() if error}


def finished(
    names: Mapping[pathlib.Path, str], out_dir: pathlib.Path, about: Mapping[str, Any]
) -> dict[pathlib.Path, Report]:
    """The reports of files that an earlier run completed, by the same model with the same options.

    A file is not among them where anything differs or is wrong with what lies there: a report that
    is none, or a file that it names and that has gone or is not as it was written.

    Args:
        names: what the results of each file are called, without what follows its name.
        about: `model`, `options` and `version` as the report must have them.
    """
    known = functools.cache(ledger.listed)
    found = {path: _finished(path, out_dir, name, about, known) for path, name in names.items()}
    return {path: report for path, report in found.items() if report}


def _finished(
    path: pathlib.Path,
    out_dir: pathlib.Path,
    name: str,
    about: Mapping[str, Any],
    known: Callable[[pathlib.Path], Mapping[str, Sequence[str]]],
) -> Report | None:
    folder, stem = (out_dir / name).parent, (out_dir / name).name
    others = sorted(folder.glob(f"{glob.escape(stem)}_fragment*.json"))
    for target in (folder / f"{stem}.json", *others):
        try:
            found = json.loads(target.read_text(encoding="utf-8"))
            report = Report.from_json(found)
            same = all(found.get(key) == value for key, value in about.items())
            same = same and found["input"] == source.load(path)[1]
            same = same and out_dir / report.name == target.with_suffix("")
            made = [*(report.files or ()), target.name]
            if same and ledger.intact(folder, made, known(folder)):
                return report
        except Exception:  # Whatever somebody made of it: it is not finished.
            continue
    return None
