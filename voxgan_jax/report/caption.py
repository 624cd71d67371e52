"""What was told, asked for and measured, in words for the page's record and its text to cite."""

from voxgan_jax.report import sentences, spread
from voxgan_jax.report.record import Report
from voxgan_jax.report.sizes import SIZES

_TOLD = {
    "axis": "the direction of its axis",
    "up": "where its rim is",
    "height_mm": "its height",
    "diameter_mm": "its greatest diameter",
    "rim": "that the sherd is of its rim",
    "base": "that the sherd is of its base",
    "voxel_mm": "the size of a voxel",
    "as_is": "that the scan lies as in its pot",
}
"""What a user may tell of the pot, by the option that tells it."""


def told(report: Report) -> str:
    """What the user told of the pot and the sherd's place in it, in words; "" for nothing."""
    found = [words for name, words in _TOLD.items() if name in (report.options or {})]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def options(report: Report) -> list[str]:
    """What was asked for, as options of `voxgan complete`."""
    found = []
    for name, value in (report.options or {}).items():
        values = value if isinstance(value, (list, tuple)) else () if value is True else (value,)
        words = [f"{part:.10g}" if isinstance(part, float) else str(part) for part in values]
        # So that a minus is not taken for another option.
        words = ["=" + ",".join(words)] if name == "axis" else [f" {word}" for word in words]
        found.append(f"--{name.replace('_', '-')}{''.join(words)}")
    return found


def sizes(report: Report) -> list[str]:
    """The sizes with their intervals, where there are any: "height 111 mm (105–118 mm)"."""
    parts, scaled = [], report.scaled
    for name, title in SIZES.items():
        if (value := getattr(report.measures, name)) is not None:
            each, unit = report.spread and getattr(report.spread, name), name[-2:]
            within = f" ({spread.interval(each.most, unit, scaled)})" if each else ""
            parts.append(f"{title} {sentences.size(value, unit, scaled)}{within}")
    return parts
