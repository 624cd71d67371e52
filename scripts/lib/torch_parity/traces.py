# pyright: reportMissingImports=false
"""Every number of a few training steps, from JAX; `twin_traces` has them from PyTorch.

Names and layouts are those of the PyTorch state dict.
"""

import contextlib
import dataclasses
import functools
import unittest.mock
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from voxgan_jax.data import fragments
from voxgan_jax.torch_twin import weights
from voxgan_jax.training import build, objectives
from voxgan_jax.training.state import Net, NetState, TrainState

NETS: tuple[str, str] = ("generator", "discriminator")
SGD_RATE = 0.01
SGD_STEPS = (1, 2, 5)
"""After how many steps parameters are compared."""

Batch = Mapping[str, np.ndarray]
"""`labels` uint8 (b, d, h, w) and `given` bool (b, 256)."""

Values = dict[tuple[str, str], np.ndarray]
"""Everything that one framework computes, by (section, name)."""


def twin(variables: weights.Variables) -> torch.nn.Module:
    """The PyTorch network with the weights of our variables, in training mode."""
    state = weights.to_torch(variables)
    module = weights.build(*weights.describe(state))
    module.load_state_dict(state)
    return module


class Start(NamedTuple):
    """What both frameworks start from: the modules of a config and the state of a new run."""

    config: Any
    modules: dict[str, Any]
    state: TrainState

    def real_labels(self, step: int, count: int) -> jax.Array:
        """The labels of complete pots that the JAX step draws at `step`."""
        rng = jax.random.fold_in(self.state.rng, step)
        bounds = self.config.loss.real_label_low, self.config.loss.real_label_high
        return jax.random.uniform(rng, (count,), jnp.float32, *bounds)

    def twins(self, device: str, dtype: torch.dtype = torch.float32) -> dict[str, torch.nn.Module]:
        """Both networks in PyTorch with the same weights."""
        return {
            name: twin(jax.device_get(self.state.nets[name].variables())).to(device, dtype)
            for name in NETS
        }

    def refined(self) -> "Start":
        """The same for `float64`; no value changes."""

        def refine(leaf: Any) -> Any:
            return np.asarray(leaf, np.float64) if leaf.dtype == np.float32 else leaf

        modules = {name: module.clone(dtype=np.float64) for name, module in self.modules.items()}
        return Start(self.config, modules, jax.tree.map(refine, self.state))


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """What the package's code calls float32 is float64 here: its own functions without rounding.

    In float32 gradients jump where rounding takes a rectifier's input to the other side of 0; no
    two programs agree on that.
    """
    with jax.enable_x64(True), unittest.mock.patch.object(jnp, "float32", jnp.float64):
        yield


def make_start(config: Any, seed: int = 0) -> Start:
    """The modules and the state; its optimisers do nothing yet."""
    nets = {
        name: net._replace(tx=optax.identity())
        for name, net in objectives.build(config, axis_name=None).nets.items()
    }
    config = config.copy_and_resolve_references()
    config.seed = seed
    create = functools.partial(build.initial_state, config, objectives.build(config, nets))
    return Start(config, {name: net.module for name, net in nets.items()}, jax.jit(create)())


