"""The ablation's table and figures: pairing with known numbers, curves, which pots are shown."""

import json

import matplotlib.image
import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from scripts.lib import completions_figure, scores, summary
from scripts.lib.ablation import curves_figure, data, noise, variants, variants_report
from voxgan_jax.data import folder
from voxgan_jax.evaluation.protocol import Record


def record(pot, name, iou, category="4"):
    return Record(name, pot, category, 2, 0.25, iou, iou + 0.125, 0.5 - iou / 2, iou / 2)


BASE = [record("A", "a1", 0.25), record("A", "a2", 0.5), record("B", "b1", 0.75)]
BETTER = [record("B", "b1", 1.0), record("A", "a1", 0.5), record("A", "a2", 0.25)]


def test_pairs_by_file_whatever_the_order():
    pairs = scores.difference(BETTER, BASE)
    assert [(pair.name, pair.iou) for pair in pairs] == [("b1", 0.25), ("a1", 0.25), ("a2", -0.25)]
    # The MSE here is 0.5 - IoU / 2.
    assert [pair.mse for pair in pairs] == [-0.125, -0.125, 0.125]
    mean = scores.mean([BASE, BETTER])
    assert [row.iou for row in mean] == [0.375, 0.375, 0.875]
    assert mean[0][:5] == BASE[0][:5]


@pytest.mark.parametrize(
    "other",
    [BASE[:2], [*BASE, BASE[0]], [BASE[0], BASE[1], BASE[2]._replace(fragment=3)]],
    ids=["a file less", "a file twice", "another fragment"],
)
def test_refuses_to_pair_other_files(other):
    with pytest.raises(
        ValueError, match="the runs were not scored on the same files, fragments and cube"
    ):
        scores.difference(BASE, other)


def test_compares_each_model_with_the_one_before_and_the_baseline():
    rows = variants.compare({"baseline": {0: BASE, 1: BETTER}, "wide_generator": {0: BETTER}})
    assert rows["baseline"]["paper"]["iou"] == 0.5347
    assert rows["baseline"]["by_seed"]["0"]["iou"] == pytest.approx(0.5)
    assert rows["baseline"]["by_seed"]["1"]["iou"] == pytest.approx(1.75 / 3)
    ours = rows["baseline"]["ours"]
    # Mean files: A 0.375 and 0.375, B 0.875; a resample draws two pots, with A alone at the least.
    assert ours["iou"] == {"mean": pytest.approx(1.625 / 3), "low": 0.375, "high": 0.875}
    assert (ours["files"], ours["pots"]) == (3, 2)
    assert rows["baseline"]["over_previous"] is rows["baseline"]["over_baseline"] is None
    over = rows["wide_generator"]["over_baseline"]
    # Differences: A 0.125 and -0.125, B 0.125.
    assert over["to"] == "baseline"
    assert over["iou"] == {"mean": pytest.approx(0.125 / 3), "low": 0.0, "high": 0.125}
    assert rows["wide_generator"]["over_previous"] == over


def test_the_difference_of_pots_that_gain_alike_is_certain():
    """The interval is paired: pots differ by 0.5, the gain is 0.25 for each."""
    gain = [row._replace(iou=row.iou + 0.25) for row in BASE]
    rows = variants.compare({"baseline": {0: BASE}, "resnet_sn": {0: gain}})
    assert rows["resnet_sn"]["ours"]["iou"]["high"] > rows["resnet_sn"]["ours"]["iou"]["low"] + 0.3
    assert rows["resnet_sn"]["over_baseline"]["iou"] == {"mean": 0.25, "low": 0.25, "high": 0.25}


def test_table_names_failed_runs_and_pairs_with_what_is_there():
    runs = {"baseline": {0: BASE}, "wide_generator": {}, "spectral_norm": {0: BETTER}}
    rows = variants.compare(runs)
    lines = variants.table(rows, {"wide_generator": [0], "spectral_norm": [1]}).splitlines()
    assert lines[0].startswith("| model | IoU, paper | IoU | Dice, paper | Dice | MSE, paper |")
    assert lines[2].startswith("| baseline | 0.5347 | 0.5000 (0.3750 … 0.7500) | 0.6790 |")
    assert lines[3].startswith("| + wider generator | 0.5414 | failed | 0.6842 | failed | 0.0494 |")
    assert lines[3].endswith("| failed | - (failed: 0) |")
    assert lines[4].endswith("| 0 (failed: 1) |")
    # Nothing to compare with in the row before it, so only the baseline.
    assert len(lines) == 9
    assert lines[8].startswith("| + spectral norm | baseline | +0.0833 (+0.0000 … +0.2500) |")


def test_table_of_one_model_on_one_pot_has_no_intervals_and_no_differences():
    lines = variants.table(variants.compare({"resnet_sn": {0: BASE[:2]}}), {}).splitlines()
    assert lines[2:] == [
        "| + ResBlocks, lower L1 | 0.5864 | 0.3750 | 0.7237 | 0.5000 | 0.0425 | 0.3125 | 0 |"
    ]


