"""The forms that pots of anywhere are drawn from: ranges, not models of any one ware.

A form is a row of points along the middle of the wall from the edge of the base to the lip. Each is
drawn evenly from its ranges; a recipe for a table, so that to add a form is to add a row.
"""

from typing import NamedTuple

Range = tuple[float, float]


class Point(NamedTuple):
    """Where a wall passes: radius as a share of half the width, height as a share of the body's.

    `angle` is how often the wall has an angle there (a carination) rather than a curve.
    """

    radius: Range
    height: Range
    angle: float = 0.1


class Form(NamedTuple):
    """A kind of body.

    `aspect` is height over width, drawn evenly in its logarithm. `feet` and `rims` are weighted by
    how often they are named.
    """

    weight: float
    aspect: Range
    points: tuple[Point, ...]
    feet: str
    rims: str


P = Point

# Feet: flat, round, pointed, umbo, ring, disc, pedestal, toe (a knob under a point).
_TABLE_FEET = "flat flat umbo ring ring ring disc pedestal round"
_JAR_FEET = "flat flat flat umbo ring disc round round pointed"
# Rims: plain, flat, tapered, bead, outward and inward thickening, everted, inverted, brim, hook,
# bar (a T), collar, seat (for a lid), groove.
_TABLE_RIMS = "plain plain flat tapered bead outward inward everted inverted brim brim hook bar"
_JAR_RIMS = "plain flat tapered bead bead outward everted everted everted hook collar seat seat bar"
_MOUTHS = "plain flat bead bead outward everted everted brim collar collar hook seat groove"

