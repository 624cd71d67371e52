"""One file's fault stays with its file."""

import pathlib
import re

import numpy as np
import pytest
from toy_batches import complete, sherd

from voxgan_jax import ledger
from voxgan_jax.data import vox
from voxgan_jax.inference import completer
from voxgan_jax.restore import batch, faults, naming, pot


def small_model(predict=lambda partial: partial, **changes):
    return completer.Completer(predict, 16, 1, "center", 0.5)._replace(**changes)


@pytest.fixture
def five(tmp_path):
    labels = np.zeros((8, 6, 10), np.uint8)
    labels[2:4, 1:3, 5:9] = 3
    paths = [tmp_path / f"{letter}.vox" for letter in "abcde"]
    for path in paths:
        vox.write(path, labels)
    return paths


def done(paths, out, model=None, **options):
    options = {"formats": ["vox"], **options}
    found = dict(batch.complete_files(model or small_model(), paths, out, **options))
    assert list(found) == paths
    return {
        path.stem: str(made) if isinstance(made, Exception) else "done"
        for path, made in found.items()
    }


@pytest.mark.parametrize("where", ["read", "restore", "write"])
def test_no_error_of_one_file_ends_a_batch(where, five, tmp_path, monkeypatch):
    errors = {
        "a": OverflowError("too\nfar"),
        "b": MemoryError(),
        "c": TypeError("zip() argument 2 is shorter"),
        "d": OSError(5, "Input/output error", "elsewhere"),
    }

    def failing(work, name_of):
        def fail(*given, **how):
            if error := errors.get(name_of(*given)):
                raise error
            return work(*given, **how)

        return fail

    owner, name, name_of = {
        "read": (batch, "read_request", lambda _, path, *__: path.stem),
        "restore": (pot, "restore", lambda request, _: pathlib.Path(request.sherds[0].source).stem),
        "write": (pot.Completion, "write", lambda self, *_: self.name),
    }[where]
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), name_of))
    found = done(five, tmp_path / "out")
    assert found == {
        "a": f"{five[0]}: OverflowError: too far",
        "b": f"{five[1]}: it needs more memory than there is",
        "c": f"{five[2]}: TypeError: zip() argument 2 is shorter",
        "d": f"{five[3]}: Input/output error (elsewhere)",
        "e": "done",
    }
    (error,) = [faults.of_file("a", errors["c"])]
    assert "TypeError: zip()" in error.__notes__[0]


def test_where_the_model_fails_for_one_file_it_is_asked_for_the_others(five, tmp_path):
    calls = []

    def picky(partial):
        calls.append(len(partial))
        if len(calls) == 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return partial

    found = done(five[:3], tmp_path / "out", small_model(picky))
    assert calls == [1, 1, 1]
    said = f"{five[1]}: RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    assert found == {"a": "done", "b": said, "c": "done"}


def test_a_file_that_goes_meanwhile_is_one_error(five, tmp_path):
    def tell(text):
        if text == f"reading {five[1]} …":
            five[1].unlink()

    found = done(five, tmp_path / "out", tell=tell)
    assert [name for name in found if found[name] == "done"] == list("acde")
    assert found["b"].startswith(f"{five[1]}: ")


def test_what_no_vox_file_can_hold_is_said_before_the_work(five, tmp_path, monkeypatch):
    (tmp_path / "a.stl").write_bytes(b"not even looked at")
    cube = "512 × 512 × 512 voxels"
    said = rf"a pot in {cube} is more than a \.vox file can hold \(256 a side\); leave vox out"
    big = small_model(resolution=64, pool=8)
    ((_, error),) = batch.complete_files(big, [tmp_path / "a.stl"], tmp_path / "out")
    assert re.search(rf"a\.stl: {said}", str(error))
    ((_, error),) = batch.complete_files(big, five[:1], tmp_path / "out", whole_cube=True)
    assert re.search(said, str(error))
    np.save(tmp_path / "long.npy", np.ones((300, 4, 4), np.uint8))
    ((_, error),) = batch.complete_files(big, [tmp_path / "long.npy"], tmp_path / "out")
    assert re.search(r"a pot in (4 × )*300( × 4)* voxels is more", str(error))
    how = {"formats": ["stl"], "memory": 10**9}
    ((_, error),) = batch.complete_files(big, [tmp_path / "a.stl"], tmp_path / "out", **how)
    assert f"a pot in {cube} takes some 24.2 GB of memory, of which 1.0 are free" in str(error)
    # A finer .vox file takes more than the pot itself.
    asked = small_model(resolution=64), [tmp_path / "a.stl"], tmp_path / "out"
    ((_, error),) = batch.complete_files(*asked, memory=10**8, fineness=4)
    assert "takes some 0.2 GB of memory, of which 0.1 are free" in str(error)


def test_a_full_disk_ends_a_batch_in_one_line(tmp_path, weights_file, capsys, monkeypatch):
    for name in "abcd":
        vox.write(tmp_path / f"{name}.vox", sherd(ord(name)))
    append, written = ledger._append, []

    def full(handle, text):
        written.append(text)
        if len(written) > 4:
            raise OSError(28, "No space left on device")
        append(handle, text)

    out = tmp_path / "out"
    job = (*sorted(tmp_path.glob("*.vox")), "--out", out, "--weights", weights_file)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_append", full)
        assert complete(*job) == 1
    # The overview was written as well, after the first.
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"voxgan: {out}: the disk is full; 3 of 4 are done; make room, and the same command goes on"
    )
    assert sorted(path.name for path in out.glob("*.json")) == ["a.json", "b.json", "c.json"]
    assert complete(*job) == 0 and "3 completed before" in capsys.readouterr().out


def test_where_errors_arose_is_said_when_asked_for(tmp_path, weights_file, capsys):
    (tmp_path / "a.vox").write_bytes(b"no scan")
    job = (tmp_path / "a.vox", "--out", tmp_path / "out", "--weights", weights_file)
    assert complete(*job) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert complete(*job, "--debug") == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_was_made_for_writing_goes_with_it(five, tmp_path):
    import gc

    import trimesh

    def meshes_in_memory():
        return sum(type(thing) is trimesh.Trimesh for thing in gc.get_objects())

    ((_, made),) = batch.complete_files(small_model(), five[:1], tmp_path / "out", formats=["vox"])
    assert isinstance(made, batch.Result)
    gc.collect()
    before = meshes_in_memory()
    gc.disable()
    try:
        written = faults.write(tmp_path / "out", naming.USUAL, False, (five[0], made.completion))
        assert isinstance(written, pot.Written)
        assert meshes_in_memory() == before
    finally:
        gc.enable()


def test_a_disk_that_is_full_from_the_start_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for name in "ab":
        vox.write(tmp_path / f"{name}.vox", sherd(1))
    monkeypatch.setattr(completer, "load", None)
    monkeypatch.setattr(ledger, "ready", full)
    assert complete(*sorted(tmp_path.glob("*.vox")), "--out", tmp_path / "out") == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"voxgan: {tmp_path / 'out'}: the disk is full; 0 of 2 are done;"
        " make room, and the same command goes on"
    )
