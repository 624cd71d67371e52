"""Folders of `.vox` files: layouts, splits by pot, reading."""

import os
import pathlib

import numpy as np
import pytest

from voxgan_jax.data import folder, grid, source, vox
from voxgan_jax.files import readable


def save(path, shape=(2, 3, 4), label=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    vox.write(path, np.full(shape, label, np.uint8))


@pytest.mark.parametrize(
    ("name", "pot"),
    [
        ("AL_01-n005-t1600000000.vox", "AL_01"),
        ("A-n1-x-n012-t5.vox", "A-n1-x"),
        ("my scan.vox", "my scan"),
        ("AL_01-n05-t1.vox", "AL_01-n05-t1"),
    ],
)
def test_the_pot_is_in_the_name(name, pot):
    assert folder.pot_of(name) == pot


def test_the_data_sets_own_layout(tmp_path):
    save(tmp_path / "train" / "3" / "B-n003-t2.vox")
    save(tmp_path / "train" / "3" / "A-n003-t1.vox")
    save(tmp_path / "test" / "11" / "C-n018-t9.VOX")
    (tmp_path / "train" / "3" / "notes.txt").write_text("no pot")
    (tmp_path / "train" / "3" / "._A-n003-t1.vox").write_bytes(b"left by macOS")
    (tmp_path / "train" / "folder.vox").mkdir()
    found = folder.scan(tmp_path)
    assert [(item.path.name, item.category, item.pot) for item in found] == [
        ("A-n003-t1.vox", "3", "A"),
        ("B-n003-t2.vox", "3", "B"),
        ("C-n018-t9.VOX", "11", "C"),
    ]
    # Of two train pots one is cut for validation; test is left alone.
    assert sorted(item.split for item in found[:2]) == ["train", "validation"]
    assert found[2].split == "test"


def test_a_validation_folder_is_kept_as_it_is(tmp_path):
    for split in folder.SPLITS:
        for pot in "ABC":
            save(tmp_path / split / "1" / f"{split}{pot}.vox")
    assert [item.split for item in folder.scan(tmp_path)] == [
        *["train"] * 3,
        *["validation"] * 3,
        *["test"] * 3,
    ]


def test_a_folder_without_splits_is_divided_by_pot(tmp_path):
    for pot in range(50):
        for fracture in range(3):
            save(tmp_path / f"{pot % 2}" / f"P{pot}-n003-t{fracture}.vox", (1, 1, 1))
    found = folder.scan(tmp_path)
    assert len(found) == 150
    splits = {}
    for item in found:
        splits.setdefault((item.category, item.pot), set()).add(item.split)
    assert all(len(names) == 1 for names in splits.values())  # no pot in two splits
    sizes = [sum(names == {split} for names in splits.values()) for split in folder.SPLITS]
    assert sizes == [36, 4, 10]  # 8 : 2, then a tenth of the 40
    assert found == folder.scan(tmp_path)
    assert found != folder.scan(tmp_path, seed=1)


def test_a_pot_in_several_folders_stays_together(tmp_path):
    for pot in range(20):
        for pieces in (3, 4, 5):
            save(tmp_path / f"n{pieces}" / f"P{pot}-n00{pieces}-t1.vox", (1, 1, 1))
    splits = {}
    for item in folder.scan(tmp_path):
        splits.setdefault(item.pot, set()).add(item.split)
    assert [len(names) for names in splits.values()] == [1] * 20


@pytest.mark.parametrize("stray", ["val/1/X.vox", "X.vox"])
def test_files_beside_the_splits_are_not_passed_over(tmp_path, stray):
    save(tmp_path / "train" / "1" / "A.vox")
    save(tmp_path / stray)
    with pytest.raises(ValueError, match=r"X\.vox: it lies beside the folders train; move it"):
        folder.scan(tmp_path)


def test_split_pots_ignores_order_and_moves_few_when_one_is_added():
    keys = [("1", f"P{i}") for i in range(100)]
    held_out = folder.split_pots(keys, 0.2, seed=0)
    assert len(held_out) == 20
    assert folder.split_pots(keys[::-1] + keys, 0.2, seed=0) == held_out
    assert len(held_out - folder.split_pots([*keys, ("1", "new")], 0.2, seed=0)) <= 1
    assert folder.split_pots(keys[:1], 0.2, seed=0) == set()
    assert len(folder.split_pots(keys[:2], 0.01, seed=0)) == 1
    assert len(folder.split_pots(keys[:2], 0.99, seed=0)) == 1


def test_reading_places_the_pot(tmp_path):
    save(tmp_path / "test" / "5" / "A-n003-t1.vox", (2, 3, 5), label=7)
    (pot,) = source.open_split(tmp_path, "test", resolution=6).pots
    assert (pot.name, pot.pot, pot.category, pot.size) == ("A-n003-t1.vox", "A", "5", (2, 3, 5))
    assert pot.labels.shape == (6, 6, 6)
    assert np.argwhere(pot.labels == 7).min(axis=0).tolist() == [2, 1, 0]
    (pooled,) = source.open_split(tmp_path, "test", resolution=3, pool=2, placement="corner").pots
    assert np.argwhere(pooled.labels).max(axis=0).tolist() == [0, 1, 2]


def test_splits_can_be_joined(tmp_path):
    for split in folder.SPLITS:
        save(tmp_path / split / f"{split}.vox")
    joined = source.open_split(tmp_path, "train+validation", resolution=8).pots
    assert [pot.name for pot in joined] == ["train.vox", "validation.vox"]
    for wrong in ("tset", "train+tset", ""):
        with pytest.raises(ValueError, match=f"no split named '{wrong.split('+')[-1]}'"):
            source.open_split(tmp_path, wrong)


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone: no such folder"):
        folder.scan(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"no \.vox file below it"):
        folder.scan(tmp_path)
    save(tmp_path / "test" / "big.vox", (9, 1, 1))
    with pytest.raises(grid.FitError, match=r"big\.vox: 9 × 1 × 1 voxels do not fit a cube of 8"):
        list(source.open_split(tmp_path, "test", resolution=8).pots)
    (tmp_path / "test" / "bad.vox").write_bytes(b"VOX ")
    with pytest.raises(vox.VoxError, match=r"bad\.vox: byte 0: the header is cut short"):
        list(source.open_split(tmp_path, "test").pots)


def test_names_that_are_no_utf_8_are_escaped_and_all_goes_on(tmp_path, capsys):
    """Prepared in both ways and scored: such names came from older systems."""
    from scripts import evaluate, prepare_data
    from voxgan_jax.data import cache

    root = os.fsencode(tmp_path) + b"/vox"
    for pot in (b"caf\xe9", b"B", b"C", b"D"):
        for split in (b"train", b"test"):
            save(
                pathlib.Path(os.fsdecode(root + b"/" + split + b"/\xe9t/" + pot + b"-n003-t1.vox"))
            )
    found = folder.scan(tmp_path / "vox")
    assert {item.category for item in found} == {readable("\udce9t")}
    pot = readable("caf\udce9")
    assert pot in {item.pot for item in found}
    assert f"{pot}-n003-t1.vox" in {folder.read(item, resolution=16).name for item in found}
    where = ["--vox_dir", str(tmp_path / "vox"), "--resolution", "16"]
    assert prepare_data.main([*where, "--cache", str(tmp_path / "pots.npz")]) == 0
    assert prepare_data.main([*where, "--out_dir", str(tmp_path / "out")]) == 0
    names = {file[1] for file in cache.load(tmp_path / "pots.npz", resolution=16).files}
    assert names == {folder.read(item, resolution=16).name for item in found}
    for data in ("vox", "pots.npz", "out"):
        options = ["--data_dir", str(tmp_path / data), "--out", str(tmp_path / "scores")]
        options += ["--method", "fragment", "--resolution", "16", "--num_examples", "0"]
        assert evaluate.main(options) == 0
        assert pot in (tmp_path / "scores" / "per_file.csv").read_text("utf-8")
    capsys.readouterr()
