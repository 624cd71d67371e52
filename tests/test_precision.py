"""What a GPU's tensor cores would round away: sums that must not, and what that does to answers."""

import ast
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
from conftest import ROOT
from reduced_precision import tensor_float32

from voxgan_jax import models
from voxgan_jax.data import grid
from voxgan_jax.data.synthetic import pots
from voxgan_jax.inference import model_card
from voxgan_jax.models import weights

PRODUCTS = {"einsum", "matmul", "dot", "vdot", "tensordot", "inner", "dot_general", "convolve"}
COMPUTES = re.compile(r"^(import jax|import jax\.numpy as jnp|from jax import lax)$", re.MULTILINE)
IN_NUMPY = ("place.py", "sherds.py")
"""Modules with JAX in them whose `@` is NumPy's, which rounds nothing."""
LEARNED = ("models/conv.py", "models/kernel_gradient.py", "models/bricks.py")
"""Products with a network's weights, which learn with whatever precision the device has."""


def test_every_product_states_its_precision():
    """Wherever JAX computes, but for the layers of networks."""
    silent, stated = [], 0
    for path in sorted((ROOT / "voxgan_jax").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not COMPUTES.search(text) or path.as_posix().endswith(LEARNED):
            continue
        for node in ast.walk(ast.parse(text)):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                silent += [] if path.name in IN_NUMPY else [where]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                module = node.func.value
                if not isinstance(module, ast.Name) or module.id not in ("jnp", "lax", "jax"):
                    continue
                if node.func.attr in PRODUCTS:
                    given = any(word.arg == "precision" for word in node.keywords)
                    stated += given
                    silent += [] if given else [where]
    assert silent == []
    assert stated >= 10


def test_the_emulator_rounds_what_states_no_precision():
    x = jnp.asarray([[1 + 2.0**-12]], jnp.float32)
    assert tensor_float32(lambda x: jnp.matmul(x, x))(x) == 1
    exact = tensor_float32(lambda x: jnp.matmul(x, x, precision="highest"))(x)
    assert exact == jnp.matmul(x, x) > 1


def test_the_shipped_models_answers_hardly_change_in_tf32():
    """On sherds of synthetic pots; were the axis rated in TF32, by 0.02 of IoU and more of one."""
    generator, variables, config = weights.open_model(model_card.find())
    complete = functools.partial(models.complete, generator, models.output(config.generator))
    made = [pots.make_pot(seed, None, 60).astype(np.uint8) for seed in range(1, 5)]
    place = functools.partial(grid.place, placement=config.data.placement, source="a pot")
    whole = np.stack([place(pot, 64, pool=config.data.pool) > 0 for pot in made])
    d, h, w = np.indices(whole.shape[1:])
    # Narrow strips of the wall, each a little wider and less high.
    strips = [(d < 32) & (np.abs(h - 32) < 6 + n) & (w > 2 * n) for n in range(len(made))]
    given = whole & np.stack(strips)
    partial = jnp.asarray(given[..., None], jnp.float32)
    exact, rounded = (
        np.asarray(run(variables, partial))[..., 0]
        for run in (jax.jit(complete), tensor_float32(complete))
    )
    assert 0 < np.abs(exact - rounded).max() < 0.005

    def iou(probabilities):
        filled = probabilities > config.eval.threshold
        both, either = (filled & whole, filled | whole)
        return both.sum((1, 2, 3)) / either.sum((1, 2, 3))

    assert abs(iou(exact).mean() - iou(rounded).mean()) < 0.002
