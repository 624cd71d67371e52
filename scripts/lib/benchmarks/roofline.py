"""The least time a step can take: every convolution's operations and bytes, against the machine's.

Counted are the convolutions, each pass reading its two operands and writing its result once in the
type of the computation, and Adam's reading and writing of its parameters. Normalisations and
rectifiers can be fused into the convolutions and count for nothing.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from scripts.lib.benchmarks import timing
from voxgan_jax.models.conv import DTYPES

ADAM_BYTES = 28
"""Adam reads parameter, gradient and both moments, and writes all but the gradient: 7 float32."""


class Layer(NamedTuple):
    """A convolution: `kind` is "down" or "up" (k4 s2), "same" (k3 s1) or "full" (all of the grid).

    `coarse` is the side of the smaller of its two grids, or of the input where "full".
    """

    net: str
    name: str
    kind: str
    coarse: int
    inputs: int
    outputs: int

    @property
    def kernel_size(self) -> int:
        """Side of the kernel."""
        return {"same": 3, "full": self.coarse}.get(self.kind, 4)

    @property
    def sides(self) -> tuple[int, int]:
        """Sides of the input's and of the output's grid."""
        fine, coarse = 2 * self.coarse, self.coarse
        return {
            "down": (fine, coarse),
            "up": (coarse, fine),
            "same": (coarse, coarse),
            "full": (coarse, 1),
        }[self.kind]

    def flops(self, batch_size: int) -> int:
        """Additions and multiplications of one pass, forward or backward; padding counts none."""
        taps = {"same": 3 * self.coarse - 2, "full": self.coarse}
        reached = taps.get(self.kind, 4 * self.coarse - 2)
        return 2 * batch_size * self.inputs * self.outputs * reached**3

    def values(self, batch_size: int) -> int:
        """Numbers that a pass must read and write: input, output and kernel, in some order."""
        before, after = self.sides
        kernel = self.kernel_size**3 * self.inputs * self.outputs
        return batch_size * (before**3 * self.inputs + after**3 * self.outputs) + kernel


class Ceilings(NamedTuple):
    """What the machine reaches: operations a second by dtype, bytes a second."""

    flops: dict[str, float]
    bandwidth: float


def layers(config: Any) -> list[Layer]:
    """Every convolution of the networks of a config; without an adversary there is no other."""
    side, b = config.data.resolution, config.generator.features
    found, channels = [], 1
    for n, name in enumerate(("enc1", "enc2", "enc3", "bottleneck")):
        found.append(Layer("generator", name, "down", side >> (n + 1), channels, b << n))
        channels = b << n
    for n in range(config.generator.num_res_blocks):
        for conv in ("conv1", "conv2"):
            found.append(Layer("generator", f"res{n}.{conv}", "same", side >> 4, 8 * b, 8 * b))
    wider = 2 if config.generator.skips else 1
    for n, name in enumerate(("dec1", "dec2", "dec3", "final")):
        outputs = 4 * b >> n if n < 3 else 1
        found.append(Layer("generator", name, "up", side >> (4 - n), channels, outputs))
        channels = wider * outputs
    if config.objective != "gan":
        return found
    f, channels = config.discriminator.features, 1
    for n in range(4):
        found.append(
            Layer("discriminator", f"conv{n + 1}", "down", side >> (n + 1), channels, f << n)
        )
        channels = f << n
    return [*found, Layer("discriminator", "final", "full", side >> 4, channels, 1)]


def passes(config: Any, what: str) -> Iterator[tuple[Layer, str, int]]:
    """How often a layer goes through each of its passes, forward, dx and dw.

    `what` is "step" for a training step, "complete" for one completion.
    """
    for layer in layers(config):
        first = layer.inputs == 1
        if what == "complete":
            if layer.net == "generator":
                yield layer, "forward", 1
        elif layer.net == "generator":
            yield from ((layer, "forward", 1), (layer, "dx", 0 if first else 1), (layer, "dw", 1))
        else:
            # Real and completed pots for its own loss; the completed ones again for the other's.
            yield from ((layer, "forward", 3), (layer, "dx", 1 if first else 3), (layer, "dw", 2))


def weight_gradients(config: Any) -> int:
    """How many convolutions a training step takes kernel gradients of; "full" ones are products."""
    steps = passes(config, "step")
    return sum(n for layer, way, n in steps if way == "dw" and layer.kind != "full")


def count(config: Any, what: str, batch_size: int, dtype: str) -> tuple[float, float]:
    """Operations and bytes of a training step ("step") or of a completion ("complete")."""
    size = jnp.dtype(DTYPES[dtype]).itemsize
    flops = sum(n * layer.flops(batch_size) for layer, _, n in passes(config, what))
    moved = sum(n * layer.values(batch_size) * size for layer, _, n in passes(config, what))
    return float(flops), float(moved + _adam_bytes(config, what))


def floor_seconds(config: Any, what: str, batch_size: int, dtype: str, ceilings: Ceilings) -> float:
    """The sum over all passes of the longer of computing and of moving."""
    size = jnp.dtype(DTYPES[dtype]).itemsize
    seconds = _adam_bytes(config, what) / ceilings.bandwidth
    for layer, _, n in passes(config, what):
        computing = layer.flops(batch_size) / ceilings.flops[dtype]
        moving = layer.values(batch_size) * size / ceilings.bandwidth
        seconds += n * max(computing, moving)
    return seconds


def _adam_bytes(config: Any, what: str) -> int:
    kernels = (layer.kernel_size**3 * layer.inputs * layer.outputs for layer in layers(config))
    return ADAM_BYTES * sum(kernels) if what == "step" else 0


def measure_ceilings(dtypes: list[str], rounds: int = 5) -> Ceilings:
    """What a large product and a large copy reach on the first device; the best of some rounds."""
    on_cpu = jax.default_backend() == "cpu"
    side, length = (1024, 2**25) if on_cpu else (8192, 2**30)
    runs: dict[str, timing.Run] = {}
    for dtype in dtypes:
        # Not of one value: a GPU multiplies those faster than what it meets in training.
        matrix = jax.random.normal(jax.random.key(0), (side, side), DTYPES[dtype])
        runs[dtype] = _run(jax.jit(jnp.matmul), matrix, matrix)
    runs["copy"] = _run(jax.jit(lambda x: x + 1), jnp.zeros(length // 4, jnp.float32))
    best = {
        name: min(values)
        for name, values in timing.interleaved(runs, rounds, min_seconds=0.05).items()
    }
    flops = {dtype: 2 * side**3 / best[dtype] for dtype in dtypes}
    return Ceilings(flops, 2 * length / best["copy"])


def _run(function: Any, *arguments: Any) -> timing.Run:
    return timing.repeated(functools.partial(function, *arguments), jax.block_until_ready)