def volumes(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """(partial, complete), float32 (b, d, h, w, 1)."""
    partial, complete = fragments.select(batch["labels"], batch["given"])
    return np.asarray(partial, np.float32), np.asarray(complete, np.float32)


def channels_first(volume: Any) -> np.ndarray:
    """From (b, d, h, w, c) to (b, c, d, h, w); anything of another rank stays."""
    array = np.asarray(volume)
    array = array if array.dtype == np.float64 else array.astype(np.float32)
    return array.transpose(0, 4, 1, 2, 3) if array.ndim == 5 else array


# JAX.


def keep_gradients(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` that also keeps the gradients of its last update, in its state."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        moves, inner = tx.update(updates, state[1], params)
        return moves, (updates, inner)

    return optax.GradientTransformation(
        lambda params: (jax.tree.map(jnp.zeros_like, params), tx.init(params)), update
    )


def jax_stepper(
    start: Start, tx_g: optax.GradientTransformation, tx_d: optax.GradientTransformation
) -> tuple[Callable[..., Any], TrainState]:
    """The training step of the package, compiled, and the state that it starts from."""
    nets = {
        name: Net(start.modules[name], keep_gradients(tx))
        for name, tx in zip(NETS, (tx_g, tx_d), strict=True)
    }
    ready = {
        name: dataclasses.replace(net, opt_state=nets[name].tx.init(net.params))
        for name, net in start.state.nets.items()
    }
    step = objectives.build(start.config, nets, axis_name=None).step
    return jax.jit(step), dataclasses.replace(start.state, nets=ready)


def _arrays(net: NetState, tree: Any) -> dict[str, np.ndarray]:
    return weights.to_names(jax.device_get(tree), spectral=bool(net.spectral_stats))


def jax_runner(start: Start) -> Callable[[list[Batch]], Values]:
    """What takes batches and returns everything that is compared, compiled once.

    The numbers are those of the package's own modules and training step.
    """
    names = weights.module_names(start.config.generator.num_res_blocks)

    def passes(module: Any, variables: Any, volume: jax.Array) -> Any:
        """A pass in training mode, one in evaluation mode, and what the first one left behind."""
        mutable = ["batch_stats", "spectral_stats", "intermediates"]
        capture = {"mutable": mutable, "capture_intermediates": True}
        out, moved = module.apply(variables, volume, train=True, **capture)
        layers = moved.pop("intermediates")
        return out, module.apply(variables | moved, volume, train=False), layers, moved

    run_passes = {
        name: jax.jit(functools.partial(passes, module)) for name, module in start.modules.items()
    }
    sgd_step, sgd_state = jax_stepper(start, optax.sgd(SGD_RATE), optax.sgd(SGD_RATE))
    with jax.numpy_dtype_promotion("standard"):
        adam_step, adam_state = jax_stepper(start, *map(optax.adam, adam_rates(start.config)))

    def run(batches: list[Batch]) -> Values:
        values: Values = {}
        inputs = dict(zip(NETS, volumes(batches[0]), strict=True))
        for name, net in start.state.nets.items():
            outputs = jax.device_get(run_passes[name](net.variables(), inputs[name]))
            train, evaluated, layers, moved = outputs
            values["Outputs", f"{name}, training"] = channels_first(train)
            values["Outputs", f"{name}, evaluation"] = channels_first(evaluated)
            put(values, "Statistics after a pass", name, _arrays(net, moved))
            # What a module hands out is kept as a tuple of one.
            flat: dict[Any, Any] = flax.traverse_util.flatten_dict(layers)
            for (*path, _), (out,) in flat.items():
                if module := names.get("/".join(path)):
                    values["Activations", f"{name} {module}"] = channels_first(out)

        state = sgd_state
        for count, batch in enumerate(batches, start=1):
            state, scalars = sgd_step(state, batch)
            if count == 1:
                kept = [name for name in scalars if not name.startswith("grad_norm")]
                values |= {("Losses", name): np.asarray(scalars[name]) for name in kept}
            for name, net in state.nets.items():
                if count == 1:
                    grads = _arrays(net, {"params": net.opt_state[0]})
                    stats = {"batch_stats": net.batch_stats, "spectral_stats": net.spectral_stats}
                    put(values, "Gradients", name, grads)
                    put(values, "Statistics after 1 step", name, _arrays(net, stats))
                if count in SGD_STEPS:
                    put_parameters(values, "SGD", count, name, _arrays(net, _params(net)))

        with jax.numpy_dtype_promotion("standard"):
            state, _ = adam_step(adam_state, batches[0])
        for name, net in state.nets.items():
            put_parameters(values, "Adam", 1, name, _arrays(net, _params(net)))
        return values

    return run


def _params(net: NetState) -> dict[str, Any]:
    return {"params": net.params}


def put(values: Values, section: str, net: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Every array of a network under its own name."""
    values |= {(section, f"{net} {name}"): array for name, array in arrays.items()}


def put_parameters(
    values: Values, rule: str, count: int, net: str, arrays: Mapping[str, np.ndarray]
) -> None:
    """All parameters of a network as one vector, but for those that do nothing."""
    kept = [arrays[name].ravel() for name in sorted(arrays) if not normalised_away(name, arrays)]
    values[f"Parameters after {count} {rule} steps", net] = np.concatenate(kept)


def normalised_away(name: str, names: Container[str]) -> bool:
    """Whether it is a bias that the batch norm behind it takes out: its gradient is all rounding.

    The norm is the next layer of the same Sequential.
    """
    layer, _, leaf = name.rpartition(".")
    stem, _, index = layer.rpartition(".")
    return leaf == "bias" and f"{layer}.bias" in names and f"{stem}.{int(index) + 1}.bias" in names


def adam_rates(config: Any) -> tuple[float, float]:
    """Of the generator and of the discriminator."""
    return config.optim.generator_learning_rate, config.optim.discriminator_learning_rate