def test_pots_from_noise_have_a_table_of_their_own(tmp_path):
    """A column a run, in the order given, and the floor: pots that were learned from."""
    for name, value in (("gan3d_seed0", 0.25), ("wgan_gp_noise_seed1", 0.5)):
        rows = {"from noise": value, "untrained": 1.0, "training pots": 0.125}
        text = json.dumps({"scores": {row: {"mmd_iou": got} for row, got in rows.items()}})
        (tmp_path / name / "test").mkdir(parents=True)
        (tmp_path / name / "test" / "scores.json").write_text(text)
    paths = [tmp_path / "gan3d_seed0", tmp_path / "wgan_gp_noise_seed1"]
    lines = noise.table(noise.read(paths, "test")).splitlines()
    judge = "Wasserstein critic, gradient penalty, seed 1"
    assert lines[0] == f"| pots from noise | 3D-GAN | {judge} | training pots |"
    assert lines[2:] == ["| mmd_iou | 0.2500 | 0.5000 | 0.1250 |"]
    assert noise.table({}) == ""


def test_reads_the_scores_that_an_evaluation_wrote(tmp_path):
    rows = [row._replace(name=f"{row.name}, 1.vox") for row in BASE]
    place = {"resolution": 32, "pool": 1, "placement": "center"}
    summary.write(summary.summarise(rows) | place, rows, tmp_path)
    assert scores.read(tmp_path, "a").records == rows
    (tmp_path / "per_file.csv").write_text("name,pot\na,b\n")
    with pytest.raises(ValueError, match=r"not what scripts/evaluate\.py writes"):
        scores.read(tmp_path, "a")


def write_events(path, points, as_tensor=False):
    writer = EventFileWriter(str(path))
    for wall_time, step, value in points:
        entry = Summary.Value(tag="d_real_prob")
        if as_tensor:
            entry.tensor.CopyFrom(make_tensor_proto(np.float32(value)))
        else:
            entry.simple_value = value
        summary = Summary(value=[entry])
        writer.add_event(Event(wall_time=wall_time, step=step, summary=summary))
    writer.close()


@pytest.mark.parametrize("as_tensor", [False, True])
def test_reads_all_of_a_resumed_run_and_the_later_value_of_a_step(tmp_path, as_tensor):
    points = [(step, step, 0.25) for step in range(1, 2001)]
    points += [(3000 + step, step, 0.5) for step in range(2000, 2003)]
    write_events(tmp_path, points, as_tensor)
    curve = curves_figure.read_scalars(tmp_path, ["d_real_prob"])["d_real_prob"]
    np.testing.assert_array_equal(curve.steps, np.arange(1, 2003))
    np.testing.assert_array_equal(curve.values, [0.25] * 1999 + [0.5] * 3)
    with pytest.raises(ValueError, match="g_loss was never logged there"):
        curves_figure.read_scalars(tmp_path, ["g_loss"])
    with pytest.raises(FileNotFoundError, match="train that run again"):
        curves_figure.read_scalars(tmp_path / "no", ["g_loss"])


def test_smoothing_averages_what_is_there():
    np.testing.assert_allclose(
        curves_figure.smooth(np.array([0.0, 3.0, 6.0, 3.0]), 3), [1.5, 3, 4, 4.5]
    )
    np.testing.assert_allclose(curves_figure.smooth(np.array([1.0, 2.0]), 5), [1.0, 2.0])


def colours_in(path):
    image = matplotlib.image.imread(path)[..., :3]
    return {tuple(pixel) for pixel in np.round(image.reshape(-1, 3) * 15).astype(int)}


def test_figure_1_has_a_colour_for_each_model(tmp_path):
    steps = np.arange(10, 210, 10)

    def runs(scale):
        values = scale * np.linspace(0.1, 0.9, 20)
        return [{name: curves_figure.Curve(steps, values) for name in variants_report.PANELS}]

    path = tmp_path / "figure1.png"
    both = {"baseline": runs(1.0), "spectral_norm": runs(0.5)}
    curves_figure.draw(both, variants_report.PANELS, path)
    shown = colours_in(path)
    for colour in curves_figure.COLOURS[:2]:
        rgb = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        assert tuple(round(15 * part) for part in rgb) in shown


def test_figure_2_shows_different_pots_evenly_spread():
    records = [record(f"P{k}", f"P{k}-{j}", 0.5) for k in range(9) for j in (2, 1)]
    names = completions_figure.choose_files(records, 3)
    assert names == ["P0-1", "P4-2", "P8-1"]
    assert len(completions_figure.choose_files(records, 20)) == 9
    with pytest.raises(ValueError, match="x: not among the files of the split"):
        completions_figure.keep_named([], ["x"])


def test_chooses_so_many_pots_with_all_their_files(vox_dir, tmp_path):
    items = folder.scan(vox_dir)
    chosen = data.choose_pots(items, 4, 2)
    data.link_files(chosen, vox_dir, tmp_path / "vox")
    linked = folder.scan(tmp_path / "vox")
    pots = {split: {i.pot for i in linked if i.split == split} for split in folder.SPLITS}
    assert {split: len(names) for split, names in pots.items()} == {
        "train": 3, "validation": 1, "test": 2,
    }  # fmt: skip
    assert len(linked) == 12  # two files a pot
    for item in linked:
        original = next(one for one in items if one.path.name == item.path.name)
        assert (item.split, item.category) == (original.split, original.category)
        assert item.path.read_bytes() == original.path.read_bytes()
    assert len(data.choose_pots(items, None, None)) == len(items)
    for pots, test_pots in ((1, None), (10, None), (None, 4)):
        with pytest.raises(ValueError, match="choose from"):
            data.choose_pots(items, pots, test_pots)
