"""A script run in the tests' own process, as starting Python with JAX takes seconds each time."""

import contextlib
import io
import logging
import pathlib
import runpy
import signal
import sys
import warnings
from typing import NamedTuple
from unittest import mock

# Else the first script that is run would load it, and Ctrl-C then end the tests' process.
import scripts.lib.start  # noqa: F401

import jax
from absl import app, flags
from absl import logging as absl_logging
from conftest import ROOT


class Done(NamedTuple):
    """How a script ended, as of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def run(path: str | pathlib.Path, *arguments: object) -> Done:
    """Run a script of the repository with arguments; what it changes of the process is put back."""
    argv = [str(ROOT / path), *map(str, arguments)]
    app.define_help_flags()  # once, else they would be taken for the script's
    known, handlers = set(flags.FLAGS), list(logging.root.handlers)
    verbosity = absl_logging.get_verbosity()
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out, err = io.StringIO(), io.StringIO()
    with (
        # Libraries' own are errors in tests, and not seen by users.
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "orig_argv", [sys.executable, *argv]),
        mock.patch.object(sys, "path", [str(ROOT / "scripts"), *sys.path]),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        try:
            runpy.run_path(argv[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                print(code, file=err)
                code = 1
        finally:
            for name in set(flags.FLAGS) - known:
                delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
            logging.root.handlers = handlers
            absl_logging.set_verbosity(verbosity)
            for number, handler in signals.items():
                signal.signal(number, handler)
    return Done(code or 0, out.getvalue(), err.getvalue())


def run_logged(command: list[str], log_path: pathlib.Path, python_path: str) -> int:
    """Stands in for `runs.run_logged` of the ablations."""
    assert command[0] == sys.executable and python_path == str(ROOT)
    done = run(*command[1:])
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a") as log:
        print(f"$ {' '.join(command)}", done.stdout, done.stderr, sep="\n", file=log)
    return done.returncode
