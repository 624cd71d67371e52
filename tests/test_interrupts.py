"""Ctrl-C: 130 and one line, whenever it comes."""

import ast
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from scripts.lib import interrupts
from voxgan_jax.cli import commands
from voxgan_jax.devices import interruption

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

ENV = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMP")}
ENV |= {"PYTHONPATH": str(ROOT)}


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def ended(code, *, wait_for="ready", times=1):
    """How a program ends that is interrupted when it has said a word, or never."""
    begin = "from voxgan_jax.devices import interruption; interruption.start('try.py')\n"
    begin += "import os, sys, time\nfrom voxgan_jax.cli import commands\n"
    process = subprocess.Popen(
        [sys.executable, "-c", begin + code],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    while wait_for and wait_for not in (line := process.stdout.readline()):
        assert line, process.communicate()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    # A child that lives on keeps its output open, so this waits for it, too.
    out, err = process.communicate(timeout=60)
    return process.returncode, err, out


def test_three_interrupts_of_a_command(vox_dir, tmp_path):
    sherds = tmp_path / "sherds"
    sherds.mkdir()
    for number, path in enumerate(sorted(vox_dir.rglob("*.vox"))[:7]):
        shutil.copy(path, sherds / f"s{number}.vox")
    command = [sys.executable, "-m", "voxgan_jax.cli", "complete", str(sherds)]
    for after in (interrupts.python_start(), 1.5, 4.0):
        out = tmp_path / f"{after}"
        end = interrupts.interrupt([*command, "--out", str(out)], after, out, ENV)
        assert not end.early and end.good, end


def test_before_and_after_its_work_a_program_ends_at_once():
    told = "try.py: stopped\n"
    assert ended("print('ready', flush=True); time.sleep(9)")[:2] == (130, told)
    late = "import atexit; atexit.register(lambda: print('ready', flush=True) or time.sleep(9))\n"
    assert ended(late + "interruption.leave(commands.exit_code('try.py', int))")[:2] == (130, told)


def test_while_it_works_it_clears_up_and_says_so_once():
    code = """
def work():
    try:
        print("ready", flush=True)
        time.sleep(9)
    finally:
        time.sleep(0.2)
        print("cleared")
interruption.leave(commands.exit_code("try.py", work, stopped="all is whole"))
"""
    assert ended(code) == (130, "try.py: stopped; all is whole\n", "cleared\n")


def test_a_program_that_is_not_stopped_ends_with_its_code_and_what_it_printed():
    code = "import atexit; atexit.register(print, 'last')\nprint('all')\ninterruption.leave(3)"
    assert ended(code, wait_for="", times=0) == (3, "", "all\nlast\n")


def test_children_end_with_a_program_that_is_stopped():
    code = """
import multiprocessing
def work():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    print("ready", child.pid, flush=True)
    time.sleep(9)
interruption.leave(commands.exit_code("try.py", work))
"""
    assert ended(code)[:2] == (130, "try.py: stopped; nothing was written\n")


def test_no_thread_tells_that_what_it_works_with_is_cleared_away():
    code = """
import threading
from multiprocessing import util
cleared = threading.Event()
def lean():
    cleared.wait()
    raise OSError("handle is closed")
def work():
    util.Finalize(None, lambda: cleared.set() or time.sleep(0.2), exitpriority=1)
    threading.Thread(target=lean, daemon=True).start()
    print("ready", flush=True)
    time.sleep(9)
interruption.leave(commands.exit_code("try.py", work))
"""
    assert ended(code)[:2] == (130, "try.py: stopped; nothing was written\n")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_is_left_at_once_whatever_it_is_at(workers):
    """Placing and compiling are calls of minutes, which Python does not break off."""
    code = f"""
import hashlib
from voxgan_jax.restore import pool
def items():
    print("ready", flush=True)
    yield hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)
def work():
    with pool.side_by_side({workers}, ()) as each:
        list(each(len, items()))
if __name__ == "__main__":
    interruption.leave(commands.exit_code("try.py", work))
"""
    assert ended(code)[:2] == (130, "try.py: stopped; nothing was written\n")


def test_where_it_is_ignored_it_stays_so(monkeypatch):
    monkeypatch.setattr(interruption, "_program", [])
    monkeypatch.setattr(interruption.atexit, "register", lambda _: None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interruption.start("try.py")
        assert commands.exit_code("try.py", lambda: interrupt() or time.sleep(0.1)) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_no_import_is_broken_off(tmp_path, monkeypatch):
    (tmp_path / "slow_to_load.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
        "for _ in range(999): pass\nwhole = 1"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), interruption.raising() as came:
        import slow_to_load  # type: ignore[import-not-found]

        assert slow_to_load.whole and came
        time.sleep(5)
    assert sys.modules.pop("slow_to_load").whole


def test_it_is_not_lost_where_python_would_only_print_it(capsys):
    class Loud:
        def __del__(self):
            interrupt()
            for _ in range(999):
                pass

    with pytest.raises(KeyboardInterrupt), interruption.raising():
        del_me = [Loud()]
        del_me.clear()
        time.sleep(5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("becomes", ["nothing", "another error"])
def test_it_is_known_where_a_library_swallowed_it(becomes, capsys):
    def work():
        try:
            interrupt()
            time.sleep(5)
        except KeyboardInterrupt:
            if becomes == "another error":
                raise RuntimeError("a library failed") from None

    assert commands.exit_code("try.py", work) == 130
    assert capsys.readouterr().err == "try.py: stopped; nothing was written\n"


def test_it_waits_where_it_is_held():
    done = []
    with pytest.raises(KeyboardInterrupt), interruption.raising():
        with interruption.held():
            interrupt()
            time.sleep(0.1)
            done.append("held")
        time.sleep(5)
    assert done == ["held"]


def test_what_was_before_is_put_back():
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert commands.exit_code("try.py", lambda: 0) == 0
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


@pytest.mark.parametrize(
    "path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.name
)
def test_every_script_provides_for_it_before_it_imports_what_takes_long(path: pathlib.Path):
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            names.append(module or "")
    ours = [name for name in names if name.split(".")[0] not in sys.stdlib_module_names]
    assert ours[0] == "scripts.lib.start"


def test_a_script_ends_so_while_it_imports(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "--help"]
    end = interrupts.interrupt(command, interrupts.python_start(), tmp_path, ENV)
    assert end.early or end.good, end
    assert end.code != 0 and end.said == ("evaluate.py: stopped",)
