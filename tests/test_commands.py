"""How commands end."""

import subprocess
import sys

import pytest

from voxgan_jax.cli import commands


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_what_the_work_returns(returned, code, capsys):
    assert commands.exit_code("try.py", lambda: returned) == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("pot.vox: bad"), 1, "try.py: pot.vox: bad\n"),
        (FileNotFoundError(2, "No such file", "pot.vox"), 1, "No such file: 'pot.vox'\n"),
        (ModuleNotFoundError("No module named 'tensorflow'"), 1, "named 'tensorflow'\n"),
        (KeyboardInterrupt(), 130, "try.py: stopped; nothing was written\n"),
    ],
)
def test_one_line_for_what_went_wrong(error, code, line, capsys):
    def work():
        raise error

    assert commands.exit_code("try.py", work) == code
    said = capsys.readouterr().err
    assert said.startswith("try.py: ") and said.endswith(line) and said.count("\n") == 1


def test_a_fault_of_ours_is_not_hidden():
    with pytest.raises(KeyError):
        commands.exit_code("try.py", lambda: {}["missing"])


@pytest.mark.parametrize("lines", [1, 30_000])
def test_a_reader_that_has_gone_is_no_fault(lines):
    code = f"""
import sys
from voxgan_jax.cli import commands
sys.stdin.read()  # until the reader has gone
sys.exit(commands.exit_code("try.py", lambda: print("a line\\n" * {lines})))
"""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as writer:
        assert writer.stdin and writer.stdout and writer.stderr
        writer.stdout.close()
        writer.stdin.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 1


def test_another_broken_pipe_is_told(capsys):
    def work():
        raise BrokenPipeError(32, "a worker has gone")

    assert commands.exit_code("try.py", work) == 1
    assert "a worker has gone" in capsys.readouterr().err
