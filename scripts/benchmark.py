#!/usr/bin/env python3
"""Measure speed: medians and spread over interleaved rounds, as a table and, with --json, a file.

    scripts/benchmark.py --what step                      training steps, JAX beside PyTorch
    scripts/benchmark.py --what complete                  the model's completions, likewise
    scripts/benchmark.py --what sherds                    voxgan complete as typed, and its stages
    scripts/benchmark.py --what scans                     voxgan complete on many scans
    scripts/benchmark.py --what app                       waiting in voxgan app, for pot and new pot
    scripts/benchmark.py --what conv                      every convolution, pass and form
    scripts/benchmark.py --what scaling                   training steps on 1, 2 and 4 devices
    scripts/benchmark.py --what hlo                       exit 1 if XLA left a convolution slow
    scripts/benchmark.py --what gpu_program --json FILE   the same for GPUs that are not here
    scripts/benchmark.py --what input --data_dir DIR      training batches from tf.data

On a GPU the defaults are 64³ and batch 64, on a CPU small enough to end in minutes. PyTorch, where
it is installed, gets its batch on the device; JAX also with batches from the host. The floor is
what the convolutions need at the speed of a large product and a large copy, measured in the run.
For gpu_program nothing is run: every step and completion is compiled for one and for eight H100s,
a minute each. It goes on from what FILE holds.
"""

import argparse
import functools
import json
import os
import pathlib
import platform
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

from scripts.lib import command
from scripts.lib.benchmarks import timing
from voxgan_jax.cli import commands
from voxgan_jax.devices import accelerator

Result = tuple[list[timing.Row], tuple[str, ...], int]


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    # Two frameworks share the GPU here; JAX alone would take three quarters of it at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    accelerator.prepare()
    try:
        rows, columns, code = MEASUREMENTS[args.what](args)
    except (OSError, ValueError, ImportError) as error:
        print(f"benchmark.py: {error}", file=sys.stderr)
        return 1
    print(f"\n{timing.table(rows, columns)}\n")
    where = circumstances()
    print("; ".join(f"{name}: {value}" for name, value in where.items()))
    if args.json:
        _write(args, rows)
    return code


def _write(args: argparse.Namespace, rows: list[timing.Row]) -> None:
    from voxgan_jax.files import write_whole

    where = circumstances()
    report = {"what": args.what, "arguments": sys.argv[1:], "where": where, "rows": rows}
    write_whole(args.json, json.dumps(report, indent=2) + "\n")


def circumstances() -> dict[str, Any]:
    """What was measured on: devices, cores, versions, and the memory taken at most."""
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if "resource" in sys.modules or os.name == "posix":
        import resource

        found["peak GiB of RAM"] = round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
        )
    if jax := sys.modules.get("jax"):
        device = jax.devices()[0]
        found["jax"] = jax.__version__
        found["devices"] = f"{jax.device_count()} {device.device_kind}"
        if memory := device.memory_stats():
            found["peak GiB of JAX"] = round(memory["peak_bytes_in_use"] / 2**30, 2)
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.__version__
    return found


