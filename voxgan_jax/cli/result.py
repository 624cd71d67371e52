"""What `voxgan complete` says about one result: a few lines for people, or one JSON object."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxgan_jax.restore import batch


def as_json(result: "batch.Result") -> str:
    """All that is known of it, in one line."""
    written, completion = result.written, result.completion
    report, trust = written.report, completion.confidence
    said = {
        "file": str(written.paths[0]),
        "files": [str(path) for path in written.paths],
        "given": report["given_voxels"],
        "inferred": report["inferred_voxels"],
        "left_out": completion.left_out,
        "shift": completion.shift,
        "volume_mm3": round(written.volume_mm3, 3),
        "missing_mm3": round(written.missing_mm3, 3),
        "gap_mm": round(written.gap_mm, 3),
        "pieces": written.pieces,
        "joined": report["pieces"],
        "confidence": trust and trust._asdict(),
        "scale": report["scale"],
        "measures": report["measures"],
        "placement": report["placement"],
        "hypotheses": report["hypotheses"],
    }
    return json.dumps(said, ensure_ascii=False)


def in_words(result: "batch.Result") -> str:
    """Where it is, how far to trust it, how it lies, what is missing; the page first."""
    from voxgan_jax.report import page_text

    written, completion = result.written, result.completion
    report, trust = written.report, completion.confidence
    given, inferred = report["given_voxels"], report["inferred_voxels"]
    page = [path for path in written.paths if path.suffix == ".html"]
    lines = [f"{(page or written.paths)[0]}: {given} voxels given, {inferred} inferred"]
    if trust:
        lines.append(f"confidence {trust.sentence}")
    if report["placement"]:
        lines.append(report["placement"]["sentence"])
    lines += _joined(report["pieces"] or {})
    if report["hypotheses"]:
        likely = ", ".join(f"{100 * other['share']:.0f} %" for other in report["hypotheses"])
        lines.append(f"other pots that it may come from, and how likely: {likely}")
    if written.pieces:
        bodies = "one piece" if written.pieces == 1 else f"{written.pieces} pieces"
        volume = page_text.number(written.missing_mm3 / 1000, "cm³")
        lines.append(
            f"missing: {bodies} of {volume}, {written.gap_mm:.2f} mm or more from the original"
        )
    if report["scale"] != "given":
        lines.append(f"{report['scale']} (see --voxel-mm)")
    if completion.left_out:
        lines.append(f"{completion.left_out} outside the file's box left out (see --whole_cube)")
    if any(completion.shift):
        lines.append(f"coordinates moved by {completion.shift} (x, y, z)")
    return "\n  ".join(lines)


def _joined(found: Mapping[str, Any]) -> list[str]:
    """What was done where the model made the pot in several pieces."""
    from voxgan_jax.report import page_text

    lines = []
    if found.get("bridge_voxels"):
        share = page_text.percent(found["share_bridges"])
        lines.append(f"joined by a guess: {share} of the pot bridges its {found['made']} pieces")
    if found.get("left", 1) > 1:
        lines.append(f"in {found['left']} pieces that no likely wall joins")
    return lines
