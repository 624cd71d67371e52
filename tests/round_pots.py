"""Pots whose radii are known at every height, and their profiles."""

import numpy as np

from voxgan_jax.drawing import figure, profile, svg
from voxgan_jax.inference.answer import GIVEN, INFERRED


def turned(outer, inner, low=4, high=34, floor=0.0, side=40, middle=None):
    """A pot whose radii are functions of the height above its foot, the base at high w."""
    d, h, w = np.indices((side, side, side))
    x, y = middle or ((side - 1) / 2, (side - 1) / 2)
    radius = np.hypot(d - x, h - y)
    height = high - w + 0.5
    pot = (w >= low) & (w <= high) & (radius <= outer(height))
    return pot & ((radius > inner(height)) | (height <= floor))


def profile_of(pot, given=None, step=1.0):
    """The profile of a pot, of which a part may be given; the model is sure of it all."""
    labels = pot * np.uint8(INFERRED)
    if given is not None:
        labels[given] = GIVEN
    return profile.profile_of(labels, pot.astype(np.float32), step)


def figure_of(profile, **how):
    """What is drawn of a profile that is round."""
    found = figure.figure_of(profile, **how)
    assert found is not None
    return found


def drawn(profile, times=None, **how):
    """The section drawing of a profile, as SVG."""
    return svg.svg(figure.figure_of(profile, **how), times)


def cup(middle=None, **options):
    """31 voxels high, radii 14 and 11, a floor 4 thick."""
    return turned(lambda _: 14, lambda _: 11, floor=4.0, middle=middle, **options)
