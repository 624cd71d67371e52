"""The script that kills a run again and again."""

import json

import in_process
from conftest import ROOT

from scripts.lib import chaos
from scripts.lib.chaos_report import Attempt, draw, steps_lost, summarise


def test_three_kills_change_nothing(tmp_path, monkeypatch):
    def command_for(*args):
        python, *command = full_command(*args)
        tiny = [str(ROOT / "tests" / "on_loopback.py"), *command, "--config.generator.kind=tiny"]
        return [python, *tiny]

    # A start takes half the time.
    full_command = chaos.command_for
    monkeypatch.setattr(chaos, "command_for", command_for)
    out = tmp_path / "chaos.json"
    # Without a discriminator likewise.
    options = ("--kills", 3, "--seed", 1, "--objective", "regression", "--out", out)
    done = in_process.run("scripts/chaos.py", *options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Bit for bit the same after 3 kills." in done.stdout
    record = json.loads(out.read_text())
    assert record["differences"] == []
    assert record["by_phase"] == {"start-up": 1, "training": 1, "saving": 1}
    assert record["steps_lost_max_after_sigterm"] == 0
    # At least one start went on from a checkpoint.
    assert any(attempt["resumed"] for attempt in record["attempts"])
    assert record["by_signal"]["SIGKILL"] > 0
    # A checkpoint every 5 steps; the last may still be on its way.
    assert record["steps_lost_max"] <= 10
    assert record["attempts"][-1]["steps"][-1][1] == record["steps"] == 76
    assert out.with_suffix(".png").stat().st_size > 5000


def test_steps_lost_are_those_done_twice(tmp_path):
    def attempt(phase, signal, resumed, last, ended):
        steps = [(ended - 1.0, last)] if last > resumed else []
        return Attempt(ended - 2.0, phase, signal, resumed, steps, ended)

    attempts = [
        attempt("training", "SIGKILL", 0, 13, 2.0),
        Attempt(2.0, "start-up", "SIGKILL", None, [], 3.0),
        attempt("saving", "SIGTERM", 10, 21, 5.0),
        attempt("training", "SIGKILL", 21, 29, 8.0),
        attempt("", "", 20, 40, 11.0),
    ]
    assert [n for _, n in steps_lost(attempts)] == [0, 3, 0, 9]
    summary = summarise(attempts)
    assert summary["kills"] == 4
    assert (summary["steps_lost_median"], summary["steps_lost_max"]) == (1.5, 9)
    assert summary["steps_lost_max_after_sigterm"] == 0
    assert summary["by_signal"] == {"SIGKILL": 3, "SIGTERM": 1}
    assert summary["seconds"] == 11.0
    draw(attempts, tmp_path / "chaos.png")
    assert (tmp_path / "chaos.png").stat().st_size > 5000
