"""One run at a time trains in a folder, and nothing in it leads a run to other files."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from voxgan_jax.inference import completer
from voxgan_jax.training import loop, workdir

HOLD = """
import sys, time
from voxgan_jax.training import workdir
with workdir.alone(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_is_refused_and_changes_nothing(resident_config, tmp_path):
    with workdir.alone(tmp_path):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(workdir.OccupiedError) as caught:
            loop.train(resident_config, tmp_path)
        assert str(caught.value).startswith(f"{tmp_path}: another run is being trained there; wait")
        assert sorted(tmp_path.iterdir()) == before
    assert not list(tmp_path.iterdir())
    with workdir.alone(tmp_path):
        pass


def test_a_run_in_training_can_be_restored_with(run_file):
    with workdir.alone(run_file.parent):
        assert completer.load(workdir=run_file.parent).resolution == 32


def test_a_folder_made_for_nothing_goes_again(tmp_path):
    with pytest.raises(ZeroDivisionError), workdir.alone(tmp_path / "new"):
        _ = 1 / 0
    assert not (tmp_path / "new").exists()


def test_without_locks_it_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    def flock(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(workdir.fcntl, "flock", flock)
    with workdir.alone(tmp_path):
        pass
    assert caplog.text.count("knows no locks (Operation not supported)") == 1


def test_a_killed_run_lets_go(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "held\n"
    with pytest.raises(workdir.OccupiedError), workdir.alone(tmp_path):
        pass
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    with workdir.alone(tmp_path):
        pass


def test_links_lead_to_no_other_file(resident_config, tmp_path):
    """As they could by names that are known before: those of earlier temporary files, the lock."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.tmp").symlink_to(mine)
    workdir.save_config(resident_config, run, started=False)
    assert workdir.load_config(run).to_dict() == resident_config.to_dict()
    (run / workdir.LOCK_FILE).symlink_to(mine)
    with pytest.raises(OSError, match="symbolic link"), workdir.alone(run):
        pass
    assert mine.read_text() == "mine" and (run / "config.tmp").is_symlink()
