"""voxgan_jax completes broken pottery on voxel grids: from one sherd to the whole pot."""

import os

from voxgan_jax.version import VERSION

# As of typing, which takes some milliseconds of those in which Ctrl-C is not yet cared for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from voxgan_jax.restore.api import complete
    from voxgan_jax.restore.pot import Completion

# TensorFlow only moves bytes here; what it says while loading is of no use to anybody.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

__version__ = VERSION

__all__ = ["Completion", "__version__", "complete"]


def __getattr__(name: str) -> "Any":
    """`complete` and `Completion`, imported when they are asked for: JAX takes a second."""
    if name == "complete":
        from voxgan_jax.restore.api import complete

        return complete
    if name == "Completion":
        from voxgan_jax.restore.pot import Completion

        return Completion
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
