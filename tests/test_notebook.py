"""The notebook in docs begins at a scan, runs from top to bottom and says what stands in it."""

import html
import pathlib
import re

import nbclient
import nbformat
import pytest

NUMBER = r"\d[\d,]*(?:\.\d+)?"
NOTEBOOK = pathlib.Path(__file__).resolve().parent.parent / "docs/restore_a_sherd.ipynb"


def said(notebook) -> list[str]:
    """What each cell prints, but for what depends on the machine: sizes of files."""
    texts = [
        "".join(out["text"] for out in cell.get("outputs", []) if out["output_type"] == "stream")
        for cell in notebook.cells
    ]
    return [text for text in texts if text and " kB  " not in text]


def test_the_notebook_runs_and_prints_what_it_shows(tmp_path):
    kept = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        run, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert len(said(run)) == len(said(kept)) >= 6
    for now, then in zip(said(run), said(kept), strict=True):
        assert re.split(NUMBER, now) == re.split(NUMBER, then)
        # Another machine rounds otherwise, and a voxel or two falls on the other side.
        numbers = [[float(n.replace(",", "")) for n in re.findall(NUMBER, t)] for t in (now, then)]
        assert numbers[0] == pytest.approx(numbers[1], rel=0.05, abs=0.05), now
    drawn = [
        output["data"]
        for cell in run.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "display_data" or output["output_type"] == "execute_result"
    ]
    assert any("image/svg+xml" in data for data in drawn)
    assert any("image/png" in data for data in drawn)
    assert not list(tmp_path.iterdir())
    # From an STL file, and with the page in which the pot can be turned.
    assert any('complete(folder / "sherd.stl"' in cell.source for cell in run.cells)
    (frame,) = (data["text/html"] for data in drawn if "<iframe" in data.get("text/html", ""))
    page = html.unescape(frame.split('srcdoc="')[1].split('"')[0])
    assert page.startswith("<!doctype html>") and 'id="meshes"' in page and "<canvas" in page
    # That is too big to be kept.
    assert NOTEBOOK.stat().st_size < 200_000
