# pyright: reportMissingImports=false
"""Training steps and completions of the PyTorch twin, ready to be timed. Needs PyTorch."""

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo

from scripts.lib.benchmarks import jax_speed, timing
from scripts.lib.torch_parity import step
from voxgan_jax.torch_twin import model

FORMATS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
POLL_SECONDS = 0.002


def setup() -> str:
    """Make PyTorch as fast as it goes, and return the device to use, "cuda" or "cpu"."""
    torch.backends.cudnn.benchmark = True
    # All candidates share the code of the networks; past 8 programs of it PyTorch turns to eager.
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    # JAX multiplies float32 in TF32 on a GPU, too.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return "cuda" if torch.cuda.is_available() else "cpu"


def training_step(
    config: Any, *, memory_format: str, compiled: bool, device: str
) -> jax_speed.Candidate:
    """Steps of `torch_parity.step` under Adam, on a batch that is on the device already.

    bfloat16 is autocast. `compiled` compiles both networks with `torch.compile`.
    """
    held = held_memory(device)
    nets = _networks(config, memory_format, compiled, device)
    rates = (config.optim.generator_learning_rate, config.optim.discriminator_learning_rate)
    betas = (config.optim.b1, config.optim.b2)
    adam = functools.partial(torch.optim.Adam, betas=betas, fused=True)
    optimizers = [adam(net.parameters(), rate) for net, rate in zip(nets, rates, strict=True)]
    volumes = _volumes(config, memory_format, device)
    low, high = config.loss.real_label_low, config.loss.real_label_high
    autocast = _autocast(config, device)
    take_step = functools.partial(
        step.train_step, *nets, *optimizers, recon_weight=config.loss.recon_weight
    )

    def once() -> None:
        labels = torch.empty(len(volumes[0]), device=device).uniform_(low, high)
        with autocast():
            take_step(*volumes, labels)

    return _candidate(config.generator.dtype, once, device, held)


def completion(
    config: Any, *, memory_format: str, compiled: bool, device: str
) -> jax_speed.Candidate:
    """The generator in evaluation mode on a batch that is on the device already."""
    held = held_memory(device)
    generator = _networks(config, memory_format, compiled, device)[0].eval()
    partial, _ = _volumes(config, memory_format, device)
    autocast = _autocast(config, device)

    def once() -> None:
        with torch.inference_mode(), autocast():
            generator(partial)

    return _candidate(config.generator.dtype, once, device, held)


def _networks(config: Any, memory_format: str, compiled: bool, device: str) -> list[Any]:
    generator = model.Generator(
        config.generator.features, config.generator.num_res_blocks, config.generator.skips
    )
    discriminator = model.Discriminator(
        config.discriminator.features,
        config.discriminator.spectral_norm_iterations,
        config.data.resolution,
    )
    nets = [generator, discriminator]
    for net in nets:
        net.to(device=device, memory_format=FORMATS[memory_format])
        if compiled:
            net.compile(dynamic=False)
    return nets


def _volumes(config: Any, memory_format: str, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    batch = jax_speed.host_batch(config.train.batch_size, config.data.resolution)
    labels = torch.from_numpy(batch["labels"]).to(device)[:, None]

    def volume(full: torch.Tensor) -> torch.Tensor:
        return full.float().contiguous(memory_format=FORMATS[memory_format])

    return volume(labels == 2), volume(labels > 0)


def _autocast(config: Any, device: str) -> Callable[[], Any]:
    reduced = config.generator.dtype == "bfloat16"
    # Its cache would keep the discriminator's kernels from before their update.
    return functools.partial(
        torch.autocast, device, torch.bfloat16, enabled=reduced, cache_enabled=False
    )


def held_memory(device: str) -> float:
    """Bytes of a GPU that belong to PyTorch's tensors now: those of the candidates before."""
    return float(torch.cuda.memory_allocated()) if device == "cuda" else 0.0


def _candidate(
    dtype: str, once: Callable[[], None], device: str, held: float
) -> jax_speed.Candidate:
    """`once` made ready: compiled, its algorithms chosen, and its memory taken."""

    def wait(_: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    run = timing.repeated(once, wait)
    run(1)
    peak = peak_memory(functools.partial(run, 1), device)
    return jax_speed.Candidate(dtype, run, peak - held)


def peak_memory(action: Callable[[], None], device: str) -> float:
    """Bytes that an action took at most: allocated on a GPU, or resident on a CPU.

    On a GPU that is all that PyTorch holds meanwhile. On a CPU it is what the process grew by, so
    less than the truth where memory of before is used again.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        action()
        return float(torch.cuda.max_memory_allocated())
    before = peak = resident_bytes()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(POLL_SECONDS):
            peak = max(peak, resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    return float(peak - before)


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; 0 where the system does not say as Linux does."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
