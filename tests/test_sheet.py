"""`voxgan sheet`, and drawings among the results of `voxgan complete`."""

import dataclasses
import json
import sys

import numpy as np
import pypdf
import pytest
from round_pots import cup, drawn, profile_of
from test_plan import part
from toy_batches import sherd

import voxgan_jax
from voxgan_jax import ledger
from voxgan_jax.cli import main
from voxgan_jax.data import vox
from voxgan_jax.restore import naming


def results(folder, *names):
    """The drawings that a run left in a folder."""
    for number, name in enumerate(names):
        path = folder / f"{name}_section.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = profile_of(cup(), part(cup(), 90, 0, 12), 2.0 + number / 4)
        path.write_text(drawn(profile), encoding="utf-8")
    return folder


def test_six_pots_of_a_folder_are_a_sheet_of_one_page(tmp_path, capsys):
    folder = results(tmp_path / "restored", "f", "b", "c", "d", "below/b", "a")
    assert main.main(["sheet", str(folder), "--out", str(tmp_path / "sheet.pdf")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'sheet.pdf'}: 6 pots at 1:3\n"
    (page,) = pypdf.PdfReader(tmp_path / "sheet.pdf").pages
    lines = page.extract_text().splitlines()
    assert [name for name in lines if name in ("a", "b", "c", "d", "f", "below/b")] == [
        *("a", "b", "below/b", "c", "d", "f")
    ]
    assert sum("(1:3)" in line for line in lines) == 6


def test_single_results_are_named_by_any_of_their_files(tmp_path, capsys):
    folder = results(tmp_path, "a", "b_c")
    named = [folder / name for name in ("a.json", "b_c_completed.stl", "a_section.svg")]
    job = ["sheet", *map(str, named), "--scale", "1:2", "-o", str(tmp_path / "s.pdf")]
    assert main.main(job) == 0
    text = pypdf.PdfReader(tmp_path / "s.pdf").pages[0].extract_text()
    assert text.count("(1:2)") == 2 and "b_c" in text
    assert "2 pots at 1:2" in capsys.readouterr().out
    # The same command replaces its sheet, but nobody else's.
    assert main.main(job) == 0
    (tmp_path / "s.pdf").write_bytes(b"by hand")
    assert main.main(job) == 1
    assert "voxgan did not write it" in capsys.readouterr().err
    assert (tmp_path / "s.pdf").read_bytes() == b"by hand"
    assert main.main([*job, "--overwrite"]) == 0


def test_what_cannot_be_drawn_is_named_and_the_rest_drawn(tmp_path, capsys):
    folder = results(tmp_path, "a", "b", "c")
    (folder / "b_section.svg").write_text("<svg><path/></svg>")
    (folder / "c_section.svg").write_text(drawn(profile_of(cup())) + "x")
    job = ["sheet", str(folder), str(folder / "d.json"), "-o", str(tmp_path / "s.pdf")]
    assert main.main(job) == 1
    said = capsys.readouterr()
    assert said.out.endswith("s.pdf: one pot at 1:3\n")
    lines = said.err.splitlines()
    assert len(lines) == 3 and all("again" in line for line in lines[:2])
    assert "d_section.svg" in lines[2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--out", "s.png"], "s.png: a sheet is a PDF: give a name that ends in .pdf"),
        (["empty", "--out", "s.pdf"], "empty: no drawing (NAME_section.svg) in this folder"),
        (
            ["--out", "s.pdf", "--scale", "1:1"],
            "a: bigger than a page of A4 at 1:1; give a smaller",
        ),
    ],
)
def test_faults_are_told_in_one_line(more, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_section.svg").write_text(drawn(profile_of(cup(), cup(), 20.0)))
    assert main.main(["sheet", "a_section.svg", *more]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"voxgan: {said}")
    assert not (tmp_path / "s.pdf").exists() and not (tmp_path / "s.png").exists()


def test_complete_writes_what_is_asked_for_and_knows_it_again(tmp_path, capsys):
    vox.write(tmp_path / "a.vox", sherd(1))
    job = ["complete", str(tmp_path / "a.vox"), "--out", str(tmp_path / "out"), "--voxel-mm", "5"]
    job += ["--formats", "svg", "pdf", "dxf", "csv", "json", "--scale", "1:2", "--mirrored"]
    assert main.main(job) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()} - {ledger.LIST}
    wanted = {"a_section.svg", "a_section.pdf", "a_section.dxf", "a_profile.csv", "a.json"}
    assert names == wanted
    report = json.loads((tmp_path / "out" / "a.json").read_text())
    assert set(report["files"]) == wanted - {"a.json"}
    assert report["options"]["scale"] == "1:2" and report["options"]["mirrored"] is True
    svg = (tmp_path / "out" / "a_section.svg").read_text()
    assert "(1:2)" in svg and "Half section right" in svg
    capsys.readouterr()
    assert main.main(job) == 0 and "completed before" in capsys.readouterr().out
    assert main.main(job[:-1]) == 0 and "completed before" not in capsys.readouterr().out
    (tmp_path / "out" / "a_profile.csv").unlink()
    assert main.main(job[:-1]) == 0 and "completed before" not in capsys.readouterr().out
    assert "Half section left" in (tmp_path / "out" / "a_section.svg").read_text()
    assert main.main([*job[:-1], "--lang", "de"]) == 0
    assert "completed before" not in capsys.readouterr().out
    assert "Links halber Schnitt" in (tmp_path / "out" / "a_section.svg").read_text()
    assert json.loads((tmp_path / "out" / "a.json").read_text())["options"]["lang"] == "de"
    sheet = ["sheet", str(tmp_path / "out"), "--out", str(tmp_path / "s.pdf"), "--lang", "es"]
    assert main.main(sheet) == 0 and "a_section.svg" not in capsys.readouterr().err
    assert "Negro: del fragmento" in pypdf.PdfReader(tmp_path / "s.pdf").pages[0].extract_text()


