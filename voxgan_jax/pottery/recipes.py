"""How each kind of synthetic pot is drawn: proportions, the line of its wall, feet and handles.

The ranges were set so that sizes, wall thickness and occupancy come near those of IberianVoxel (doi
10.24963/ijcai.2023/647); no real pot is copied. Lengths are shares of the pot's own.
"""

from typing import NamedTuple

import numpy as np


class Recipe(NamedTuple):
    """How one kind of pot is drawn.

    `aspect` is the range of height over greatest diameter. `points` lie on the wall from the edge
    of the base to the lip: radius as a share of the greatest, height as a share of the pot's. Each
    pot moves them a little; 0 and 1 stay. `feet` and `handles` are the kinds to choose from.
    """

    aspect: tuple[float, float]
    points: tuple[tuple[float, float], ...]
    feet: tuple[str, ...] = ("flat", "umbo", "umbo")
    handles: tuple[str, ...] = ("loops", "lugs")


_OVOID = ((0.20, 0), (0.73, 0.19), (1, 0.47), (0.85, 0.77), (0.57, 0.91), (0.66, 1))
_SQUAT = ((0.40, 0), (0.89, 0.24), (1, 0.46), (0.80, 0.79), (0.64, 0.90), (0.78, 1))
_NECKED = ((0.35, 0), (0.36, 0.06), (0.86, 0.37), (1, 0.56), (0.70, 0.78), (0.49, 0.86), (0.81, 1))
_CARINATED = (
    (0.38, 0),
    (0.79, 0.17),
    (1, 0.36),
    (0.84, 0.50),
    (0.72, 0.74),
    (0.68, 0.88),
    (0.92, 1),
)
_FLARING = ((0.75, 0), (0.81, 0.08), (0.75, 0.50), (0.79, 0.90), (1, 1))
_CYLINDER = ((0.86, 0), (0.98, 0.11), (0.96, 0.67), (0.79, 0.88), (0.92, 1))
_BARREL = ((0.24, 0), (0.69, 0.15), (0.94, 0.39), (1, 0.62), (0.88, 0.81), (0.56, 0.91), (0.67, 1))
_BOTTLE = ((0.50, 0), (0.92, 0.14), (1, 0.28), (0.79, 0.45), (0.37, 0.61), (0.32, 0.83), (0.53, 1))
_JUG = ((0.49, 0), (0.90, 0.21), (1, 0.40), (0.83, 0.61), (0.56, 0.79), (0.74, 1))
_GLOBE = ((0.33, 0), (0.81, 0.19), (1, 0.48), (0.86, 0.77), (0.59, 0.90), (0.70, 1))
_KRATER = ((0.42, 0), (0.84, 0.28), (1, 0.52), (0.93, 0.77), (0.84, 0.88), (1, 1))
_BOWL = ((0.27, 0), (0.54, 0.21), (0.80, 0.56), (1, 1))
_INCURVED = ((0.28, 0), (0.62, 0.24), (0.90, 0.60), (1, 0.86), (0.97, 1))
_DISH = ((0.28, 0), (0.52, 0.25), (0.78, 0.60), (1, 1))
_BRIMMED = ((0.28, 0), (0.58, 0.32), (0.77, 0.72), (0.86, 0.93), (1, 1))
_WIDE_FEET = ("flat", "umbo", "ring")

# Numbered 1 to 11 in the folders, as the classes of the real data are.
RECIPES = {
    "ovoid jar": (Recipe((1.2, 1.9), _OVOID, ("umbo", "pointed", "flat")),),
    "squat jar": (Recipe((0.7, 1.1), _SQUAT, _WIDE_FEET),),
    "urn": (Recipe((1.0, 1.4), _NECKED, ("umbo", "ring")),),
    "carinated urn": (Recipe((0.85, 1.35), _CARINATED),),
    "kalathos": (
        Recipe((0.75, 1.25), _FLARING, handles=("lugs",)),
        Recipe((0.65, 1.2), _CYLINDER, handles=("lugs",)),
    ),
    "amphora": (Recipe((1.15, 1.75), _BARREL, ("umbo", "pointed", "ring")),),
    "bottle": (
        Recipe((1.5, 2.4), _BOTTLE, _WIDE_FEET, ("jug",)),
        Recipe((0.95, 1.4), _JUG, _WIDE_FEET, ("jug",)),
    ),
    "globular jar": (Recipe((0.8, 1.1), _GLOBE),),
    "krater": (Recipe((0.6, 0.88), _KRATER, _WIDE_FEET),),
    "bowl": (
        Recipe((0.24, 0.42), _BOWL, ("umbo", "ring", "ring"), ("lugs",)),
        Recipe((0.26, 0.50), _INCURVED, _WIDE_FEET, ("lugs",)),
    ),
    "dish": (
        Recipe((0.13, 0.28), _DISH, ("umbo", "ring", "ring"), ()),
        Recipe((0.13, 0.25), _BRIMMED, ("ring",), ()),
    ),
}
CATEGORIES = tuple(RECIPES)
# How often each is met in the data set, class by class.
FREQUENCY = np.array([26, 42, 66, 10, 54, 50, 48, 269, 19, 321, 96]) / 1001
