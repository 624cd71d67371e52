"""What a report says, in words and numbers: plain text, which a template marks up and escapes."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from voxgan_jax.drawing.measures import Measures
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.report import meshes
from voxgan_jax.report.missing_piece import THIN
from voxgan_jax.report.record import Hypothesis, Place, Report

_CAPACITY = "Capacity to the rim"

_ROUND_ENOUGH = 0.9
"""A pot of which a lower share of the clay lies where a turned pot would have it is not round."""

_WORTH_SAYING = 0.01
"""Less than this share of thin, undercut or overhanging surface is not told in words."""

_ALONG = 0.25
"""A direction of length 1 runs along a coordinate where it has more than this of it."""

_FILES = (
    ("_completed.vox", "the whole pot in voxels, MagicaVoxel"),
    ("_completed.stl", "the whole pot, watertight, in mm"),
    ("_completed.glb", "the whole pot in colours, in metres"),
    ("_missing.stl", "the missing piece, to print, in mm"),
    ("_missing_upright.stl", "the missing piece as it stands on the printer's bed, z up, in mm"),
    ("_section.svg", "the drawing, in mm"),
    ("_missing_1.stl", "a part of the missing piece, to print, in mm"),
    (".json", "this report for machines"),
    (".stl", "another possible pot, in mm"),
)


class Share(NamedTuple):
    """A kind of voxels: its label, what it is called, how many of them, their percentage."""

    label: int
    name: str
    voxels: int
    percent: str


def percent(value: float) -> str:
    """0.68 as "68 %"; never 0 or 100 for what is only near it."""
    rounded = round(100 * value)
    if rounded == 0 and value > 0:
        return "less than 1 %"
    return "more than 99 %" if rounded == 100 and value < 1 else f"{rounded} %"


def number(value: float, unit: str) -> str:
    """A size with three digits at most, no finer than a tenth of a mm: "157 mm", "2.38 l"."""
    if unit == "ml" and value >= 1000:
        value, unit = value / 1000, "l"
    digits = max(0, 3 - len(str(int(abs(value)))))
    text = f"{value:,.{min(digits, 1) if unit == 'mm' else digits}f}".replace(",", " ")
    return f"{text} {unit}"


def size(value: float, unit: str, scaled: bool) -> str:
    """As `number`, but in voxels where no scale is known."""
    if scaled:
        return number(value, unit)
    if unit == "mm":
        return number(value, unit).removesuffix(unit) + "voxels"
    return f"{1000 * value:,.0f} voxels".replace(",", " ")


def statement(report: Report) -> str:
    """That, and how much of it, is a guess."""
    if report.share_inferred == 0:
        return "Nothing of this pot is inferred: all of it was given."
    amount = percent(report.share_inferred)
    return (
        f"{amount[0].upper()}{amount[1:]} of this pot is a guess by {_model(report)};"
        " do not cite it as a find."
    )


def _model(report: Report) -> str:
    """The model, and what it was trained on."""
    if report.model is None:
        return "a model"
    said = f"a model ({report.model.file.removesuffix('.safetensors')})"
    if report.model.trained_on is None:
        return said
    pots = "" if report.model.pots is None else f"{report.model.pots} pots of "
    return f"{said} trained on {pots}{report.model.trained_on}"


def shares(report: Report) -> list[Share]:
    """What is given, inferred and uncertain; those that are whole per cent make 100 together."""
    doubtful = report.uncertain_voxels
    found = {
        GIVEN: report.given_voxels,
        INFERRED: report.inferred_voxels - doubtful,
        UNCERTAIN: doubtful,
    }
    total = sum(found.values())
    amounts = _percents([count / total for count in found.values()])
    return [
        Share(label, meshes.NAMES[label], count, amount)
        for (label, count), amount in zip(found.items(), amounts, strict=True)
        if count
    ]


def _percents(shares: Sequence[float]) -> list[str]:
    """Shares of one whole in per cent: those that are whole numbers make 100 together."""
    whole = [int(100 * share) for share in shares]
    order = sorted(range(len(shares)), key=lambda place: whole[place] - 100 * shares[place])
    for place in order[: 100 - sum(whole)]:
        whole[place] += 1
    pairs = zip(whole, shares, strict=True)
    return [f"{part} %" if 0 < part < 100 else percent(share) for part, share in pairs]


def pieces(report: Report) -> list[tuple[str, str]]:
    """What became of a pot in pieces, or with a hole in its floor, each with its title."""
    found, notes = report.pieces, []
    if found is None:
        return []
    if found.bridge_voxels:
        text = (
            f"the model made this pot in {found.made} pieces. Between them"
            f" {percent(found.share_bridges)} of the pot was added where the model finds a wall"
            " likeliest, drawn as uncertain; the true wall may run elsewhere."
        )
        notes.append(("Joined by a guess:", text))
    if found.floor_voxels:
        text = (
            "the floor of the model's pot had a hole. It was"
            " closed where the model finds a floor likeliest, drawn as uncertain."
        )
        notes.append(("Floor closed by a guess:", text))
    if found.plug_voxels:
        text = (
            "the wall had holes where the model was not sure of it; they were filled, drawn as"
            " uncertain."
        )
        notes.append(("Holes in the wall:", text))
    if found.dropped_voxels:
        text = (
            f"{percent(found.share_dropped)} of the model's pot, which hung loose in the air or was"
            " crumbs."
        )
        notes.append(("Left out:", text))
    if found.left > 1:
        text = (
            "what was given touches the rest nowhere, or no likely wall leads there, so they stay"
            " apart; printed, this pot falls apart."
        )
        notes.append((f"In {found.left} pieces:", text))
    if found.open_floor:
        text = (
            "one sees through it, as the sherd itself surrounds the hole, or no wall is there to"
            " close it from."
        )
        notes.append(("Open floor:", text))
    return notes


def measures(report: Report) -> list[tuple[str, str]]:
    """The measurements, each with its title."""
    found = report.measures
    rows = [
        (title, size(value, unit, report.scaled))
        for title, value, unit in (
            ("Height", found.height_mm, "mm"),
            ("Rim diameter", found.rim_diameter_mm, "mm"),
            ("Greatest diameter", found.max_diameter_mm, "mm"),
            ("Base diameter", found.base_diameter_mm, "mm"),
            ("Wall thickness", found.wall_mm, "mm"),
            ("Volume of clay", found.volume_ml, "ml"),
            (_CAPACITY, found.capacity_ml, "ml"),
        )
        if value is not None
    ]
    # Of what is not round there is no capacity either, but no diameter to go with it.
    if found.max_diameter_mm is not None and found.capacity_ml is None:
        rows.append((_CAPACITY, "unknown: its base has a hole"))
    rows.append(("Share inferred", percent(report.share_inferred)))
    if report.scaled:
        rows.append(("One voxel", number(report.voxel_mm, "mm")))
    return rows


def is_round(found: Measures) -> bool:
    """Whether the clay lies where a turned pot would have it, or the page has to say otherwise."""
    return found.round_share >= _ROUND_ENOUGH


def said(sentence: str) -> str:
    """With a capital and a full stop."""
    stop = "" if sentence.endswith((".", "!", "?")) else "."
    return sentence[:1].upper() + sentence[1:] + stop


def missing(report: Report) -> str:
    """The missing piece, or why there is none, in a sentence; empty where nothing is missing."""
    found, unit = report.missing, "mm" if report.scaled else "voxels"
    if found is None:
        return f"There is none: {report.missing_why}." if report.missing_why else ""
    bodies = "One piece" if found.pieces == 1 else f"{found.pieces} pieces"
    told = (
        f"{bodies} of {size(found.volume_mm3 / 1000, 'ml', report.scaled)}, nowhere nearer to the"
        f" original than {found.gap_mm:.2f} {unit} ({found.clearance_mm:g} {unit} were asked for)."
    )
    return " ".join([told, *map(said, cautions(report))])


def cautions(report: Report) -> list[str]:
    """What to look at before the missing piece is printed and put in."""
    found = report.missing
    if found is None:
        return []
    unit, found_out = "mm" if report.scaled else "voxels", []
    if found.thin_share >= _WORTH_SAYING:
        found_out.append(
            f"{percent(found.thin_share)} of its surface is thinner than {THIN:g} {unit}, mostly"
            " edges along the break, which a printer may leave out"
        )
    if found.loops > found.pieces:
        found_out.append(f"it has {found.loops} loops or tunnels")
    if found.undercut_share >= _WORTH_SAYING:
        found_out.append(
            f"{percent(found.undercut_share)} of the joint is undercut, whichever way it is put in"
        )
    if found.parts and len(found.parts) > 1:
        found_out.append(
            f"it can be put in as {len(found.parts)} parts, in the order of their files, each"
            " straight along the direction that the report tells"
        )
    if found.overhang_share >= _WORTH_SAYING:
        found_out.append(
            f"printed standing on its {found.stands_on}, {percent(found.overhang_share)} of its"
            " surface hangs over and needs supports"
        )
    return found_out


def hypothesis(other: Hypothesis, scaled: bool) -> str:
    """The main measures of another pot, and how likely it is."""
    found = other.measures
    words = [
        f"{title} {size(value, unit, scaled)}"
        for title, value, unit in (
            ("height", found.height_mm, "mm"),
            ("rim", found.rim_diameter_mm, "mm"),
            ("holds", found.capacity_ml, "ml"),
        )
        if value is not None
    ]
    return ", ".join([*words, f"likelihood {percent(other.share)}"])


def typed(report: Report, other: Place) -> list[str]:
    """The options of `voxgan complete` that take one of the next best places: those that tell it
    apart and were not given, so that none contradicts what was."""
    told = (report.options or {}).keys()
    x, y, z = (round(value, 3) + 0.0 for value in other.axis_direction)
    words = [] if told & {"axis", "up"} else [f"--axis={x:g},{y:g},{z:g}"]
    if "height_mm" not in told:
        words.append(f"--height-mm {other.height_mm:.0f}")
    if "diameter_mm" not in told:
        words.append(f"--diameter-mm {other.diameter_mm:.0f}")
    if words and "up" in told and not told & {"place", "rim", "base"}:
        words.append("--place")  # Else both sizes would say that it lies as in its pot.
    return words


def rim_side(found: Place) -> str:
    """Whither the rim looks, by the scan's coordinates that it looks along."""
    parts = zip("xyz", found.axis_direction, strict=True)
    sides = [f"{'-' if value < 0 else '+'}{name}" for name, value in parts if abs(value) > _ALONG]
    many = f"between {', '.join(sides[:-1])} and {sides[-1]}" if len(sides) > 1 else ""
    return f"In the scan its rim looks {many or f'along {sides[0]}'}."


def file(name: str) -> str:
    """What a file beside the page is; empty for one that is none of ours."""
    name = re.sub(r"_missing_\d\.", "_missing_1.", name)
    return next((text for end, text in _FILES if name.endswith(end)), "")
