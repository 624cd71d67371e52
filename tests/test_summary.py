"""The summary's numbers and intervals are right, and its files hold them."""

import csv
import json

import numpy as np
import pytest

from scripts.lib import summary as report
from voxgan_jax.evaluation.protocol import Record


def record(pot="P", value=0.5, *, category="1", share=0.07, name="f.vox"):
    return Record(name, pot, category, 2, share, value, value, value, value)


def test_summary_by_class_and_share():
    records = [
        record("A", 0.2, category="2", share=0.03),
        record("B", 0.4, category="10", share=0.05),
        record("B", 0.6, category="10", share=0.299),
        record("C", 1.0, category="2", share=0.30),
    ]
    summary = report.summarise(records, threshold=0.3, seed=4, resamples=100)
    assert summary["iou"]["mean"] == pytest.approx(0.55)
    assert (summary["files"], summary["pots"]) == (4, 3)
    assert (summary["threshold"], summary["seed"], summary["resamples"]) == (0.3, 4, 100)
    assert list(summary["by_class"]) == ["2", "10"]
    assert summary["by_class"]["2"]["iou"]["mean"] == pytest.approx(0.6)
    # One pot has no interval.
    assert summary["by_class"]["10"]["dice"] == {
        "mean": pytest.approx(0.5),
        "low": None,
        "high": None,
    }
    sizes = {name: group["files"] for name, group in summary["by_share"].items()}
    assert sizes == {"0-5": 1, "5-10": 1, "10-20": 0, "20-30": 1, "30+": 1}
    assert summary["by_share"]["10-20"]["mse"] == {"mean": None, "low": None, "high": None}


def test_equal_names_in_two_classes_are_two_pots():
    records = [record("A", 0.2, category="1"), record("A", 0.4, category="2")]
    assert report.summarise(records)["pots"] == 2


def test_no_records_is_an_error():
    with pytest.raises(ValueError, match="no file was scored"):
        report.summarise([])


def test_bootstrap_of_two_clusters_takes_its_three_values():
    # Means when drawing (a, a), (a, b) or (b, a), (b, b): 1/1, 5/3, 4/2; chances 1/4, 1/2, 1/4.
    means = report.bootstrap(np.array([[1.0], [4.0]]), np.array([1.0, 2.0]), 0, 4000)[:, 0]
    values, counts = np.unique(means.round(9), return_counts=True)
    np.testing.assert_allclose(values, [1, 5 / 3, 2], rtol=1e-6)
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_intervals_count_pots_not_files():
    values = np.random.default_rng(0).random(40)
    width = {}
    for clustered in (True, False):
        records = [
            record(f"P{pot}" if clustered else f"P{pot}-{file}", value)
            for pot, value in enumerate(values.tolist())
            for file in range(9)
        ]
        iou = report.summarise(records)["iou"]
        assert iou["mean"] == pytest.approx(values.mean())
        width[clustered] = iou["high"] - iou["low"]
    # Nine equal files say no more than one: the interval is √9 times as wide as if they did, and
    # that of 40 independent pots.
    assert width[True] / width[False] == pytest.approx(3, rel=0.12)
    assert width[True] == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.1)


def test_summary_is_reproducible_and_seeded():
    records = [record(f"P{i}", i / 10) for i in range(10)]
    assert report.summarise(records, seed=1) == report.summarise(records, seed=1)
    assert report.summarise(records, seed=1)["iou"] != report.summarise(records, seed=2)["iou"]


def test_files_hold_the_numbers_and_no_nan(tmp_path):
    records = [
        record("A", 0.25, name="a,b.vox", category="a very long class name of a user's"),
        record("B", 0.75),
    ]
    summary = report.summarise(records)
    path = report.write(summary, records, tmp_path / "deep" / "out")
    assert sorted(item.name for item in path.parent.iterdir()) == ["metrics.json", "per_file.csv"]

    def refuse(constant):
        raise AssertionError(constant)

    loaded = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert loaded == summary
    for metric in ("iou", "dice", "mse", "missing_iou"):
        assert loaded[metric] == {"mean": 0.5, "low": 0.25, "high": 0.75}
    with (path.parent / "per_file.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a,b.vox", "f.vox"]
    assert [float(row["iou"]) for row in rows] == [0.25, 0.75]
    assert list(rows[0]) == [
        "name", "pot", "category", "fragment", "share", "iou", "dice", "mse", "missing_iou"
    ]  # fmt: skip


def surface_record(pot="P", value=0.5, **others):
    return record(pot, value, **others)._replace(chamfer=4 * value, f_score=value / 2)


def test_surface_scores_are_summarised_and_written_where_there_are_any(tmp_path):
    records = [surface_record("A", 0.25), surface_record("B", 0.75, share=0.5)]
    summary = report.summarise(records)
    assert summary["chamfer"] == {"mean": 2, "low": 1, "high": 3}
    assert summary["by_share"]["30+"]["f_score"]["mean"] == 0.375
    assert summary["by_share"]["0-5"]["chamfer"]["mean"] is None
    path = report.write(summary, records, tmp_path)
    assert json.loads(path.read_text())["f_score"] == {"mean": 0.25, "low": 0.125, "high": 0.375}
    header, *rows = (tmp_path / "per_file.csv").read_text().splitlines()
    assert header.endswith(",missing_iou,chamfer,f_score")
    assert rows[1].endswith(",0.75,3,0.375")
    text = report.table(summary)
    assert "Chamfer        2.0000   1.0000 – 3.0000" in text
    assert "30+                  1     1    3.0000        0.3750" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "Chamfer" not in report.table(report.summarise([record()]))


def test_a_nan_is_not_written(tmp_path):
    summary = report.summarise([record()])
    summary["iou"]["mean"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        report.write(summary, [record()], tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_table_fits_the_console():
    records = [record("A", 0.25, category="a very long class name"), record("B", 0.75, share=0.5)]
    text = report.table(report.summarise(records))
    assert max(map(len, text.splitlines())) <= 80
    assert "IoU            0.5000   0.2500 – 0.7500" in text
    assert "2 files of 2 pots, threshold 0.5" in text
    assert "a very long cla      1     1   0.2500  - – -" in text


@pytest.mark.parametrize("make", [record, surface_record])
def test_records_are_read_as_they_were_written(make, tmp_path):
    records = [make("A", 0.25, name="a,b.vox"), make("B", 0.75, share=0.5)]
    report.write(report.summarise(records), records, tmp_path)
    assert report.read_records(tmp_path / "per_file.csv") == records
