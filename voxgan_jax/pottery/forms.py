"""The forms that pots of anywhere are drawn from: ranges, not models of any one ware.

A form is a row of points along the middle of the wall, from the edge of the base to the lip; each
is drawn evenly from its ranges. To add a form is to add a row.
"""

import re
from typing import NamedTuple

Range = tuple[float, float]


class Point(NamedTuple):
    """Where a wall passes: radius as a share of half the width, height as a share of the body's.

    `angle` is how often the wall has an angle there (a carination) rather than a curve.
    """

    radius: Range
    height: Range
    angle: float


class Form(NamedTuple):
    """A kind of body.

    `aspect` is height over width, drawn evenly in its logarithm. `feet` and `rims` are weighted by
    how often they are named. `path` has the wall's points in percent: radius@height, each a number
    or low-high, and !angle, 10 where it is not told.
    """

    weight: float
    aspect: Range
    feet: str
    rims: str
    path: str


# Feet: flat, round, pointed, umbo, ring, disc, pedestal, toe (a knob under a point).
_TABLE_FEET = "flat flat umbo ring ring ring disc pedestal round"
_JAR_FEET = "flat flat flat umbo ring disc round round pointed"
# Rims: plain, flat, tapered, bead, outward and inward thickening, everted, inverted, brim, hook,
# bar (a T), collar, seat (for a lid).
_TABLE_RIMS = "plain plain flat tapered bead outward inward everted inverted brim brim hook bar"
_JAR_RIMS = "plain flat tapered bead bead outward everted everted everted hook collar seat seat bar"
_MOUTHS = "plain flat bead bead outward everted everted brim collar collar hook seat"

# fmt: off
FORMS = {
    "dish": Form(
        1.2, (0.09, 0.28), _TABLE_FEET, _TABLE_RIMS,
        "20-75@0!30 60-92@20-55!25 94-100@100",
    ),
    "bowl": Form(
        1.6, (0.26, 0.7), _TABLE_FEET, _TABLE_RIMS,
        "15-50@0!20 50-90@10-35 80-100@50-75 85-100@100",
    ),
    "carinated bowl": Form(
        0.8, (0.25, 0.9), _TABLE_FEET, _TABLE_RIMS,
        "10-45@0!30 75-100@25-60!90 65-100@70-85!20 70-110@100",
    ),
    "flaring cup": Form(
        0.7, (0.45, 1.3), _TABLE_FEET, _TABLE_RIMS,
        "20-60@0!30 35-75@25-50 90-100@100",
    ),
    "beaker": Form(
        1.0, (0.8, 2.2), _JAR_FEET + " pedestal", _TABLE_RIMS,
        "40-90@0!40 65-100@20-45 60-100@60-85 60-100@100",
    ),
    "cylinder": Form(
        0.7, (0.6, 2.0), "flat flat disc ring", _JAR_RIMS,
        "50-80@0!50 90-100@7-16!50 72-100@40-60!0 85-100@78-88!50 50-85@90-94!30 55-90@100",
    ),
    "jar": Form(
        2.0, (0.6, 1.6), _JAR_FEET, _JAR_RIMS,
        "20-60@0!20 62-92@15-30!5 100@42-66!15 68-92@76-88!15 30-75@100",
    ),
    "necked jar": Form(
        1.6, (0.75, 1.7), _JAR_FEET, _JAR_RIMS,
        "20-60@0!20 60-90@14-28!5 100@36-58!15 65-90@68-76!20 32-68@80-86!40 35-85@100",
    ),
    "bottle": Form(
        1.2, (1.1, 2.8), "flat flat ring ring disc umbo pedestal", _MOUTHS,
        "30-85@0!30 70-98@8-20 100@25-46!15 50-88@52-60!25 20-40@64-74!30 18-38@82-92 20-50@100",
    ),
    "amphora": Form(
        0.9, (1.5, 3.2), "pointed pointed toe toe round ring", _MOUTHS,
        "10-28@0 45-85@14-30!5 85-100@38-52 85-100@60-70!35 32-50@76-82!30 30-48@100",
    ),
    "spindle": Form(
        0.5, (1.8, 3.4), "flat disc round", _MOUTHS,
        "25-50@0!30 20-45@10-24 100@38-55!15 30-50@66-76 30-60@100",
    ),
    "krater": Form(
        0.9, (0.6, 1.3), "ring ring pedestal pedestal disc flat", _TABLE_RIMS,
        "20-50@0!30 75-98@25-42!25 70-95@55-75!25 85-110@100",
    ),
    "basin": Form(
        0.7, (0.25, 0.6), "flat flat flat disc",
        "brim brim hook hook bar collar outward inward flat",
        "45-80@0!60 65-95@40-60 90-100@100",
    ),
    "knobbed lid": Form(
        0.4, (0.2, 0.5), "disc pedestal ring", "plain flat inverted seat brim",
        "10-22@0!30 50-80@20-50!20 100@100",
    ),
    "free": Form(
        1.8, (0.2, 2.6), _JAR_FEET + " pedestal ring", _TABLE_RIMS + " " + _JAR_RIMS,
        "15-80@0!30 35-100@12-28!25 35-100@38-54!25 35-100@62-80!25 35-100@100",
    ),
}
# fmt: on


def points(form: Form) -> list[Point]:
    """The points of a form's path."""
    found = []
    for word in form.path.split():
        radius, height, angle, *_ = [*re.split("[@!]", word), "10"]
        found.append(Point(_range(radius), _range(height), int(angle) / 100))
    return found


def _range(text: str) -> Range:
    ends = [int(end) / 100 for end in text.split("-")]
    return ends[0], ends[-1]


POINTS = {name: points(form) for name, form in FORMS.items()}
