"""What `voxgan complete` says about one result: a few lines for people, or one JSON object."""

import json
from typing import TYPE_CHECKING

from voxgan_jax.files import readable

if TYPE_CHECKING:
    from voxgan_jax.restore import batch

_MEASURED = ("volume_mm3", "missing_mm3", "gap_mm")
_REPORTED = ("confidence", "scale", "measures", "placement", "hypotheses")


def as_json(result: "batch.Result") -> str:
    """All that is known of it, in one line."""
    written, completion = result.written, result.completion
    report = written.report.to_json()
    said = {
        "file": str(written.paths[0]),
        "files": [str(path) for path in written.paths],
        **{name: report[f"{name}_voxels"] for name in ("given", "inferred", "left_out")},
        "shift": completion.shift,
        **{name: round(getattr(written, name), 3) for name in _MEASURED},
        "pieces": written.pieces,
        "missing_why": written.report.missing_why,
        "joined": report["pieces"],
        **{name: report[name] for name in _REPORTED},
        "warnings": report.get("warnings", []),
        "scan": report.get("scan"),
        "sherds": report.get("sherds"),
    }
    return readable(json.dumps(said, ensure_ascii=False))


def in_words(result: "batch.Result") -> str:
    """Where it is, how far to trust it, how it lies, what is missing; the page first."""
    from voxgan_jax.report import loose_sherds, sentences

    written, shift = result.written, result.completion.shift
    report = written.report
    page = [path for path in written.paths if path.suffix == ".html"]
    lines = [
        f"{(page or written.paths)[0]}: {report.given_voxels} voxels given,"
        f" {report.inferred_voxels} inferred"
    ]
    if report.confidence:
        lines.append(f"confidence {report.confidence.sentence}")
    lines += [f"WARNING: {warning}" for warning in report.warnings or ()]
    lines += loose_sherds.sentences(report.sherds)
    if report.placement:
        lines.append(report.placement.sentence)
    lines += report.scan.notes if report.scan else ()
    joined = report.pieces
    if joined and joined.bridge_voxels:
        share = sentences.percent(joined.share_bridges)
        lines.append(f"joined by a guess: {share} of the pot bridges its {joined.made} pieces")
    if joined and joined.floor_voxels:
        lines.append("the floor had a hole, which was closed by a guess")
    if joined and joined.open_floor:
        lines.append("the floor is open")
    if joined and joined.left > 1:
        lines.append(f"in {joined.left} pieces that no likely wall joins")
    if report.hypotheses:
        likely = ", ".join(f"{100 * other.share:.0f} %" for other in report.hypotheses)
        lines.append(f"other pots that it may come from, and how likely: {likely}")
    if written.pieces:
        bodies = "one piece" if written.pieces == 1 else f"{written.pieces} pieces"
        volume = sentences.number(written.missing_mm3 / 1000, "cm³")
        lines.append(
            f"missing: {bodies} of {volume}, {written.gap_mm:.2f} mm or more from the original"
        )
        lines += [f"  {caution}" for caution in sentences.cautions(report)]
    if report.missing_why:
        lines.append(f"no missing piece: {report.missing_why}")
    if not report.scaled:
        lines.append(f"{report.scale} (see --voxel-mm)")
    if report.left_out_voxels:
        left = report.left_out_voxels
        lines.append(f"{left} outside the file's box left out (see --whole-cube)")
    if any(shift):
        lines.append(f"coordinates moved by {shift} (x, y, z)")
    return "\n  ".join(map(readable, lines))
