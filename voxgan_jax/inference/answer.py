"""What a sherd asks of the model, and what the model answers.

Apart from the model and free of JAX, so that a process which only draws and writes pots need not
load them.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.inference.confidence import Confidence
from voxgan_jax.scan.pose import Sherd

GIVEN, INFERRED, UNCERTAIN, MISSING = 1, 2, 3, 4
"""What a voxel of a pot is: part of the sherd; added to it; added without much certainty; of the
true pot, where that is known, what was not given."""


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


class Answer(NamedTuple):
    """What the model makes of a sherd.

    `labels` holds GIVEN, INFERRED and, in bridges between the pot's `pieces`, UNCERTAIN in the box
    asked for; what the model adds outside it is only counted, in `left_out`. The file's coordinates
    (x, y, z) move by `shift`: not at all in the input's own box. `probabilities` fill the model's
    cube; they are its own but where pieces were joined or dropped. `belief` are those in the box of
    `labels`, with the threshold moved to 0.5. `confidence` says how far to trust it; None where the
    model was not calibrated for that. `hypotheses` are other pots, the likeliest first, where the
    completer was loaded for several.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    left_out: int
    shift: tuple[int, int, int]
    probabilities: Float[np.ndarray, "r r r"]
    belief: Float[np.ndarray, "_ _ _"]
    confidence: Confidence | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    pieces: Pieces | None = None
