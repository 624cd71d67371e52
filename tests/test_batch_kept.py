"""Of what lies where results go, what is kept and what is done already."""

import json
import pathlib

import pytest
from toy_batches import complete, sherd

from voxgan_jax import __version__
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.inference import completer
from voxgan_jax.restore import pot


def strangers(folder: pathlib.Path) -> dict[str, bytes]:
    """Files that somebody has where results go, and what is in them."""
    names = ("a_hypothesis_of_Anna.stl", "a_missing.stl", "a.json", "index.html", "summary.csv")
    for name in names:
        (folder / name).write_text(f"by hand: {name}")
    vox.write(folder / "a_completed.vox", sherd(3))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_inputs_and_files_of_others_are_kept(tmp_path, weights_file, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vox.write(tmp_path / "a.vox", sherd(1))
    vox.write(tmp_path / "b.vox", sherd(2))
    before = strangers(tmp_path)
    names = ("a.vox", "a_completed.vox", "b.vox")
    job = ("complete", *names, "--out", ".", "--weights", str(weights_file), "--formats")
    job = [*job, "vox", "stl", "json"]
    assert main.main(job) == 1
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    index, a, *more = capsys.readouterr().err.splitlines()
    assert index.startswith("voxgan: index.html exists and voxgan did not write it") and more == []
    assert a.startswith("voxgan: a.vox: a_completed.vox is an input, never replaced")
    for name in ("a_completed", "b"):
        assert (tmp_path / f"{name}.json").is_file()
    assert not list(tmp_path.glob("a_completed.stl"))
    # All but the input is given up.
    assert main.main([*job, "--overwrite"]) == 1
    assert capsys.readouterr().err.startswith("voxgan: a.vox: a_completed.vox is an input")
    changed = {name for name in before if (tmp_path / name).read_bytes() != before[name]}
    assert changed == {"index.html", "summary.csv"}
    job.remove("a_completed.vox")
    assert main.main(job) == 1
    assert "a_completed.vox exists and voxgan did not write it" in capsys.readouterr().err
    assert main.main([*job, "--overwrite", "--quiet"]) == 0
    changed = {name for name in before if (tmp_path / name).read_bytes() != before[name]}
    assert changed == {"a_completed.vox", "a_missing.stl", "a.json", "index.html", "summary.csv"}
    assert main.main([*job, "--again", "--quiet"]) == 0


def test_a_refusal_needs_no_model(tmp_path, capsys, monkeypatch):
    def load(**_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(completer, "load", load)
    vox.write(tmp_path / "a.vox", sherd(1))
    (tmp_path / "a_section.svg").write_text("by hand")
    for out, said in (
        (
            tmp_path / "a.vox",
            "a.vox: nothing can be written there (it is a file); choose another --out",
        ),
        (tmp_path, f"a.vox: {tmp_path / 'a_section.svg'} exists and voxgan did not write it"),
    ):
        assert complete(tmp_path / "a.vox", "--out", out) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        complete(tmp_path / "a.vox", "--out", "")
    assert ended.value.code == 2 and "a folder has a name" in capsys.readouterr().err
    for pool_of in ("0", "9", "30", "100", "-1", "x"):
        with pytest.raises(SystemExit) as ended:
            complete(tmp_path / "a.vox", "--out", tmp_path, f"--pool={pool_of}")
        assert ended.value.code == 2
        assert f"'{pool_of}': give a whole number from 1 to 8" in capsys.readouterr().err


def test_whatever_earlier_reports_hold_they_do_no_harm(tmp_path, weights_file, capsys):
    out = tmp_path / "out"
    for name in "abcdef":
        vox.write(tmp_path / f"{name}.vox", sherd(ord(name)))
    job = (
        *(tmp_path / f"{name}.vox" for name in "abcdef"),
        "--out",
        out,
        "--weights",
        weights_file,
    )
    assert complete(*job) == 0
    report = json.loads((out / "a.json").read_text(encoding="utf-8"))
    (out / "a.json").write_text(json.dumps(report | {"measures": [1]}), encoding="utf-8")
    (out / "b_completed.vox").write_bytes(b"")
    (out / "c_completed.vox").write_bytes((out / "c_completed.vox").read_bytes()[:99])
    drawn = (out / "d_section.svg").read_text(encoding="utf-8")
    hostile = drawn.replace("<defs>", "<script>alert(1)</script><defs>")
    (out / "d_section.svg").write_text(hostile, encoding="utf-8")
    (out / "e.json").write_text("[" * 100_000, encoding="utf-8")
    capsys.readouterr()
    assert complete(*job) == 1
    said = capsys.readouterr()
    assert "completed before" in said.out and said.out.count("voxgan_jax") == 0
    for name, file in (("a", "a.json"), ("c", "c_completed.vox"), ("d", "d_section.svg")):
        assert f"voxgan: {tmp_path / name}.vox: {out / file} exists and voxgan did not" in said.err
    assert len(said.err.splitlines()) == 4 and said.out.count("voxels given") == 1
    assert vox.read(out / "b_completed.vox").any()
    assert "<script>alert" not in (out / "index.html").read_text(encoding="utf-8")
    assert complete(*job, "--overwrite", "--quiet") == 0
    assert complete(*job) == 0 and "6 completed before" in capsys.readouterr().out


def test_other_options_are_another_job(tmp_path, weights_file, capsys, monkeypatch):
    vox.write(tmp_path / "a.vox", sherd(1))
    job = (tmp_path / "a.vox", "--out", tmp_path / "out", "--weights", weights_file)
    job += ("--formats", "vox", "json")
    for more, done in (((), 1), ((), 0), (["--threshold", "0.3"], 1), (["--threshold", "0"], 1)):
        assert complete(*job, *more) == 0
        assert capsys.readouterr().out.count("voxels given") == done, more
    report = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert report["options"]["threshold"] == 0
    for more, done in (((), 1), (["--again"], 1)):
        assert complete(*job, *more) == 0
        assert capsys.readouterr().out.count("voxels given") == done, more
    report = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert "threshold" not in report["options"] and report["input"]["file"] == "a.vox"
    assert complete(*job, "--again", "--quiet") == 0
    assert capsys.readouterr().out == ""
    # What an older version of the program left is made anew.
    with monkeypatch.context() as patch:
        patch.setattr(pot, "VERSION", "0.1.0")
        assert complete(*job, "--again", "--quiet") == 0
    (path,) = (tmp_path / "out").glob("*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == "0.1.0"
    assert complete(*job) == 0
    assert capsys.readouterr().out.count("voxels given") == 1
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == __version__
