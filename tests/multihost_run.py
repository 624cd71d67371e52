"""One process of a run over several, started by test_multihost.py: trains what it is told, by SGD.

The argument is JSON: `place` (address, number of processes, which one) or null, and `runs`, each
with its `workdir` and the `overrides` of configs/smoke.py by their dotted names.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import conftest  # noqa: F401 (as strict as the tests)
import optax
from known_objectives import sharing_objectives
from ml_collections import ConfigDict

from configs import smoke
from voxgan_jax import logs
from voxgan_jax.devices import processes
from voxgan_jax.training import loop

# Adam would turn the rounding of the first steps into differences as large as its rate.
optax.adam = lambda rate, b1, b2: optax.sgd(rate)  # type: ignore[assignment]

order = json.loads(sys.argv[1])
if order["place"]:
    processes.initialize(
        ConfigDict(dict(zip(processes.FIELDS, order["place"], strict=True))), timeout_s=60
    )
if processes.is_primary():
    logs.show_progress()
with sharing_objectives():
    for run in order["runs"]:
        config = smoke.get_config()
        config.update_from_flattened_dict(run["overrides"])
        try:
            loop.train(config, run["workdir"])
        except ValueError as error:
            print(f"refused: {error}", flush=True)
        else:
            print(f"trained: {run['workdir']}", flush=True)
