"""The lists of a pot's page, as HTML: hypotheses, limits, files, options. All is escaped."""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from voxgan_jax.report.page_meshes import hypothesis_colour
from voxgan_jax.report.page_text import block, escape, percent, size

_FILES = (
    ("_completed.vox", "the whole pot in voxels, MagicaVoxel"),
    ("_completed.stl", "the whole pot, watertight, in mm"),
    ("_completed.glb", "the whole pot in colours, in metres"),
    ("_missing.stl", "the missing piece, to print, in mm"),
    ("_section.svg", "the drawing, in mm"),
    (".json", "this report for machines"),
    (".stl", "another possible pot, in mm"),
)


def hypotheses(report: Mapping[str, Any]) -> str:
    """The other pots that the sherd may come from, with their main measures."""
    rows = ""
    for index, other in enumerate(report.get("hypotheses") or ()):
        found, chance = other.get("measures") or {}, other.get("share")
        words = [
            f"{title} {size(found[key], unit, report)}"
            for key, title, unit in (
                ("height_mm", "height", "mm"),
                ("rim_diameter_mm", "rim", "mm"),
                ("capacity_ml", "holds", "ml"),
            )
            if isinstance(found.get(key), (int, float))
        ]
        if isinstance(chance, (int, float)):
            words.append(f"likelihood {percent(chance)}")
        rows += (
            f'<li><span class="swatch" style="background:{hypothesis_colour(index)}"></span>'
            f"Hypothesis {index + 1}<span>{escape(', '.join(words))}</span></li>"
        )
    if not rows:
        return ""
    return block("Other possible pots", f'<ul class="files">{rows}</ul>')


def limits(report: Mapping[str, Any]) -> str:
    """What no answer of the model tells."""
    model = report.get("model")
    found = model.get("limits") if isinstance(model, Mapping) else None
    if not found or isinstance(found, str):
        return ""
    rows = "".join(f"<li>{escape(str(limit))}</li>" for limit in found)
    return block("What to keep in mind", f'<ul class="limits">{rows}</ul>')


def files(names: Sequence[str]) -> str:
    """Links to the files beside the page."""
    rows = ""
    for name in names:
        about = next((text for end, text in _FILES if name.endswith(end)), "")
        link = escape("./" + urllib.parse.quote(name))
        rows += f'<li><a href="{link}" download>{escape(name)}</a><span>{escape(about)}</span></li>'
    if not rows:
        return ""
    return block("Files", f'<ul class="files">{rows}</ul>', "files-block")


def details(report: Mapping[str, Any]) -> str:
    """Everything that is needed to do it again: model, version, input, options."""
    rows = [("voxgan_jax", str(report.get("version", "not told")))]
    model = report.get("model", "not told")
    if isinstance(model, Mapping):
        model = {name: value for name, value in model.items() if name != "limits"}
    rows += _flat("Model", model)
    rows += _flat("Input", report.get("input") or {})
    rows += _flat("Option", report.get("options") or {})
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (
        "<details open><summary>Model, input and options</summary>"
        f'<table aria-label="Model, input and options"><tbody>{body}</tbody></table></details>'
    )


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """A nested value as rows of names and texts."""
    if isinstance(value, Mapping):
        return [
            row
            for key, inner in value.items()
            for row in _flat(f"{name}: {str(key).replace('_', ' ')}", inner)
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, ", ".join(map(str, value)) or "none")]
    if isinstance(value, bool):
        return [(name, "yes" if value else "no")]
    return [(name, "default" if value is None else str(value))]
