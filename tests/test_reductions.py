"""In what numbers gradients are summed over devices."""

import functools
import re

import jax
import pytest
from test_parallel import make_batch

from configs import smoke
from voxgan_jax.devices import parallel
from voxgan_jax.training import build, objectives


@pytest.mark.usefixtures("loose_promotion")  # Optax relies on it
@pytest.mark.parametrize("mode", parallel.MODES)
def test_gradients_are_summed_over_devices_in_float32(mode):
    """Of networks that compute in bfloat16, every one, as the program says."""
    config = smoke.get_config()
    config.data.resolution, config.train.batch_size = 16, 2
    for net in ("generator", "discriminator"):
        config[net].features, config[net].dtype = 2, "bfloat16"
    objective = objectives.build(config)
    state = jax.eval_shape(functools.partial(build.initial_state, config, objective))
    mesh = parallel.make_mesh(jax.devices()[:1])
    step = parallel.compile_step(objective.step, mesh, mode=mode)
    program = step.lower(state, jax.eval_shape(lambda: make_batch(2, 16))).as_text()
    assert "xbf16>" in program
    summed = re.findall(r'"stablehlo.all_reduce".*?\}\) : \((.*?)\) ->', program, re.DOTALL)
    types = [one for group in summed for one in re.findall(r"tensor<([^>]*)>", group)]
    assert {one.split("x")[-1] for one in types} == {"f32"}
    kernels = [leaf for leaf in jax.tree.leaves(state.nets["generator"].params) if leaf.ndim == 5]
    assert {"x".join(map(str, leaf.shape)) + "xf32" for leaf in kernels} <= set(types)
