"""What must not depend on the number of devices, in one process with four: test_devices.py asks.

    python four_devices.py FOLDER_OF_POTS FOLDER

Written to FOLDER/results.json: by the name of each part what it found, or the error that ended it.
"""

import functools
import json
import pathlib
import sys
import traceback
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import sharing_objectives, small

from configs import smoke
from voxgan_jax.data import resident
from voxgan_jax.devices import parallel
from voxgan_jax.inference import completer
from voxgan_jax.training import loop, optimisers
from voxgan_jax.training.state import TrainState


def rows(*_: pathlib.Path) -> list[int]:
    """How many rows a model is compiled for, one or more on 1, 2 and 4 devices."""
    seen = []

    def apply(variables, partial):
        seen.append(partial.shape[0])
        return variables["scale"] * partial

    for count in (1, 2, 4):
        predict = completer.divided(apply, {"scale": jnp.float32(3)}, jax.devices()[:count])
        for number in (1, 3, 4):
            partial = jnp.arange(number * 8, dtype=jnp.float32).reshape(number, 2, 2, 2, 1)
            answer = predict(partial)
            assert answer.shape == partial.shape and (answer == 3 * partial).all()
            given = jnp.zeros((count, 2, 2, 2, 1))
            assert len(predict(given).sharding.device_set) == count
    return seen


def batches(pots: pathlib.Path, _: pathlib.Path) -> dict[str, int]:
    """The batches of a resident split on 1, 2 and 4 devices, under jit and pmap."""
    config = smoke.get_config()
    config.data.dir, config.data.source, config.train.batch_size = str(pots), "resident", 4
    config.data.train_split = "train+validation"

    def step(state, batch):
        gather = functools.partial(jax.lax.all_gather, axis_name=parallel.DATA_AXIS, tiled=True)
        whole = {name: gather(part) for name, part in batch.items()}
        return state.replace(step=state.step + 1), whole

    first, drawn, fingerprints = [], [], set()
    for mode, parts in (("jit", 1), ("jit", 2), ("jit", 4), ("pmap", 4)):
        mesh = parallel.make_mesh(jax.devices()[:parts])
        feed = resident.open_feed(config, mesh)
        fingerprints.add(feed.fingerprint)
        item = next(feed.items(0))
        assert item["labels"].shape[0] == {1: 18, 2: 18, 4: 20}[parts]
        assert {s.data.shape[0] for s in item["labels"].addressable_shards} == {-(-18 // parts)}
        assert feed.draw is not None
        run = parallel.compile_step(
            lambda state, item, draw=feed.draw: step(state, draw(item, state.rng, state.step)),
            mesh,
            mode=mode,
        )
        state: Any = jax.device_put(
            TrainState(jnp.int32(0), jax.random.key(0), {}, {}), parallel.replicated(mesh)
        )
        drawn = []
        while len(drawn) < 6:
            state, batch = run(state, item)
            drawn.append(jax.device_get(batch))
        first = first or drawn
        for one, other in zip(first, drawn, strict=True):
            np.testing.assert_array_equal(one["labels"], other["labels"])
            np.testing.assert_array_equal(one["given"], other["given"])
    seen = [row.tobytes() for batch in drawn for row in batch["labels"]]
    return {
        "rows": len(seen),
        "of first epoch": len(set(seen[:18])),
        "fingerprints": len(fingerprints),
    }


def resumed(pots: pathlib.Path, folder: pathlib.Path) -> dict[str, float]:
    """3 steps on one device and 3 on two, against 6 on one, under SGD."""
    config = small(pots, "resident")
    config.eval.split = ""
    config.loss.recon_weight = 10.0  # Large steps would make much of rounding.
    make_mesh = parallel.make_mesh

    def run(name, devices, num_train_steps):
        config.train.num_train_steps = num_train_steps
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parallel, "make_mesh", lambda: make_mesh(jax.devices()[:devices]))
            patch.setattr(optimisers, "build", lambda config, net: optax.sgd(1e-4))
            state: Any = loop.train(config, folder / name)
        assert int(state.step) == num_train_steps
        leaves = jax.tree.leaves(state.nets)
        assert len(leaves[0].sharding.device_set) == devices
        return np.concatenate([np.ravel(leaf) for leaf in leaves])

    with sharing_objectives():
        middle, whole, again = run("parts", 1, 3), run("whole", 1, 6), run("parts", 2, 6)
    np.testing.assert_allclose(again, whole, rtol=1e-5, atol=1e-5)
    return {"moved": float(np.abs(whole - middle).max())}


def main(pots: str, folder: str) -> None:
    assert len(jax.devices()) == 4
    results = {}
    for part in (rows, batches, resumed):
        try:
            results[part.__name__] = part(pathlib.Path(pots), pathlib.Path(folder))
        except Exception:
            results[part.__name__] = traceback.format_exc()
    (pathlib.Path(folder) / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
