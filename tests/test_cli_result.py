"""What `voxgan complete` says about a result."""

import json
import pathlib
import sys
from typing import Any, cast

import pytest
from restored_bowl import MEASURES, placement, report

from voxgan_jax.cli import main
from voxgan_jax.cli import result as cli_result
from voxgan_jax.data import vox
from voxgan_jax.drawing import measures
from voxgan_jax.inference import bridge, confidence
from voxgan_jax.report import codec, record
from voxgan_jax.restore import batch, pot

PLACED = placement("Placed by its shape: a pot 447 mm high", "low", 0.3)
SURE = confidence.Confidence("high", 0.77, "high: expected overlap with the true pot 0.77")


class Answered:
    """Stands for a completion: what is said of it beside its report."""

    shift = (0, 0, 0)


def result(missing_mm3: float, **said: Any) -> batch.Result:
    told = report(given_voxels=3045, inferred_voxels=12687, confidence=SURE, **said)
    paths = [pathlib.Path("done/sherd.stl"), pathlib.Path("done/sherd.html")]
    written = pot.Written(paths, told, 6e6, missing_mm3, 0.776, 2)
    return batch.Result(written, cast(Any, Answered()))


@pytest.mark.parametrize(
    ("cubic_mm", "said"),
    [(4859201.0, "4 859 cm³"), (730269.0, "730 cm³"), (7080.0, "7.08 cm³")],
)
def test_volumes_are_written_out(cubic_mm, said):
    lines = cli_result.in_words(result(cubic_mm)).splitlines()
    assert lines[0] == "done/sherd.html: 3045 voxels given, 12687 inferred"
    assert lines[1:] == [
        "  confidence high: expected overlap with the true pot 0.77",
        f"  missing: 2 pieces of {said}, 0.78 mm or more from the original",
    ]


def test_the_place_follows_the_confidence():
    lines = cli_result.in_words(result(1.0, placement=PLACED)).splitlines()
    assert lines[1] == "  confidence high: expected overlap with the true pot 0.77"
    assert lines[2] == f"  {PLACED.sentence}"


def test_hypotheses_are_told_with_their_likelihoods():
    others = tuple(record.Hypothesis(share=n, measures=MEASURES) for n in (0.6875, 0.0938))
    assert "how likely: 69 %, 9 %" in cli_result.in_words(result(1.0, hypotheses=others))
    said = json.loads(cli_result.as_json(result(1.0, hypotheses=others)))
    assert said["hypotheses"] == codec.plain(others)


def test_what_was_joined_is_told():
    found = record.Pieces.of(bridge.Pieces(made=5, left=2, added=300, dropped=7), 15732)
    several = result(1.0, pieces=found)
    assert cli_result.in_words(several).splitlines()[2:4] == [
        "  joined by a guess: 2 % of the pot bridges its 5 pieces",
        "  in 2 pieces that no likely wall joins",
    ]
    assert json.loads(cli_result.as_json(several))["joined"] == codec.plain(found)
    whole = result(1.0, pieces=record.Pieces.of(bridge.Pieces(1, 1), 9))
    for one in (whole, result(1.0)):
        words = cli_result.in_words(one)
        assert "joined" not in words and "likely wall" not in words
    assert json.loads(cli_result.as_json(result(1.0)))["joined"] is None


def test_without_a_scale_it_says_so():
    lines = cli_result.in_words(result(1.0, scale=measures.NO_SCALE)).splitlines()
    assert lines[-1] == "  no scale given; 1 voxel taken as 1 mm (see --voxel-mm)"
    assert "scale" not in cli_result.in_words(result(1.0))


def test_nothing_typed_shows_what_there_is(capsys):
    assert main.main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "voxgan complete sherd.stl --out restored" in shown.err


def test_only_who_sits_at_a_terminal_and_asked_for_no_quiet_is_told_what_is_done(
    tmp_path, weights_file, capsys, monkeypatch
):
    (tmp_path / "a.stl").write_bytes(b"no scan")
    command = ["complete", str(tmp_path / "a.stl"), "--out", str(tmp_path / "done")]
    command += ["--weights", str(weights_file)]
    for terminal, option, steps in (
        (True, [], ["loading the model …", f"placing {tmp_path / 'a.stl'} by its shape …"]),
        (True, ["--as-is"], ["loading the model …", f"reading {tmp_path / 'a.stl'} …"]),
        (True, ["--quiet"], []),
        (True, ["--json"], []),
        (False, [], []),
    ):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        assert main.main([*command, *option]) == 1
        *told, error = capsys.readouterr().err.splitlines()
        assert told == steps and error.startswith("voxgan: "), (terminal, option)


def test_one_sherd_completed_before_is_named_with_its_page(
    tmp_path, weights_file, capsys, monkeypatch
):
    from voxgan_jax.data.synthetic import pots
    from voxgan_jax.pottery import fracture

    labels = fracture.fracture(2, pots.make_pot(5, None, 32), 4)
    vox.write(tmp_path / "pot.vox", labels)
    command = ["complete", str(tmp_path / "pot.vox"), "--fragment", "2", "--formats", "html"]
    command += ["json", "--out", str(tmp_path / "done"), "--weights", str(weights_file)]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main.main(command) == 0
    page = tmp_path / "done" / "pot_fragment2.html"
    said = capsys.readouterr()
    assert said.out.startswith(f"{page}: ")
    source = tmp_path / "pot.vox"
    steps = ("loading the model", f"reading {source}", f"completing {source}")
    steps += (f"drawing and writing {source}",)
    assert said.err.splitlines() == [f"{step} …" for step in steps]
    assert main.main(command) == 0
    assert (
        capsys.readouterr().out == f"{page}: completed before, as it would be now (see --again)\n"
    )