def test_python_takes_scale_and_side_and_writes_the_same(tmp_path):
    grid = sherd(1)
    pot = voxgan_jax.complete(grid, voxel_mm=5.0, scale="1:3", mirrored=True, name="a")
    paths = pot.write(tmp_path, formats=["pdf", "dxf", "csv", "svg"]).paths
    assert [path.name for path in paths] == [
        *("a_section.svg", "a_section.pdf", "a_section.dxf", "a_profile.csv")
    ]
    assert "(1:3)" in paths[0].read_text() and "(1:3)" not in pot.drawing
    assert "Half section right" in pot.drawing
    spanish = voxgan_jax.complete(grid, voxel_mm=5.0, lang="es", name="a")
    assert "Media sección a la izquierda" in spanish.drawing
    assert spanish.report.scale == "given" and "mm high" in repr(spanish)
    assert set(naming.USUAL) < set(naming.FORMATS)
    for wrong in ("1:7", "big"):
        with pytest.raises(ValueError, match=r"^scale=.*give one of 1:1, 1:2, 1:3"):
            voxgan_jax.complete(grid, scale=wrong)


def test_hypotheses_are_thin_lines_in_the_section():
    pot = voxgan_jax.complete(sherd(1), voxel_mm=5.0, hypotheses=2)
    assert len(pot.hypotheses) == 2
    assert len(others(pot)) >= 2 and pot.drawing.count('class="spread"') == 1
    assert not others(dataclasses.replace(pot, hypotheses=()))
    # Another pot that is the same lies on the wall itself.
    same = pot.hypotheses[0]._replace(labels=pot.labels, belief=pot.belief)
    (line, *_) = others(dataclasses.replace(pot, hypotheses=(same,)))
    assert pot.figure is not None
    np.testing.assert_allclose(line, pot.figure.lines["inferred"][0])


def others(pot):
    return pot.figure.lines["spread"]


def test_without_ezdxf_nothing_is_begun(tmp_path, monkeypatch, capsys):
    vox.write(tmp_path / "a.vox", sherd(1))
    monkeypatch.setitem(sys.modules, "ezdxf", None)
    out = tmp_path / "out"
    assert main.main(["complete", str(tmp_path / "a.vox"), "-o", str(out), "--formats", "dxf"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "voxgan: DXF needs the package ezdxf: pip install 'voxgan_jax[drawing]'"
    assert not out.exists()
