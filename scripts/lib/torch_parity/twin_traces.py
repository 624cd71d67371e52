# pyright: reportMissingImports=false
"""Every number of a few training steps, from PyTorch; the counterpart of `traces`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from scripts.lib.torch_parity import step as twin_step
from scripts.lib.torch_parity.traces import (
    NETS,
    SGD_RATE,
    SGD_STEPS,
    Batch,
    Start,
    Values,
    adam_rates,
    channels_first,
    put,
    put_parameters,
    volumes,
)
from voxgan_jax.torch_twin import weights


def run_torch(
    start: Start, batches: list[Batch], *, device: str, dtype: torch.dtype = torch.float32
) -> Values:
    """The same from the twin. bfloat16 is autocast with float32 parameters, as JAX has it."""
    values: Values = {}
    reduced = dtype == torch.bfloat16
    stored = torch.float32 if reduced else dtype
    # Its cache would keep the discriminator's kernels from before their update.
    autocast = functools.partial(
        torch.autocast, device, torch.bfloat16, enabled=reduced, cache_enabled=False
    )

    tensor = functools.partial(_tensor, device=device, dtype=stored)
    twins = functools.partial(start.twins, device, stored)
    inputs = dict(zip(NETS, map(tensor, volumes(batches[0])), strict=True))
    names = set(weights.module_names(start.config.generator.num_res_blocks).values())
    for net, module in twins().items():

        def keep(_: Any, __: Any, out: torch.Tensor, key: str) -> None:
            values["Activations", key] = _numpy(out)

        hooks = [
            layer.register_forward_hook(functools.partial(keep, key=f"{net} {name}"))
            for name, layer in module.named_modules()
            if name in names
        ]
        with torch.no_grad(), autocast():
            values["Outputs", f"{net}, training"] = _numpy(module(inputs[net]))
            for hook in hooks:
                hook.remove()
            put(values, "Statistics after a pass", net, _statistics(module))
            values["Outputs", f"{net}, evaluation"] = _numpy(module.eval()(inputs[net]))

    take_step = functools.partial(torch_step, start, device=device, dtype=stored)
    modules = twins()
    optimizers = [torch.optim.SGD(module.parameters(), SGD_RATE) for module in modules.values()]
    for count, batch in enumerate(batches, start=1):
        with autocast():
            scalars = take_step(modules, optimizers, batch, count - 1)
        if count == 1:
            values |= {("Losses", name): _numpy(scalar) for name, scalar in scalars.items()}
        for net, module in modules.items():
            if count == 1:
                grads = {name: _numpy(value.grad) for name, value in module.named_parameters()}
                put(values, "Gradients", net, grads)
                put(values, "Statistics after 1 step", net, _statistics(module))
            if count in SGD_STEPS:
                put_parameters(values, "SGD", count, net, _parameters(module))

    modules = twins()
    rates = adam_rates(start.config)
    optimizers = [
        torch.optim.Adam(module.parameters(), rate)
        for module, rate in zip(modules.values(), rates, strict=True)
    ]
    with autocast():
        take_step(modules, optimizers, batches[0], 0)
    for net, module in modules.items():
        put_parameters(values, "Adam", 1, net, _parameters(module))
    return values


def torch_step(
    start: Start,
    modules: Mapping[str, torch.nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    batch: Batch,
    step: int,
    *,
    device: str,
    dtype: torch.dtype = torch.float32,
) -> dict[str, torch.Tensor]:
    """One step of the twins, in place, with the labels that JAX draws at `step`; its scalars."""
    labels = start.real_labels(step, len(batch["labels"]))
    partial, complete = (_tensor(volume, device, dtype) for volume in volumes(batch))
    return twin_step.train_step(
        modules["generator"],
        modules["discriminator"],
        optimizers[0],
        optimizers[1],
        partial,
        complete,
        _tensor(labels, device, dtype),
        recon_weight=start.config.loss.recon_weight,
    )


def _tensor(array: Any, device: str, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(channels_first(array), device=device).to(dtype)


def _numpy(value: Any) -> np.ndarray:
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy().copy()


def _parameters(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: _numpy(value) for name, value in module.named_parameters()}


def _statistics(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Of batch norm and spectral norm."""
    return {
        name: _numpy(value)
        for name, value in module.named_buffers()
        if not name.endswith("num_batches_tracked")
    }
