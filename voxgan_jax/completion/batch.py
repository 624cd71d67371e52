"""Many sherds at once: which files are meant, which are done already, and the overview of all."""

import csv
import glob
import hashlib
import io
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxgan_jax.completion import scans
from voxgan_jax.whole import write_whole

INDEX, SUMMARY = "index.html", "summary.csv"

_OURS = ("_completed", "_missing")
"""How the names of our own results end; a folder of results is no folder of sherds."""

_MEASURES = (
    "height_mm",
    "max_diameter_mm",
    "rim_diameter_mm",
    "base_diameter_mm",
    "wall_mm",
    "volume_ml",
    "capacity_ml",
)


def collect(inputs: Iterable[str | pathlib.Path]) -> list[pathlib.Path]:
    """The files that are meant by files, folders and globs, each once, a folder's by name.

    Of a folder its own files whose ending is one of `scans.MESHES` or `scans.GRIDS`; what
    `voxgan complete` wrote there is left out, and so are hidden files. A name that is neither a
    file nor a folder is taken as a glob (`**` goes into subfolders).

    Raises:
        FileNotFoundError: no such file, or a folder or glob without one.
        ValueError: two files of one name, whose results would be written to one.
    """
    found: dict[pathlib.Path, None] = {}
    for given in inputs:
        path = pathlib.Path(given)
        if path.is_dir():
            inside = [entry for entry in sorted(path.iterdir()) if _is_sherd(entry)]
            if not inside:
                known = ", ".join((*scans.GRIDS, *scans.MESHES))
                raise FileNotFoundError(f"{path}: no sherd in this folder ({known})")
        elif not path.exists() and glob.has_magic(str(given)):
            names = sorted(glob.glob(str(given), recursive=True))
            inside = [entry for entry in map(pathlib.Path, names) if _is_sherd(entry)]
            if not inside:
                raise FileNotFoundError(f"{given}: no sherd's file has such a name")
        else:
            # A missing file is reported with the others, so that they are completed.
            inside = [path]
        found.update(dict.fromkeys(inside))
    names = [path.stem for path in found]
    doubles = sorted({str(path) for path in found if names.count(path.stem) > 1})
    if doubles:
        raise ValueError(f"these would be written to one file: {', '.join(doubles)}; rename one")
    return list(found)


def _is_sherd(path: pathlib.Path) -> bool:
    known = path.suffix.lower() in (*scans.MESHES, *scans.GRIDS)
    hidden = path.name.startswith(".")
    ours = path.stem.endswith(_OURS) or "_hypothesis" in path.stem
    return known and not hidden and not ours and path.is_file()


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a report as they come back from JSON: those that were given."""
    # By identity: 0 is a threshold, though it equals False.
    given = {name: value for name, value in options.items() if value is not None}
    return json.loads(json.dumps({n: value for n, value in given.items() if value is not False}))


def fingerprint(path: str | pathlib.Path) -> dict[str, Any]:
    """What `input` of a report says: the file's name, size and sha256.

    Raises:
        OSError: it cannot be read.
    """
    data = pathlib.Path(path).read_bytes()
    return {
        "file": pathlib.Path(path).name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def finished(
    path: pathlib.Path, out_dir: pathlib.Path, about: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The report of an earlier run on the same file, by the same model with the same options.

    None where there is none, where a file that it names has gone, or where anything differs.
    `NAME.json` is written last, so all else was written too.

    Args:
        about: `model` and `options` as the report must have them.
    """
    name = glob.escape(path.stem)
    for target in (out_dir / f"{path.stem}.json", *sorted(out_dir.glob(f"{name}_fragment*.json"))):
        try:
            report = json.loads(target.read_text(encoding="utf-8"))
            same = all(report.get(key) == value for key, value in about.items())
            same = same and report["input"] == fingerprint(path)
            if same and all((out_dir / made).is_file() for made in report["files"]):
                return report
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def write_overview(
    out_dir: pathlib.Path,
    done: Sequence[Mapping[str, Any]],
    errors: Mapping[str, str],
) -> list[pathlib.Path]:
    """Write `index.html` and `summary.csv` of these reports and of the files that failed.

    Args:
        done: reports as in `NAME.json`.
        errors: by the file's name.
    """
    from voxgan_jax.completion import index_page

    rows: list[dict[str, Any]] = []
    for report in done:
        drawing = out_dir / f"{report['name']}_section.svg"
        page = out_dir / f"{report['name']}.html"
        rows.append(
            {
                "name": report["name"],
                "page": page.name if page.is_file() else "",
                "drawing": drawing.read_text(encoding="utf-8") if drawing.is_file() else "",
                "report": dict(report),
            }
        )
    rows += [{"name": name, "error": error} for name, error in errors.items()]
    index_page.index_page(out_dir / INDEX, rows)
    write_whole(out_dir / SUMMARY, summary(done, errors))
    return [out_dir / INDEX, out_dir / SUMMARY]


def summary(done: Sequence[Mapping[str, Any]], errors: Mapping[str, str]) -> str:
    """One line a file, as CSV: what was measured, or why it failed."""
    columns = (
        "name",
        "input",
        *_MEASURES,
        "share_inferred",
        "missing_mm3",
        "confidence",
        "expected_iou",
        "error",
    )
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    for report in done:
        trust, missing = report.get("confidence") or {}, report.get("missing") or {}
        measures = report.get("measures") or {}
        table.writerow(
            {
                "name": report["name"],
                "input": (report.get("input") or {}).get("file", ""),
                **{name: _number(measures.get(name)) for name in _MEASURES},
                "share_inferred": _number(report.get("share_inferred")),
                "missing_mm3": _number(missing.get("volume_mm3")),
                "confidence": trust.get("word", ""),
                "expected_iou": _number(trust.get("expected_iou")),
            }
        )
    for name, error in errors.items():
        table.writerow({"name": pathlib.Path(name).stem, "input": name, "error": error})
    return text.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
