"""What a pot's page says in words, as HTML: all that comes from outside is escaped."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.report import volumes
from voxgan_jax.report.page_meshes import colour_of

_CAPACITY = "Capacity to the rim"
_MEASURES = (
    ("height_mm", "Height", "mm"),
    ("rim_diameter_mm", "Rim diameter", "mm"),
    ("max_diameter_mm", "Greatest diameter", "mm"),
    ("base_diameter_mm", "Base diameter", "mm"),
    ("wall_mm", "Wall thickness", "mm"),
    ("volume_ml", "Volume of clay", "ml"),
    ("capacity_ml", _CAPACITY, "ml"),
)

_ROUND = 0.9
_SCALELESS = (".vox", ".npy", ".npz")

escape = html.escape


def share(report: Mapping[str, Any]) -> float | None:
    """The inferred share of the pot, 0 to 1; None where the report does not tell."""
    if isinstance(report.get("share_inferred"), (int, float)):
        return float(report["share_inferred"])
    given, added = report.get("given_voxels"), report.get("inferred_voxels")
    if given is None or added is None or not given + added:
        return None
    return added / (given + added)


def percent(value: float) -> str:
    """0.68 as "68 %"; never 0 or 100 for what is only near it."""
    rounded = round(100 * value)
    if rounded == 0 and value > 0:
        return "less than 1 %"
    return "more than 99 %" if rounded == 100 and value < 1 else f"{rounded} %"


def model_name(report: Mapping[str, Any]) -> tuple[str, str]:
    """The model's name and what it was trained on, empty where the report does not tell."""
    model = report.get("model") or ""
    if not isinstance(model, Mapping):
        return str(model), ""
    trained = model.get("trained_on") or model.get("training_data") or ""
    if isinstance(trained, Mapping):
        trained = trained.get("name", "")
    pots = model.get("pots")
    if trained and isinstance(pots, int):
        trained = f"{pots} pots of {trained}"
    name = str(model.get("name") or model.get("file") or "")
    return name.removesuffix(".safetensors"), str(trained)


def statement(report: Mapping[str, Any]) -> str:
    """That, and how much of it, is a guess: plain text."""
    value, (name, trained) = share(report), model_name(report)
    model = "a model" + (f" ({name})" if name else "")
    if trained:
        model += f" trained on {trained}"
    if value is None:
        return f"Part of this pot is a guess by {model}; do not cite it as a find."
    if value == 0:
        return "Nothing of this pot is inferred: all of it was given."
    amount = percent(value)
    return (
        f"{amount[0].upper()}{amount[1:]} of this pot is a guess by {model};"
        " do not cite it as a find."
    )


def shares(report: Mapping[str, Any]) -> str:
    """The bar of what is given, inferred and uncertain; uncertain voxels are inferred ones too.

    Below it, what was joined by a guess, dropped or stays apart.
    """
    counts = [report.get(f"{name}_voxels") for name in ("given", "inferred", "uncertain")]
    given, added, doubtful = (int(count or 0) for count in counts)
    total = given + added
    if not total:
        return ""
    found = {
        GIVEN: given,
        INFERRED: added - doubtful,
        UNCERTAIN: doubtful,
    }
    strip, words = "", ""
    rounded = _percents([count / total for count in found.values()])
    for (label, count), amount in zip(found.items(), rounded, strict=True):
        if count:
            colour, name = colour_of(label), escape(volumes.NAMES[label])
            strip += f'<span style="flex:{count};background:{colour}"></span>'
            words += (
                f'<li><span class="swatch" style="background:{colour}"></span>{name} {amount}</li>'
            )
    strip = f'<div class="strip" aria-hidden="true">{strip}</div>'
    note = ""
    if doubtful:
        note = '<p class="note">Uncertain: inferred, and the model is not sure of it.</p>'
    return f'<div class="share">{strip}<ul>{words}</ul>{note}{pieces(report)}</div>'


def pieces(report: Mapping[str, Any]) -> str:
    """What became of the pieces of a pot that the model made in several."""
    found = report.get("pieces") or {}
    made, left = found.get("made", 1), found.get("left", 1)
    notes = []
    if found.get("bridge_voxels"):
        notes.append(
            f"<strong>Joined by a guess:</strong> the model made this pot in {made} pieces. Between"
            f" them {percent(found['share_bridges'])} of the pot was added where the model finds a"
            " wall likeliest, drawn as uncertain; the true wall may run elsewhere."
        )
    if found.get("dropped_voxels"):
        notes.append(
            f"<strong>Left out:</strong> {percent(found['share_dropped'])} of the model's pot,"
            " which hung loose in the air or was crumbs."
        )
    if left > 1:
        notes.append(
            f"<strong>In {left} pieces:</strong> what was given touches the rest nowhere, or no"
            " likely wall leads there, so they stay apart; printed, this pot falls apart."
        )
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _percents(shares: Sequence[float]) -> list[str]:
    """Shares of one whole in per cent: those that are whole numbers make 100 together."""
    whole = [int(100 * share) for share in shares]
    order = sorted(range(len(shares)), key=lambda place: whole[place] - 100 * shares[place])
    for place in order[: 100 - sum(whole)]:
        whole[place] += 1
    pairs = zip(whole, shares, strict=True)
    return [f"{part} %" if 0 < part < 100 else percent(share) for part, share in pairs]


def number(value: float, unit: str) -> str:
    """A size with three digits at most, no finer than a tenth of a mm: "157 mm", "2.38 l"."""
    if unit == "ml" and value >= 1000:
        value, unit = value / 1000, "l"
    digits = max(0, 3 - len(str(int(abs(value)))))
    text = f"{value:,.{min(digits, 1) if unit == 'mm' else digits}f}".replace(",", " ")
    return f"{text} {unit}"


