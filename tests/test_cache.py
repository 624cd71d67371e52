"""Cache files: the same pots as the folder, small, and no wrong or damaged file taken for good."""

import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT

from voxgan_jax.data import cache, folder, source, vox
from voxgan_jax.data.synthetic import pots as synthetic


@pytest.fixture(scope="module")
def cache_file(vox_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "pots.npz"
    counts, bad = cache.write(path, vox_dir, resolution=32)
    assert counts == {"train": 16, "validation": 2, "test": 6}
    assert bad == []
    return path


def same(one, other):
    np.testing.assert_array_equal(one.labels, other.labels)
    return one[1:] == other[1:]


@pytest.mark.parametrize("split", ["train", "validation", "test", "train+validation"])
def test_the_same_pots_in_the_same_order_as_the_folder(cache_file, vox_dir, split):
    files = source.open_split(vox_dir, split, resolution=32)
    packed = source.open_split(cache_file, split, resolution=32)
    assert files.num_pots == packed.num_pots
    pots = list(zip(files.pots, packed.pots, strict=True))
    assert len(pots) == files.num_pots
    assert all(same(*pair) for pair in pots)
    assert isinstance(pots[0][1].size, tuple) and pots[0][1].labels.max() >= 3


@pytest.mark.parametrize("rows", [slice(3, 7), slice(14, 99), slice(1, None, 4), slice(5, 5)])
def test_rows_of_a_split(cache_file, vox_dir, prepared_dir, rows):
    for place in (cache_file, vox_dir, prepared_dir):
        whole = list(source.open_split(place, "train", resolution=32).pots)
        part = source.open_split(place, "train", resolution=32, rows=rows)
        assert part.num_pots == 16
        assert all(same(*pair) for pair in zip(part.pots, whole[rows], strict=True))


def test_outlines_are_kept_once_a_pot(cache_file, vox_dir):
    packed = cache.load(cache_file, resolution=32)
    assert len(packed.labels) == 24 and len(packed.outlines) == 12
    files = [item.path.stat().st_size for item in folder.scan(vox_dir)]
    assert cache_file.stat().st_size < sum(files) / 8


def test_placed_and_pooled(vox_dir, tmp_path):
    place = {"resolution": 16, "pool": 2, "placement": "corner"}
    cache.write(tmp_path / "sub" / "pots.npz", vox_dir, **place)
    pots = list(source.open_split(tmp_path / "sub" / "pots.npz", "test", **place).pots)
    expected = list(source.open_split(vox_dir, "test", **place).pots)
    assert all(same(*pair) for pair in zip(pots, expected, strict=True))
    assert pots[0].labels.shape == (16, 16, 16)


def test_another_placement_is_refused_with_the_command(cache_file):
    with pytest.raises(cache.CacheError) as caught:
        source.open_split(cache_file, "train", resolution=64, placement="corner")
    message = str(caught.value)
    assert "placed with resolution 32, pool 1, placement center, not resolution 64" in message
    assert "--cache" in message and "pots_64.npz --resolution 64 --pool 1" in message
    assert "\n" not in message


def test_unknown_split_and_missing_file(cache_file, tmp_path):
    with pytest.raises(ValueError, match="no split named 'tset', only test, train, validation"):
        source.open_split(cache_file, "tset", resolution=32)
    with pytest.raises(FileNotFoundError, match=r"gone\.npz: no such folder"):
        source.open_split(tmp_path / "gone.npz", "train", resolution=32)


def test_every_truncation_and_flipped_byte_is_noticed(cache_file, tmp_path):
    data = cache_file.read_bytes()
    original = [pot.labels for pot in source.open_split(cache_file, "train", resolution=32).pots]
    rng = np.random.default_rng(0)
    cut, flipped = 0, 0
    for _ in range(40):
        path = tmp_path / "bad.npz"
        path.write_bytes(data[: rng.integers(0, len(data))])
        with pytest.raises(cache.CacheError, match=r"bad\.npz: not a readable cache file"):
            source.open_split(path, "train", resolution=32)
        cut += 1
        broken = bytearray(data)
        broken[rng.integers(0, len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:  # A flipped byte in a date or the like may do no harm; it must not give other pots.
            pots = [pot.labels for pot in source.open_split(path, "train", resolution=32).pots]
            np.testing.assert_array_equal(pots, original)
        except cache.CacheError as error:
            assert "\n" not in str(error)
            flipped += 1
    assert cut == 40 and flipped > 30


def test_foreign_files_are_refused(tmp_path, cache_file):
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, weights=np.zeros(3))
    with pytest.raises(cache.CacheError, match=r"foreign\.npz: not a readable cache file .*header"):
        cache.load(foreign)
    text = tmp_path / "notes.txt"
    text.write_text("no cache")
    with pytest.raises(cache.CacheError, match=r"notes\.txt: not a readable cache file"):
        cache.load(text)
    other = tmp_path / "other.npz"
    with np.load(cache_file) as arrays:
        header = arrays["header"].tobytes().replace(b"cache 1", b"cache 9")
        np.savez(other, **{**arrays, "header": np.frombuffer(header, np.uint8)})
    with pytest.raises(cache.CacheError, match="its format is 'voxgan_jax cache 9'"):
        cache.load(other, resolution=32)


def test_no_pickle_is_loaded(tmp_path):
    path = tmp_path / "pickle.npz"
    np.savez(path, header=np.array([{"format": cache.FORMAT}], dtype=object))
    with pytest.raises(cache.CacheError, match="not a readable cache file"):
        cache.load(path)


def test_labels_that_do_not_fit_their_outline_are_refused(cache_file):
    packed = cache.load(cache_file, resolution=32)
    swapped = packed._replace(labels=[packed.labels[-1], *packed.labels[1:]])
    with pytest.raises(cache.CacheError, match=r"is damaged in it \(\d+ cells, \d+ expected\)"):
        list(cache.read_split(swapped, packed.files[0][0]))


def test_bad_files_are_listed_or_left_out(tmp_path):
    root = tmp_path / "vox"
    synthetic.write_dataset(root, pots=4, seed=3, resolution=16, fragments=(3,), test_share=0.25)
    (root / "test" / "torn.vox").write_bytes(b"VOX ")
    vox.write(root / "test" / "empty.vox", np.zeros((3, 3, 3), np.uint8))
    vox.write(root / "test" / "big.vox", np.full((17, 1, 1), 2, np.uint8))
    path = tmp_path / "pots.npz"
    with pytest.raises(folder.BadFilesError) as caught:
        cache.write(path, root, resolution=16)
    for reason in ("3 file(s) cannot", "header is cut short", "no voxel", "do not fit a cube"):
        assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == [root]
    counts, bad = cache.write(path, root, resolution=16, skip_bad=True)
    assert counts == {"train": 2, "validation": 1, "test": 1}
    assert sorted(p.name for p, _ in bad) == ["big.vox", "empty.vox", "torn.vox"]
    assert source.open_split(path, "train", resolution=16).num_pots == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pots.npz", "vox"]


def test_a_failed_write_leaves_the_old_file(vox_dir, cache_file, tmp_path, monkeypatch):
    path = tmp_path / "pots.npz"
    path.write_bytes(cache_file.read_bytes())
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        cache.write(path, vox_dir, resolution=32)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_command_writes_it_without_tensorflow(vox_dir, cache_file, tmp_path):
    path = tmp_path / "pots.npz"
    code = (
        "import sys, runpy; sys.argv = sys.argv[1:]\n"
        "for name in ('tensorflow', 'tensorflow_datasets', 'pyvox'): sys.modules[name] = None\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    options = ("--vox_dir", vox_dir, "--cache", path, "--resolution", 32)
    command = [sys.executable, "-c", code, "scripts/prepare_data.py", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "16 train, 2 validation, 6 test files at 32³, placement center" in done.stdout
    with zipfile.ZipFile(path) as one, zipfile.ZipFile(cache_file) as other:
        assert {n: one.read(n) for n in one.namelist()} == {
            n: other.read(n) for n in other.namelist()
        }


def test_the_command_needs_a_place_to_write_to(vox_dir):
    command = [sys.executable, "scripts/prepare_data.py", "--vox_dir", str(vox_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "--out_dir" in done.stderr and "--cache" in done.stderr
    assert pathlib.Path("data").exists() == (ROOT / "data").exists()
