"""Coordinates far from their origin, as surveyors have them: moved near one of their own.

Surfaces, files of STL and GLB and the page have numbers of 24 bits. A sherd that lies 12 km from
the origin would stand on steps of a millimetre in them.
"""

import numpy as np
from jaxtyping import Float

Vertices = Float[np.ndarray, "_ 3"]
Vector = Float[np.ndarray, "3"]

_FAR = 100.0
"""Sizes of the mesh: from this distance on it is moved. Nearer by, a step is a millionth of it."""
_COARSE = 1 / 500
"""Of the size: greater steps are told of."""


def local(low: Vector, high: Vector) -> Vector:
    """A round point near a box, in its coordinates; 0 where the box is near that itself."""
    size = float((high - low).max())
    if np.abs([low, high]).max() <= _FAR * size:
        return np.zeros(3)
    whole = 10.0 ** np.ceil(np.log10(size))
    return np.rint((low + high) / 2 / whole) * whole + 0.0


def steps(vertices: Vertices) -> float:
    """On what steps coordinates stand that were stored in 24 bits; 0 where these are fine."""
    single = vertices.astype(np.float32)
    if not (single == vertices).all():
        return 0.0
    step = float(np.spacing(np.abs(single).max()))
    return step if step > _COARSE * float(np.ptp(vertices, axis=0).max()) else 0.0
