"""The TFDS builder, by TFDS's own test case and on the small data set."""

import pathlib
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from voxgan_jax.data import builder, folder, source, vox
from voxgan_jax.data.synthetic import pots as synthetic


class VoxPotteryTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, on a folder made here (they need no network)."""

    DATASET_CLASS = builder.VoxPottery
    SPLITS = {"train": 4, "validation": 2, "test": 2}  # noqa: RUF012
    EXAMPLE_DIR = None

    @classmethod
    def setUpClass(cls):
        examples = tempfile.TemporaryDirectory()
        cls.addClassCleanup(examples.cleanup)
        cls.EXAMPLE_DIR = pathlib.Path(examples.name)
        synthetic.write_dataset(
            examples.name, pots=4, seed=3, resolution=32, fragments=(3, 4), test_share=0.25
        )
        super().setUpClass()


def test_reads_back_what_the_folder_holds(vox_dir, prepared_dir):
    for split in ("train", "validation", "test"):
        pots, count = source.open_split(vox_dir, split, resolution=32)
        direct = {pot.name: pot for pot in pots}
        prepared = list(source.open_split(prepared_dir, split, resolution=32).pots)
        assert len(prepared) == count == len(direct)
        for pot in prepared:
            np.testing.assert_array_equal(pot.labels, direct[pot.name].labels)
            assert pot[1:] == direct[pot.name][1:]


def test_split_sizes_and_no_pot_in_two_splits(vox_dir, prepared_dir):
    prepared = builder.open_prepared(prepared_dir, resolution=32)
    sizes = {name: split.num_examples for name, split in prepared.info.splits.items()}
    # 12 pots in 2 fracturings: 3 for test, a tenth of the other 9 for validation.
    assert sizes == {"train": 16, "validation": 2, "test": 6}
    pots = {
        split: {
            (pot.category, pot.pot)
            for pot in builder.read_split(prepared_dir, split, resolution=32)
        }
        for split in sizes
    }
    assert not pots["train"] & pots["test"]
    assert not pots["train"] & pots["validation"]
    assert "10.24963/ijcai.2023/647" in prepared.info.citation
    assert "WITHOUT A LICENCE" in prepared.info.description


def test_bad_files_are_listed_and_nothing_is_written(vox_dir, tmp_path):
    bad_dir = tmp_path / "vox"
    (bad_dir / "train" / "1").mkdir(parents=True)
    good = folder.scan(vox_dir)[0].path
    for name in ("A-n003-t1.vox", "B-n003-t1.vox", "C-n003-t1.vox"):
        (bad_dir / "train" / "1" / name).write_bytes(good.read_bytes())
    (bad_dir / "train" / "1" / "D-n003-t1.vox").write_bytes(good.read_bytes()[:100])
    vox.write(bad_dir / "train" / "1" / "E-n003-t1.vox", np.ones((40, 4, 4), np.uint8))
    with pytest.raises(folder.BadFilesError) as caught:
        builder.prepare(bad_dir, tmp_path / "out", resolution=32)
    assert [path.name for path, _ in caught.value.bad] == ["D-n003-t1.vox", "E-n003-t1.vox"]
    assert "--pool 2" in str(caught.value)
    assert not (tmp_path / "out").exists()
    counts, bad = builder.prepare(bad_dir, tmp_path / "out", resolution=32, skip_bad=True)
    assert sum(counts.values()) == 3
    assert len(bad) == 2


def test_preparing_again_replaces_the_data_set(tmp_path):
    for name in "AB":
        vox.write(tmp_path / f"{name}.vox", np.full((4, 4, 4), 2, np.uint8))
    for expected in (2, 3, 3):
        counts, _ = builder.prepare(tmp_path, tmp_path / "out", resolution=16)
        assert sum(counts.values()) == expected
        read = builder.read_split(tmp_path / "out", "+".join(counts), resolution=16)
        assert len({pot.name for pot in read}) == expected
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["vox_pottery"]
        vox.write(tmp_path / "C.vox", np.full((4, 4, 4), 2, np.uint8))


def test_missing_data_set_names_the_command(prepared_dir):
    with pytest.raises(builder.NotPreparedError, match=r"found: center_32.*--resolution 64"):
        builder.open_prepared(prepared_dir, resolution=64)
    for resolution, pool, placement, options in (
        (64, 1, "center", "--config.data.resolution=32"),
        (32, 2, "center", "--config.data.pool=1"),
        (16, 1, "corner", "--config.data.resolution=32 --config.data.placement=center"),
    ):
        with pytest.raises(builder.NotPreparedError) as raised:
            builder.open_prepared(
                prepared_dir, resolution=resolution, pool=pool, placement=placement
            )
        assert f"(found: center_32, taken by {options}); make it with" in str(raised.value)
    with pytest.raises(ValueError, match=r"no split 'dev'.*test, train, validation"):
        builder.as_dataset(builder.open_prepared(prepared_dir, resolution=32), "dev")
