"""Evaluations side by side: pairing by file, seeds, groups, and what cannot be compared."""

import json

import pytest

from scripts import compare_scores
from scripts.lib import scores, summary
from voxgan_jax.evaluation.protocol import Record

PLACE = {"resolution": 64, "pool": 1, "placement": "center"}
IOUS = {"P0-a": 0.2, "P0-b": 0.4, "P1-a": 0.6, "P2-a": 0.9}


def records(add=0.0, surface=False, names=IOUS):
    rows = [
        Record(
            f"{name}.vox", name[:2], "10" if name[1] == "2" else "2", 3, 0.07 * (1 + int(name[1])),
            iou=IOUS[name] + add, dice=0.5, mse=0.01, missing_iou=0.25,
        )
        for name in names
    ]  # fmt: skip
    return [row._replace(chamfer=2.0 + add, f_score=0.75) for row in rows] if surface else rows


def write(folder, rows, threshold=0.5, **settings):
    summary.write(summary.summarise(rows, threshold=threshold) | PLACE | settings, rows, folder)
    return str(folder)


def cells(text, start):
    """The cells of the one line that starts with this cell."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def compare(tmp_path, *options):
    assert compare_scores.main([*options, "--out", str(tmp_path / "table.md")]) == 0
    return (tmp_path / "table.md").read_text()


def test_scores_and_paired_differences(tmp_path):
    plain = write(tmp_path / "plain", records())
    # In another order and with surfaces: files are matched by name.
    better = write(tmp_path / "better", records(0.05, True)[::-1], placement="corner")
    text = compare(tmp_path, plain, better)
    # Mean of 0.2, 0.4, 0.6, 0.9; every file gains 0.05, so the difference has no spread.
    mean = summary.intervals(records())["iou"]
    expected = f"0.5250 ({mean['low']:.4f} … {mean['high']:.4f})"
    row = cells(text, "plain")
    assert row[:4] == ["plain", "center", "0.5", expected]
    assert row[6:] == ["0.2500 (0.2500 … 0.2500)", "-", "-", "-"]
    row = cells(text, "better")
    assert row[1] == "corner" and row[3].startswith("0.5750 (")
    assert row[7:] == [
        "2.0500 (2.0500 … 2.0500)", "0.7500 (0.7500 … 0.7500)", "+0.0500 (+0.0500 … +0.0500)"
    ]  # fmt: skip
    assert "4 files of 3 pots" in text and "Chamfer distance" in text


def test_groups(tmp_path):
    text = compare(
        tmp_path, write(tmp_path / "a", records()), write(tmp_path / "b", records(-0.1)),
        "--names", "one", "two",
    )  # fmt: skip
    assert cells(text, "class") == ["class", "files", "pots", "one", "two"]
    # Class 2: 0.2, 0.4, 0.6 of two pots, before class 10: one pot, so no interval.
    assert cells(text, "2")[:3] == ["2", "3", "2"]
    assert cells(text, "2")[3].startswith("0.4000 (0.3000 … 0.6000)")
    assert cells(text, "10") == ["10", "1", "1", "0.9000", "0.8000"]
    # Shares 7 % (P0), 14 % (P1), 21 % (P2).
    assert cells(text, "5-10") == ["5-10", "2", "1", "0.3000", "0.2000"]
    assert cells(text, "20-30") == ["20-30", "1", "1", "0.9000", "0.8000"]
    assert cells(text, "30+") == ["30+", "0", "0", "-", "-"]
    assert "Chamfer" not in text


def test_folders_of_one_name_are_averaged_file_by_file(tmp_path):
    runs = [
        write(tmp_path / f"seed{i}", records(add), threshold)
        for i, (add, threshold) in enumerate([(0.1, 0.5), (0.0, 0.45), (-0.04, 0.5)])
    ]
    text = compare(
        tmp_path, *runs, write(tmp_path / "base", records()), "--reference", "base",
        "--names", "mine", "mine", "mine", "base",
    )  # fmt: skip
    row = cells(text, "mine, 3 runs")
    assert row[2] == "0.45, 0.5" and row[3].startswith("0.5450 (")
    assert row[-1] == "+0.0200 (+0.0200 … +0.0200)"
    assert cells(text, "base")[-1] == "-"


def test_a_difference_leaves_out_what_one_side_lacks():
    (row, *_) = scores.difference(records(0.3, True), records(0.1))
    assert row.chamfer is None
    assert row.iou == pytest.approx(0.2) and row.dice == 0
    (row, *_) = scores.mean([records(0.3, True), records(0.1, True)])
    assert (row[:5], row.chamfer) == (records()[0][:5], pytest.approx(2.2))


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (records()[:3], {}, r"'other' and 'a' were not scored .* \(see P2-a\.vox\)"),
        ([records()[0]._replace(fragment=2), *records()[1:]], {}, r"\(see P0-a\.vox\)"),
        ([*records(), records()[0]], {}, r"not scored on the same files, fragments and cube,"),
        (records(), {"pool": 2, "resolution": 32}, r"not scored on the same files, fragments and"),
    ],
)
def test_other_files_cannot_be_compared(rows, settings, message, tmp_path):
    folders = [write(tmp_path / "a", records()), write(tmp_path / "other", rows, **settings)]
    answers = [scores.read(folders[0], "a"), scores.read(folders[1], "other")]
    with pytest.raises(ValueError, match=message):
        scores.gather(answers)


def test_errors_are_one_line(tmp_path, capsys):
    good = write(tmp_path / "good", records())
    other = write(tmp_path / "other", records(), placement="shifted")
    out = ["--out", str(tmp_path / "table.md")]

    def error(*options):
        assert compare_scores.main([*options, *out]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "no answer is named 'x' (--reference); there are good" in error(good, "--reference", "x")
    assert "scored under different placements" in error(good, other, "--names", "a", "a")
    assert "No such file" in error(good, str(tmp_path / "gone"))
    (tmp_path / "other" / "metrics.json").write_text(json.dumps({"threshold": 0.5}))
    assert "not what scripts/evaluate.py writes (KeyError('resolution'))" in error(other)
    (tmp_path / "other" / "metrics.json").write_text("{")
    assert "not what scripts/evaluate.py writes" in error(other)
    assert not (tmp_path / "table.md").exists()
    for options in ([good, good], [good, "--names", "a", "b"]):
        with pytest.raises(SystemExit):
            compare_scores.main([*options, *out])
        assert "--names" in capsys.readouterr().err
