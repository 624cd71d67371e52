"""Run a script as test_multihost.py does: processes of one machine speak over 127.0.0.1.

    python on_loopback.py SCRIPT [ARGUMENT ...]

JAX's collectives on CPUs look up the machine's own name, which a bare container may not know, and
no option of JAX says otherwise.
"""

import functools
import importlib
import pathlib
import runpy
import sys
from typing import Any

# The backend takes its collectives from here when it starts.
_jax: Any = importlib.import_module("jaxlib._jax")
_jax.make_gloo_tcp_collectives = functools.partial(
    _jax.make_gloo_tcp_collectives, hostname="127.0.0.1"
)
sys.argv = sys.argv[1:]
# For the script that trains: config.generator.kind may be "tiny" there too.
models = importlib.import_module("voxgan_jax.models")
models.__path__.append(str(pathlib.Path(__file__).resolve().parent / "networks"))
runpy.run_path(sys.argv[0], run_name="__main__")