def size(value: float, unit: str, report: Mapping[str, Any]) -> str:
    """As `number`, but in voxels where no scale is known."""
    if scaled(report):
        return number(value, unit)
    if unit == "mm":
        return number(value, unit).removesuffix(unit) + "voxels"
    return f"{1000 * value:,.0f} voxels".replace(",", " ")


def measures(report: Mapping[str, Any]) -> str:
    """The measurements as a list of terms."""
    found = report.get("measures") or {}
    rows = [
        (title, size(found[key], unit, report))
        for key, title, unit in _MEASURES
        if isinstance(found.get(key), (int, float))
    ]
    # Of what is not round there is no capacity either, but no diameter to go with it.
    if found.get("max_diameter_mm") is not None and found.get("capacity_ml", 0) is None:
        rows.append((_CAPACITY, "unknown: its base has a hole"))
    value = share(report)
    if value is not None:
        rows.append(("Share inferred", percent(value)))
    if isinstance(report.get("voxel_mm"), (int, float)) and scaled(report):
        rows.append(("One voxel", number(report["voxel_mm"], "mm")))
    if not rows:
        return ""
    body = "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in rows)
    body = f'<dl class="measures">{body}</dl>'
    if found.get("rim_diameter_mm") is not None:
        body += (
            '<p class="note">Rim and base: the outer diameter where the line of the wall meets the'
            " plane of the rim, or that on which the pot stands; roundings and chamfers of up to"
            " half the wall's thickness do not make it smaller.</p>"
        )
    if found.get("round_share", 1) < _ROUND:
        body += (
            '<p class="note"><strong>Not quite round:</strong> only'
            f" {percent(found['round_share'])} of the clay lies where a turned pot would have it;"
            " the sizes and the section are those of that part.</p>"
        )
    if not scaled(report):
        body += (
            '<p class="note"><strong>No scale given; 1 voxel taken as 1 mm</strong> in the files.'
            " Give the side of a voxel by <code>--voxel-mm</code>.</p>"
        )
    return block("Measurements", body)


def scaled(report: Mapping[str, Any]) -> bool:
    """Whether the sizes are of this world: a file of voxels knows no millimetres."""
    if "scale" in report:
        return report["scale"] == "given"
    name = str((report.get("input") or {}).get("file", ""))
    told = (report.get("options") or {}).get("voxel_mm")
    return told is not None or not name.lower().endswith(_SCALELESS)


def confidence(report: Mapping[str, Any]) -> str:
    """How far to trust the answer, and why."""
    found = report.get("confidence")
    if not found:
        text = "The model was not calibrated to say how far to trust this answer."
        return block("Confidence", f'<p class="soft">{text}</p>')
    word, sentence = str(found.get("word", "")), str(found.get("sentence", ""))
    if word and sentence.startswith(f"{word}: "):
        sentence = sentence[len(word) + 2 :]
    parts = f'<p class="grade">{escape(word.capitalize())}</p>' if word else ""
    parts += f"<p>{escape(_said(sentence))}</p>"
    expected = found.get("expected_iou")
    if isinstance(expected, (int, float)):
        if "IoU" not in sentence:
            parts += f"<p>Expected IoU with the true pot {expected:.2f}.</p>"
        parts += (
            '<p class="note">IoU: what answer and true pot have in common, as a share of what'
            " either fills; 1 is the pot itself.</p>"
        )
    return block("Confidence", parts)


def _said(sentence: str) -> str:
    """With a capital and a full stop."""
    stop = "" if not sentence or sentence.endswith((".", "!", "?")) else "."
    return sentence[:1].upper() + sentence[1:] + stop


def placement(report: Mapping[str, Any]) -> str:
    """Where the sherd was placed in the pot, and where else it may have belonged."""
    found = report.get("placement")
    if not found:
        return ""
    sentence, trust = str(found.get("sentence", "")), found.get("confidence")
    parts = f"<p>{escape(_said(sentence))}</p>"
    if trust is not None and "confidence" not in sentence:
        words = percent(trust) if isinstance(trust, (int, float)) else str(trust)
        parts += f'<p class="note">Confidence of the place: {escape(words)}.</p>'
    others = "".join(
        f"<li>{escape(_said(str(other.get('sentence', other))))}</li>"
        for other in found.get("runner_ups") or ()
    )
    if others:
        parts += f'<p class="note">Next best places:</p><ol class="others note">{others}</ol>'
    return block("Place of the sherd", parts)


def missing(report: Mapping[str, Any]) -> str:
    """The missing piece in a sentence."""
    found = report.get("missing")
    if not found or not found.get("pieces"):
        return ""
    pieces = found["pieces"]
    said = "One piece" if pieces == 1 else f"{pieces} pieces"
    if "volume_mm3" in found:
        said += f" of {size(found['volume_mm3'] / 1000, 'ml', report)}"
    unit = "mm" if scaled(report) else "voxels"
    if "gap_mm" in found:
        said += f", nowhere nearer to the original than {found['gap_mm']:.2f} {unit}"
    if "clearance_mm" in found:
        said += f" ({found['clearance_mm']:g} {unit} were asked for)"
    return block("Missing piece", f"<p>{escape(said)}.</p>")


def block(title: str, body: str, name: str = "") -> str:
    """A part of the page under a heading; `body` is HTML."""
    return f'<section class="block {name}"><h2>{escape(title)}</h2>{body}</section>'