FORMS = {
    "dish": Form(
        1.2,
        (0.09, 0.28),
        (
            P((0.2, 0.75), (0, 0), 0.3),
            P((0.6, 0.92), (0.2, 0.55), 0.25),
            P((0.94, 1.0), (1, 1)),
        ),
        _TABLE_FEET,
        _TABLE_RIMS,
    ),
    "bowl": Form(
        1.6,
        (0.26, 0.7),
        (
            P((0.15, 0.5), (0, 0), 0.2),
            P((0.5, 0.9), (0.1, 0.35), 0.1),
            P((0.8, 1.0), (0.5, 0.75), 0.1),
            P((0.85, 1.0), (1, 1)),
        ),
        _TABLE_FEET,
        _TABLE_RIMS,
    ),
    "carinated bowl": Form(
        0.8,
        (0.25, 0.9),
        (
            P((0.1, 0.45), (0, 0), 0.3),
            P((0.75, 1.0), (0.25, 0.6), 0.9),
            P((0.65, 1.0), (0.7, 0.85), 0.2),
            P((0.7, 1.1), (1, 1)),
        ),
        _TABLE_FEET,
        _TABLE_RIMS,
    ),
    "flaring cup": Form(
        0.7,
        (0.45, 1.3),
        (
            P((0.2, 0.6), (0, 0), 0.3),
            P((0.35, 0.75), (0.25, 0.5), 0.1),
            P((0.9, 1.0), (1, 1)),
        ),
        _TABLE_FEET,
        _TABLE_RIMS,
    ),
    "beaker": Form(
        1.0,
        (0.8, 2.2),
        (
            P((0.4, 0.9), (0, 0), 0.4),
            P((0.65, 1.0), (0.2, 0.45), 0.1),
            P((0.6, 1.0), (0.6, 0.85), 0.1),
            P((0.6, 1.0), (1, 1)),
        ),
        _JAR_FEET + " pedestal",
        _TABLE_RIMS,
    ),
    "cylinder": Form(
        0.7,
        (0.6, 2.0),
        (
            P((0.5, 0.8), (0, 0), 0.5),
            P((0.9, 1.0), (0.07, 0.16), 0.5),
            P((0.72, 1.0), (0.4, 0.6), 0.0),
            P((0.85, 1.0), (0.78, 0.88), 0.5),
            P((0.5, 0.85), (0.9, 0.94), 0.3),
            P((0.55, 0.9), (1, 1)),
        ),
        "flat flat disc ring",
        _JAR_RIMS,
    ),
    "jar": Form(
        2.0,
        (0.6, 1.6),
        (
            P((0.2, 0.6), (0, 0), 0.2),
            P((0.62, 0.92), (0.15, 0.3), 0.05),
            P((1, 1), (0.42, 0.66), 0.15),
            P((0.68, 0.92), (0.76, 0.88), 0.15),
            P((0.3, 0.75), (1, 1)),
        ),
        _JAR_FEET,
        _JAR_RIMS,
    ),
    "necked jar": Form(
        1.6,
        (0.75, 1.7),
        (
            P((0.2, 0.6), (0, 0), 0.2),
            P((0.6, 0.9), (0.14, 0.28), 0.05),
            P((1, 1), (0.36, 0.58), 0.15),
            P((0.65, 0.9), (0.68, 0.76), 0.2),
            P((0.32, 0.68), (0.8, 0.86), 0.4),
            P((0.35, 0.85), (1, 1)),
        ),
        _JAR_FEET,
        _JAR_RIMS,
    ),
    "bottle": Form(
        1.2,
        (1.1, 2.8),
        (
            P((0.3, 0.85), (0, 0), 0.3),
            P((0.7, 0.98), (0.08, 0.2), 0.1),
            P((1, 1), (0.25, 0.46), 0.15),
            P((0.5, 0.88), (0.52, 0.6), 0.25),
            P((0.2, 0.4), (0.64, 0.74), 0.3),
            P((0.18, 0.38), (0.82, 0.92), 0.1),
            P((0.2, 0.5), (1, 1)),
        ),
        "flat flat ring ring disc umbo pedestal",
        _MOUTHS,
    ),
    "amphora": Form(
        0.9,
        (1.5, 3.2),
        (
            P((0.1, 0.28), (0, 0), 0.1),
            P((0.45, 0.85), (0.14, 0.3), 0.05),
            P((0.85, 1.0), (0.38, 0.52), 0.1),
            P((0.85, 1.0), (0.6, 0.7), 0.35),
            P((0.32, 0.5), (0.76, 0.82), 0.3),
            P((0.3, 0.48), (1, 1)),
        ),
        "pointed pointed toe toe round ring",
        _MOUTHS,
    ),
    "spindle": Form(
        0.5,
        (1.8, 3.4),
        (
            P((0.25, 0.5), (0, 0), 0.3),
            P((0.2, 0.45), (0.1, 0.24), 0.1),
            P((1, 1), (0.38, 0.55), 0.15),
            P((0.3, 0.5), (0.66, 0.76), 0.1),
            P((0.3, 0.6), (1, 1)),
        ),
        "flat disc round",
        _MOUTHS,
    ),
    "krater": Form(
        0.9,
        (0.6, 1.3),
        (
            P((0.2, 0.5), (0, 0), 0.3),
            P((0.75, 0.98), (0.25, 0.42), 0.25),
            P((0.7, 0.95), (0.55, 0.75), 0.25),
            P((0.85, 1.1), (1, 1)),
        ),
        "ring ring pedestal pedestal disc flat",
        _TABLE_RIMS,
    ),
    "basin": Form(
        0.7,
        (0.25, 0.6),
        (
            P((0.45, 0.8), (0, 0), 0.6),
            P((0.65, 0.95), (0.4, 0.6), 0.1),
            P((0.9, 1.0), (1, 1)),
        ),
        "flat flat flat disc",
        "brim brim hook hook bar collar outward inward flat",
    ),
    "knobbed lid": Form(
        0.4,
        (0.2, 0.5),
        (
            P((0.1, 0.22), (0, 0), 0.3),
            P((0.5, 0.8), (0.2, 0.5), 0.2),
            P((1, 1), (1, 1)),
        ),
        "disc pedestal ring",
        "plain flat inverted seat brim",
    ),
    "free": Form(
        1.8,
        (0.2, 2.6),
        (
            P((0.15, 0.8), (0, 0), 0.3),
            P((0.35, 1.0), (0.12, 0.28), 0.25),
            P((0.35, 1.0), (0.38, 0.54), 0.25),
            P((0.35, 1.0), (0.62, 0.8), 0.25),
            P((0.35, 1.0), (1, 1)),
        ),
        _JAR_FEET + " pedestal ring",
        _TABLE_RIMS + " " + _JAR_RIMS,
    ),
}
