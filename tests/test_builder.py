"""The TFDS builder, by TFDS's own test case and on the small data set."""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
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


@pytest.fixture
def copied(prepared_dir, tmp_path):
    """A copy of the prepared data set and the folder of its JSON files."""
    shutil.copytree(prepared_dir, tmp_path / "data")
    return tmp_path / "data", tmp_path / "data" / "vox_pottery" / "center_32" / "1.0.0"


FOREIGN = {
    "a class": lambda found: found.update(pythonClassName="evil_module.Evil"),
    "a class within": lambda found: found["featuresDict"]["features"]["pot"].update(
        pythonClassName="evil_module.Evil"
    ),
    "the spelling of protocol buffers": lambda found: found["featuresDict"]["features"].update(
        pot={"python_class_name": "evil_module.Evil", "text": {}}
    ),
    "the older form": lambda found: found.update(type="evil_module.Evil", content={}),
    "JSON in a text": lambda found: found["featuresDict"]["features"]["pot"].update(
        jsonFeature={"json": '{"a": {"type": "evil_module.Evil", "content": {}}}'}
    ),
    "a class of TFDS's": lambda found: found.update(
        pythonClassName="tensorflow_datasets.core.features.image_feature.Image"
    ),
    "no class": lambda found: found.update(pythonClassName=[]),
}


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize("change", FOREIGN)
def test_no_module_is_imported_that_a_data_set_names(copied, monkeypatch, tmp_path, name, change):
    data, place = copied
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    features = json.loads((place / "features.json").read_text())
    FOREIGN[change](features)
    if name == "features.json":
        (place / name).write_text(json.dumps(features))
    else:
        info = json.loads((place / name).read_text()) | {"features": features}
        (place / name).write_text(json.dumps(info))
    with pytest.raises(builder.NotPreparedError) as caught:
        builder.open_prepared(data, resolution=32)
    assert str(caught.value).startswith(
        f"{place}: not as scripts/prepare_data.py writes it ({name} names "
    )
    assert not (tmp_path / "made").exists() and "evil_module" not in sys.modules


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"5", b"{}", b"null"])
def test_a_damaged_data_set_is_named(copied, content):
    data, place = copied
    (place / "features.json").write_bytes(content)
    with pytest.raises(
        builder.NotPreparedError, match=r"1\.0\.0: not as .*; prepare the data again"
    ):
        builder.open_prepared(data, resolution=32)


def test_what_killed_preparations_left_is_removed(tmp_path):
    vox.write(tmp_path / "A.vox", np.full((4, 4, 4), 2, np.uint8))
    vox.write(tmp_path / "B.vox", np.full((4, 4, 4), 2, np.uint8))
    out, here = tmp_path / "out", platform.node()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = [f"{gone.pid}", f"{here}-{gone.pid}", f"{here}-{os.getpid()}", f"{here}-{10**30}"]
    alive = [f"{os.getppid()}", f"{here}-{os.getppid()}", f"elsewhere-{gone.pid}", "mine"]
    for name in (*dead, *alive):
        (out / f".preparing-{name}" / "vox_pottery").mkdir(parents=True)
    builder.prepare(tmp_path, out, resolution=16)
    left = {path.name.removeprefix(".preparing-") for path in out.iterdir()}
    assert left == {*alive, "vox_pottery"}


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
