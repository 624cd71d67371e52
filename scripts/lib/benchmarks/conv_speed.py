"""Every convolution of the models, each pass in each form: which form is fastest."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from scripts.lib.benchmarks import roofline, timing
from voxgan_jax.models import conv

PASSES = ("forward", "dx", "dw")
SLOWER = 20.0  # a form that takes so many times the fastest is not measured further

_CONVOLUTIONS = {
    "down": conv.conv_k4s2,
    "up": conv.conv_transpose_k4s2,
    "same": conv.conv_k3s1,
}


def measure(
    configs: Sequence[Any],
    *,
    batch_size: int,
    rounds: int,
    dtype: str = "float32",
    forms: Sequence[str] = conv.FORMS[1:],
) -> list[timing.Row]:
    """A row for each layer: milliseconds of every pass in every form, and the fastest form.

    Layers of equal shape in several configs are measured once. The winner has the least sum of its
    passes' shortest times; "auto" names what `conv.choose_form` takes now. The first layer of a
    network has no `dx` in training, of the generator's at least; its sum leaves `dx` out.
    """
    rows = {}
    for layer in (layer for config in configs for layer in roofline.layers(config)):
        shape = (layer.kind, layer.coarse, layer.inputs, layer.outputs)
        if layer.kind == "full" or shape in rows:  # "full" has one form only
            continue
        rows[shape] = _measure_layer(layer, batch_size, rounds, dtype, forms)
    return list(rows.values())


def _measure_layer(
    layer: roofline.Layer, batch_size: int, rounds: int, dtype: str, forms: Sequence[str]
) -> timing.Row:
    milliseconds: dict[str, dict[str, float]] = {form: {} for form in forms}
    for name in PASSES:
        runs = {form: prepare(layer, name, form, batch_size, dtype) for form in forms}
        seconds = timing.interleaved(runs, rounds, min_seconds=0.02, give_up=SLOWER)
        for form, values in seconds.items():
            milliseconds[form][name] = 1e3 * min(values)
    counted = [name for name in PASSES if name != "dx" or layer.inputs > 1]
    totals = {form: sum(times[name] for name in counted) for form, times in milliseconds.items()}
    best = min(totals, key=totals.__getitem__)
    chosen = conv.choose_form("auto", layer.kind, jax.default_backend())
    return {
        "layer": f"{layer.kind} {layer.coarse}³ {layer.inputs}→{layer.outputs}",
        **{f"{form} {name}": milliseconds[form][name] for form in forms for name in PASSES},
        "fastest": best,
        "auto": chosen,
        "auto/fastest": totals[chosen] / totals[best] if chosen in totals else None,
    }


def prepare(layer: roofline.Layer, name: str, form: str, batch_size: int, dtype: str) -> timing.Run:
    """One pass of a layer, compiled, ready to be timed."""
    function = functools.partial(_CONVOLUTIONS[layer.kind], form=form)
    before, after = layer.sides
    size = layer.kernel_size
    keys = jax.random.split(jax.random.key(0), 3)
    # Drawn flat: XLA takes seconds to compile a draw of five dimensions.
    draw = functools.partial(_normal, dtype=conv.DTYPES[dtype])
    x = draw(keys[0], (batch_size, before, before, before, layer.inputs))
    kernel = draw(keys[1], (size, size, size, layer.inputs, layer.outputs))
    cotangent = draw(keys[2], (batch_size, after, after, after, layer.outputs))
    compiled = jax.jit(_pass(function, name)).lower(x, kernel, cotangent).compile()
    once = functools.partial(compiled, x, kernel, cotangent)
    return timing.repeated(once, jax.block_until_ready)


def _pass(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The output, or a gradient, of a convolution as a function of (x, kernel, cotangent)."""
    return {
        "forward": lambda x, kernel, g: function(x, kernel),
        "dx": lambda x, kernel, g: jax.vjp(lambda x: function(x, kernel), x)[1](g)[0],
        "dw": lambda x, kernel, g: jax.vjp(lambda kernel: function(x, kernel), kernel)[1](g)[0],
    }[name]


def _normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    length = 1
    for side in shape:
        length *= side
    return jnp.asarray(jax.random.normal(key, (length,), jnp.float32).reshape(shape), dtype)