def _step(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import step_speed

    modes = tuple(mode for mode in args.torch or ("eager", "compiled") if mode != "none")
    if modes and not step_speed.has_torch():
        print("PyTorch is not installed: JAX alone (pip install 'voxgan_jax[torch]')")
        modes = ()
    rows = step_speed.measure(
        args.configs or ["baseline"] if _on_cpu() else args.configs or ["baseline", "resnet_sn"],
        what=args.what,
        resolution=args.resolution or (32 if _on_cpu() else 64),
        batch_size=args.batch_size or (4 if _on_cpu() else 64),
        dtypes=args.dtypes or ["float32", "bfloat16"],
        rounds=args.repeats,
        torch_modes=modes,
        sources=args.sources,
    )
    return rows, step_speed.COLUMNS, 0


def _conv(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import conv_speed, jax_speed, step_speed

    small = _on_cpu()
    # XLA's own strided forms take seconds a pass on a CPU.
    forms = args.forms or (["s2d", "matmul", "onednn"] if small else ["lax", "s2d", "matmul"])
    batch_size = args.batch_size or (2 if small else 64)
    dtype = (args.dtypes or ["float32" if small else "bfloat16"])[0]
    configs = [
        jax_speed.with_options(step_speed.load_config(name), args.resolution or 64, 1, dtype)
        for name in args.configs or ["baseline", "resnet_sn"]
    ]
    rows = conv_speed.measure(
        configs, batch_size=batch_size, rounds=args.repeats, dtype=dtype, forms=forms
    )
    print(f"\nmilliseconds, batch {batch_size}, {dtype}")
    return rows, tuple(rows[0]), 0


def _scaling(args: argparse.Namespace) -> Result:
    import jax

    from scripts.lib.benchmarks import scaling

    small = _on_cpu()
    options = ["--torch", "none", "--sources", *args.sources, "--repeats", str(args.repeats)]
    options += ["--configs", *(args.configs or ["baseline"])]
    options += ["--dtypes", *(args.dtypes or ["float32" if small else "bfloat16"])]
    options += ["--resolution", str(args.resolution or (32 if small else 64))]
    rows = scaling.measure(
        __file__,
        options,
        batch_size=args.batch_size or (2 if small else 64),
        platform=jax.default_backend(),
        available=jax.device_count(),
    )
    return rows, scaling.COLUMNS, 0


def _hlo(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import hlo, jax_speed, roofline, step_speed

    dtypes = args.dtypes or ["float32" if _on_cpu() else "bfloat16"]
    rows, faulty = [], False
    for name in args.configs or ["baseline", "resnet_sn"]:
        for dtype in dtypes:
            config = jax_speed.with_options(
                step_speed.load_config(name),
                args.resolution or (32 if _on_cpu() else 64),
                args.batch_size or (4 if _on_cpu() else 64),
                dtype,
            )
            wanted = roofline.weight_gradients(config)
            found = hlo.check(
                jax_speed.compiled_text(config), weight_gradients=None if _on_cpu() else wanted
            )
            print(*(f"{name} {dtype}: {fault}" for fault in found.faults), sep="\n")
            faulty |= bool(found.faults)
            rows.append({"name": f"{name} {dtype}", **found.counts, "faults": len(found.faults)})
    if not any(row.keys() - {"name", "faults"} for row in rows):
        print("No convolution in these programs (on a CPU they are products): nothing was checked.")
    columns = dict.fromkeys(key for row in rows for key in row)
    return rows, tuple(columns), int(faulty)


def _gpu_program(args: argparse.Namespace) -> Result:
    # The plug-in would look for a GPU, and describe none where it finds none.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from scripts.lib.benchmarks import gpu_program

    if reason := gpu_program.missing():
        raise ImportError(reason)
    rows: list[timing.Row] = []
    if args.json and args.json.is_file():
        report = json.loads(args.json.read_text(encoding="utf-8"))
        if report["what"] != args.what or report["where"]["jax"] != circumstances()["jax"]:
            raise ValueError(f"{args.json} holds something else; name another file, or delete it")
        rows = report["rows"]
    wanted = gpu_program.programs(
        args.configs or gpu_program.CONFIGS,
        args.ways or ("jit", "pmap"),
        args.dtypes or ("bfloat16", "float32"),
        args.devices or (1, 8),
    )
    keep = functools.partial(_write, args, rows) if args.json else lambda: None
    gpu_program.measure(list(wanted), rows, keep)
    return rows, gpu_program.COLUMNS, int(any(row.get("failed") or row["faults"] for row in rows))


def _input(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import input_speed

    rows = input_speed.measure(
        args.data_dir,
        resolution=args.resolution or 64,
        batch_size=args.batch_size or 64,
        rounds=args.repeats,
    )
    return rows, input_speed.COLUMNS, 0


def _sherds(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import sherd_speed

    rows = sherd_speed.measure(
        args.data_dir, count=args.sherds or 32, rounds=args.repeats, options=_formats(args)
    )
    return rows, sherd_speed.COLUMNS, 0


def _scans(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import sherd_speed

    rows = sherd_speed.measure_scans(
        args.data_dir, count=args.sherds or 100, options=_formats(args)
    )
    return rows, sherd_speed.COLUMNS, 0


def _formats(args: argparse.Namespace) -> list[str]:
    return ["--formats", *args.formats] if args.formats else []


def _app(args: argparse.Namespace) -> Result:
    from scripts.lib.benchmarks import app_speed

    rows = app_speed.measure(args.data_dir, count=args.sherds or 6)
    return rows, app_speed.COLUMNS, 0


def _on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--what", choices=sorted(MEASUREMENTS), required=True)
    parser.add_argument("--configs", nargs="+", metavar="NAME", help="files of configs/")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--batch_size", type=int, help="for scaling: of each device")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "bfloat16"))
    parser.add_argument("--torch", nargs="+", choices=("eager", "compiled", "none"))
    parser.add_argument(
        "--sources", nargs="+", choices=("host", "resident"), default=["host", "resident"]
    )
    parser.add_argument("--ways", nargs="+", choices=("jit", "pmap"), help="for gpu_program")
    parser.add_argument("--devices", nargs="+", type=int, help="for gpu_program (default: 1 8)")
    parser.add_argument(
        "--forms", nargs="+", choices=("lax", "s2d", "matmul", "onednn"), help="for conv"
    )
    parser.add_argument(
        "--data_dir",
        help="a prepared data set for input, .vox files for sherds, scans and app (default: drawn)",
    )
    parser.add_argument(
        "--sherds", type=int, help="how many in one command (default: 32, 100 scans) or dropped (6)"
    )
    parser.add_argument("--formats", nargs="+", help="of voxgan complete (default: all)")
    parser.add_argument("--json", type=pathlib.Path, help="also write the numbers to this file")
    return parser.parse_args(argv)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "step": _step,
    "complete": _step,
    "conv": _conv,
    "scaling": _scaling,
    "hlo": _hlo,
    "gpu_program": _gpu_program,
    "input": _input,
    "sherds": _sherds,
    "scans": _scans,
    "app": _app,
}

if __name__ == "__main__":
    leave(commands.exit_code("benchmark.py", main))
