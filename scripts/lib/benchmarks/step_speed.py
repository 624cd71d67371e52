"""Training steps and completions of several configs, JAX beside the PyTorch twin, in one run."""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from scripts.lib.benchmarks import jax_speed, roofline, timing

PYTORCH = "PyTorch"
COLUMNS = (
    "config",
    "name",
    "ms",
    "ms min",
    "ms max",
    "samples/s",
    "GiB",
    "of floor",
    "vs PyTorch",
    "failed",
)
MIN_SECONDS = 0.2  # of one measurement, in which as many steps run as fit


def load_config(name: str) -> Any:
    """The config of that name in `configs/`; ValueError where there is none."""
    try:
        return importlib.import_module(f"configs.{name}").get_config()
    except ModuleNotFoundError as error:
        raise ValueError(f"no config named {name!r} in configs/: {error}") from None


def measure(
    names: Sequence[str],
    *,
    what: str,
    resolution: int,
    batch_size: int,
    dtypes: Sequence[str],
    rounds: int,
    torch_modes: Sequence[str],
    sources: Sequence[str],
) -> list[timing.Row]:
    """A row for each config and way to run it.

    Args:
        names: of configs.
        what: "step" for training steps, "complete" for completions.
        torch_modes: of "eager" and "compiled"; nothing leaves PyTorch out.
        sources: of "host" and "resident", where JAX's training batches come from.

    Rows hold milliseconds a step (median, least, most), samples a second and the share of the
    floor (`roofline`) by the median, GiB of memory, and how many times as fast as the fastest
    PyTorch row of that config. A way that cannot run has the reason under `failed`.
    """
    if torch_modes and jax.device_count() > 1:
        raise ValueError(
            "PyTorch runs on one device here: let JAX see one, as by CUDA_VISIBLE_DEVICES=0, or"
            " leave PyTorch out by --torch none"
        )
    ceilings = roofline.measure_ceilings(list(dtypes))
    rows = []
    for name in names:
        config = load_config(name)
        ready: dict[str, jax_speed.Candidate] = {}
        failed: dict[str, str] = {}
        for dtype in dtypes:
            sized = jax_speed.with_options(config, resolution, batch_size, dtype)
            for title, make in _ways(what, sized, torch_modes, sources):
                try:
                    candidate = make()
                    candidate.run(1)  # Memory may run out only here.
                    ready[title] = candidate
                # Whatever keeps one way from running, the others are still worth measuring.
                except Exception as error:
                    failed[title] = f"{type(error).__name__}: {str(error).strip()[:60]}"
        seconds = timing.interleaved(
            {title: candidate.run for title, candidate in ready.items()},
            rounds,
            min_seconds=MIN_SECONDS,
        )
        lines = []
        for title, candidate in ready.items():
            sized = jax_speed.with_options(config, resolution, batch_size, candidate.dtype)
            floor = roofline.floor_seconds(sized, what, batch_size, candidate.dtype, ceilings)
            floor /= jax.device_count()
            one = [value / candidate.steps for value in seconds[title]]
            lines.append(_row(name, title, one, candidate.memory, floor, batch_size))
        rows += with_peer(lines)
        rows += [{"config": name, "name": title, "failed": why} for title, why in failed.items()]
    return [*rows, *_ceiling_rows(ceilings)]


def _ways(
    what: str, config: Any, torch_modes: Sequence[str], sources: Sequence[str]
) -> Iterator[tuple[str, Callable[[], jax_speed.Candidate]]]:
    """The names of all ways to run a config, and what makes each ready."""
    dtype = config.generator.dtype
    if what == "complete":
        yield f"JAX {dtype}", functools.partial(jax_speed.completion, config)
    else:
        makers = {"host": jax_speed.step_from_host, "resident": jax_speed.step_from_device}
        for source in sources:
            yield f"JAX {dtype}, {source} data", functools.partial(makers[source], config)
    if not torch_modes:
        return
    from scripts.lib.benchmarks import torch_speed

    device = torch_speed.setup()
    make = {"step": torch_speed.training_step, "complete": torch_speed.completion}[what]
    for mode in torch_modes:
        for memory_format in torch_speed.FORMATS:
            yield (
                f"{PYTORCH} {dtype}, {mode}, {memory_format}",
                functools.partial(
                    make,
                    config,
                    memory_format=memory_format,
                    compiled=mode == "compiled",
                    device=device,
                ),
            )


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def _row(
    config: str,
    title: str,
    seconds: Sequence[float],
    memory: float | None,
    floor: float,
    batch_size: int,
) -> timing.Row:
    row = timing.row(title, "ms", [1e3 * value for value in seconds], config=config)
    return row | {
        "ms": row["median"],
        "ms min": row["min"],
        "ms max": row["max"],
        "samples/s": 1e3 * batch_size / row["median"],
        "GiB": None if memory is None else memory / 2**30,
        "of floor": 1e3 * floor / row["median"],
    }


def with_peer(rows: Sequence[timing.Row]) -> list[timing.Row]:
    """The rows with `vs PyTorch`: the fastest PyTorch row's median over their own."""
    peers = [row["median"] for row in rows if row["name"].startswith(PYTORCH)]
    if not peers:
        return list(rows)
    return [row | {"vs PyTorch": min(peers) / row["median"]} for row in rows]


def _ceiling_rows(ceilings: roofline.Ceilings) -> Iterator[timing.Row]:
    for dtype, flops in ceilings.flops.items():
        yield {"config": "ceiling", "name": f"{flops / 1e12:.3g} TFLOP/s, product in {dtype}"}
    yield {"config": "ceiling", "name": f"{ceilings.bandwidth / 1e9:.3g} GB/s, copy"}
