"""The report on pots in pieces: its numbers on pots made for it."""

import json

import numpy as np
import pytest

from scripts import pieces_report
from scripts.lib import pieces

SIDE = 24
D, H, W = np.indices((SIDE, SIDE, SIDE))
RADIUS = np.hypot(D - 11.5, H - 11.5)
WALL = (np.abs(RADIUS - 8) < 1.5) & (W >= 3) & (W < 19)
BASE = (RADIUS < 9.5) & (W >= 19) & (W < 22)
PLATE = (RADIUS < 4) & (W == 3)


def measured(gap, plate):
    """The true pot has a plate, too."""
    volume = np.where(WALL | BASE, 0.9, 0.0)
    volume[WALL & (W >= 12)] = gap
    volume[PLATE] = plate
    sherd = WALL & (D > 15) & (W < 9)
    row = pieces.measured(volume.astype(np.float32), sherd, WALL | BASE | PLATE, 0.45)
    return {"name": f"{gap}{plate}.vox", "pot": "1/pot"} | row


@pytest.fixture(scope="module")
def rows():
    return [measured(0.2, 0.0), measured(0.9, 0.9), measured(0.9, 0.0)]


def test_pieces_and_scores_are_measured(rows):
    bridged, plated, whole = rows
    assert [row["made"] for row in rows] == [2, 2, 1]
    assert [row["left"] for row in rows] == [1, 1, 1]
    assert [row["of_truth"] for row in rows] == [2, 2, 2]
    assert [row["of_given"] for row in rows] == [1, 1, 1]
    (base,), (plate,), rest = (row["others"] for row in rows)
    assert not rest
    assert (base["plate"], plate["plate"]) == (False, True)
    assert (base["gap"], base["right"], plate["right"]) == (8, 1, 1)
    assert base["least"] == pytest.approx(0.2, abs=0.05) and plate["least"] < 0.01
    assert plate["share"] == pytest.approx(PLATE.sum() / (WALL | BASE | PLATE).sum())
    assert bridged["right"] <= bridged["added"]
    assert bridged["after"]["iou"] > bridged["before"]["iou"]
    # The plate is in the true pot, but not in its biggest piece.
    assert plated["before"]["iou"] == plated["after"]["iou_of_biggest"] == 1
    assert plated["after"]["iou"] == plated["before"]["iou_of_biggest"] < 1
    iou, dice = (whole["before"][name] for name in ("iou", "dice"))
    assert whole["after"] == whole["before"] and dice == pytest.approx(2 * iou / (1 + iou))


def test_the_tables_hold_the_numbers(rows, tmp_path, capsys):
    path = tmp_path / "pieces.json"
    path.write_text(json.dumps(rows))
    assert pieces_report.main(["--read", str(path)]) == 0
    text = capsys.readouterr().out
    assert "| the model's pot is in pieces | 2 | 66.7 % |" in text
    assert "| a bridge was laid | 1 | 33.3 % |" in text
    assert "| only dropped was something | 1 | 33.3 % |" in text
    assert "| still in pieces | 0 | 0.0 % |" in text
    assert "| plate | 1 | 1 |" in text and "| 10 % or more | 1 | 1 |" in text
    change = np.mean([row["after"]["iou"] - row["before"]["iou"] for row in rows])
    assert f"{change:+.4f} (" in text


def test_an_interval_is_over_pots_not_files():
    values = np.array([1.0] * 20 + [0.0] * 20)
    pots = ["a"] * 20 + ["b"] * 20
    assert pieces.interval(values, pots) == (0, 1)
    low, high = pieces.interval(values, [f"p{n}" for n in range(40)])
    assert 0.3 < low < 0.5 < high < 0.7


def test_wrong_options_are_refused(capsys):
    for argv in ([], ["--data_dir", "x", "--every", "0"]):
        with pytest.raises(SystemExit) as error:
            pieces_report.main(argv)
        assert error.value.code == 2
    assert "--every: 0 is below 1" in capsys.readouterr().err
