"""What a sherd asks of the model, and what the model answers.

Apart from the model and free of JAX, so that a process which only draws and writes pots need not
load them.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.scan.pose import Sherd

Labels = UInt8[np.ndarray, "d h w"]
"""A grid of what is named next, 0 where nothing is."""

Belief = Float[np.ndarray, "d h w"]
"""How probable each voxel is, 0 to 1."""

GIVEN, INFERRED, UNCERTAIN, MISSING = 1, 2, 3, 4
"""What a voxel of a pot is: part of the sherd; added to it; added without much certainty; of the
true pot, where that is known, what was not given."""

SURE = 0.85
"""Where the inferred voxels around have less belief on average, a voxel is uncertain. On 56
validation files (every 20th), with weights that had not seen them (D in docs/results.md), 25 % of
the inferred voxels were; 56 % of these were right, and 93 % of the others."""

_AROUND = 1.5
"""The sigma of that average, in voxels."""


class Request(NamedTuple):
    """A pot to complete: what is known of it are these sherds, all in the pot's one box.

    The answer is in the coordinates of the first.
    """

    sherds: tuple[Sherd, ...]


class Hypothesis(NamedTuple):
    """One of several pots that the sherd may come from: labels and belief as those of `Answer`.

    `share` says how likely it is next to the others; together they have 1.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    belief: Float[np.ndarray, "_ _ _"]
    share: float


class Drawn(NamedTuple):
    """Pots that the model drew for a sherd: half sections of its cube, as `half_section` has them.

    `axes` are where they stand there, `start` is where the box of `Answer.labels` begins in the
    cube's own cells, of which each is `pool` voxels long.
    """

    distance: Float[np.ndarray, "draw rows ring"]
    axes: Float[np.ndarray, "draw 2"]
    start: tuple[float, float, float]
    pool: int


class Answer(NamedTuple):
    """What the model makes of a sherd.

    `labels` holds GIVEN, INFERRED and, in bridges between the pot's `pieces` and where its floor
    was closed, UNCERTAIN in the box asked for; what the model adds outside it is only counted, in
    `left_out`. The file's coordinates (x, y, z) move by `shift`: not at all in the input's own box.
    `probabilities` fill the model's cube; they are its own but where pieces were joined or dropped
    or the floor was closed. `belief` are those in the box of `labels`, with the threshold moved to
    0.5. `confidence` says how far to trust it; None where the model was not calibrated for that.
    `hypotheses` are other pots, the likeliest first, where the completer was loaded for several.
    `drawn` are the pots whose mean it is, of a model that draws.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    left_out: int
    shift: tuple[int, int, int]
    probabilities: Float[np.ndarray, "r r r"]
    belief: Float[np.ndarray, "_ _ _"]
    confidence: Confidence | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    pieces: Pieces | None = None
    drawn: Drawn | None = None


def mark(labels: Labels, belief: Belief) -> Labels:
    """Labels in which inferred voxels are UNCERTAIN where they were, or the belief around is below
    SURE.

    The mean is one over inferred voxels, with Gaussian weights: at any wall's surface the belief of
    single voxels goes down, however sure the wall is.
    """
    inferred = labels > GIVEN
    weight = ndimage.gaussian_filter(inferred.astype(np.float32), _AROUND)
    around = ndimage.gaussian_filter(np.where(inferred, belief, np.float32(0)), _AROUND)
    sure = (around >= SURE * np.maximum(weight, np.float32(1e-6))) & (labels != UNCERTAIN)
    return np.where(inferred, np.where(sure, np.uint8(INFERRED), np.uint8(UNCERTAIN)), labels)
