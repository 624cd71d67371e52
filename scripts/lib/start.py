"""What every script imports before all else: from then on Ctrl-C ends it with 130 and one line.

Nothing is done where a script is imported by another program, a test or a process of a pool.
"""

import os
import sys

from voxgan_jax.devices import interruption

leave = interruption.leave

_SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_path = os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")
if os.path.dirname(_path) == _SCRIPTS and "--multiprocessing-fork" not in sys.orig_argv:
    interruption.start(os.path.basename(_path))

    from voxgan_jax import console

    console.adapt()
