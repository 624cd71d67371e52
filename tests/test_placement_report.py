"""The bench of placements: its cases, what it measures of a known placement, its tables."""

import functools
import json

import numpy as np
import pytest
import trimesh

from scripts import placement_report
from scripts.lib import placement_cases, placement_tables, placements
from tests.test_scans import labels
from voxgan_jax.data import folder
from voxgan_jax.scan.pose import Placement


@functools.cache
def cases():
    pots = [
        folder.PotFile(labels(), f"{n}-n002.vox", f"pot{n}", "1", (26, 26, 27)) for n in range(2)
    ]
    rng = np.random.default_rng(0)
    return list(placement_cases.cases(iter(pots), rng, 0.03, 2))


def placed(case, *, turn=None, scale=1.0):
    """The true placement, turned in the scan's coordinates, with voxels of another size."""
    turn = np.eye(4) if turn is None else turn
    matrix = turn @ case.matrix
    matrix[:3, :3] *= scale
    up = -matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    point = (turn @ np.append(case.on_axis(10.0), 1))[:3]
    step = case.step * scale
    rows = np.flatnonzero(case.pot.any(axis=(0, 1)))
    return Placement(
        matrix=matrix,
        point=point,
        direction=up,
        voxel_mm=step,
        height_mm=len(rows) * step,
        diameter_mm=26 * step,
        above_base_mm=0.0,
        score=0.0,
        share=0.9,
    )


def test_each_sherd_is_there_as_a_scan_and_as_voxels_in_one_pose():
    found = cases()
    assert [case.kind for case in found] == ["scan", "voxels"] * 2
    for scan, voxels in zip(found[::2], found[1::2], strict=True):
        assert scan.name == voxels.name and scan.share == voxels.share
        np.testing.assert_array_equal(scan.matrix, voxels.matrix)
        apart = np.linalg.norm(scan.scan.bounds.mean(0) - voxels.scan.bounds.mean(0))
        assert apart < 1.5 * scan.step
        assert 1.5 <= scan.step <= 8
    assert np.abs(found[0].matrix - found[2].matrix).max() > 1


def test_the_true_placement_has_no_error():
    for case in cases():
        found = placements.errors(case, placed(case))
        assert found["up"] and found["angle"] < 1e-3 and found["aside"] < 1e-6
        for name in ("scale", "height", "at_sherd", "at_rim", "tall"):
            assert abs(found[name]) < 1e-6, name


def test_a_tilted_axis_and_a_wrong_size_are_told_as_such():
    case = cases()[0]
    point = case.on_axis(np.argwhere(case.given).mean(0)[2])
    across = np.cross(case.up, [1.0, 0, 0])
    turn = trimesh.transformations.rotation_matrix(np.radians(7), across, point)
    found = placements.errors(case, placed(case, turn=turn))
    assert found["angle"] == pytest.approx(7, abs=1e-3) and found["aside"] < 0.2
    turn = np.eye(4)
    away = np.asarray(case.scan.vertices).mean(0) - point
    away -= (away @ case.up) * case.up
    turn[:3, 3] = 5 * away / np.linalg.norm(away)
    found = placements.errors(case, placed(case, turn=turn))
    assert found["aside_mm"] == pytest.approx(5, abs=1e-6)
    assert -5 / (10 * case.step) < found["at_sherd"] < -5 / (26 * case.step)
    found = placements.errors(case, placed(case, scale=1.2))
    assert found["scale"] == pytest.approx(0.2) and found["tall"] == pytest.approx(0.2)
    flipped = placed(case)._replace(direction=-case.up)
    assert not placements.errors(case, flipped)["up"]


def test_walls_are_as_far_apart_as_a_pot_was_moved():
    case = cases()[0]
    assert placements.overlap(case, case.pot) == 1
    assert placements.aside(case, case.pot) == {"wall": 0, "wall_near": 0}
    taller = np.roll(case.pot, -3, axis=2)
    found = placements.aside(case, taller)
    # Upright walls stay, floor and lip move by 3 of 26 voxels.
    assert 0.005 < found["wall"] < 3 / 26
    assert placements.overlap(case, taller) < 1
    nothing = placements.aside(case, np.zeros_like(case.pot))
    assert nothing["wall"] == pytest.approx(len(case.pot) / 26)


def test_what_is_told_is_what_is_true():
    case = cases()[0]
    told = placement_cases.known(case, "axis, both sizes")
    assert told.direction == tuple(case.up)
    assert told.diameter == pytest.approx(26 * case.step)
    assert told.height == pytest.approx(27 * case.step)
    assert placement_cases.known(case, "nothing") == placement_cases.Known()
    assert placement_cases.ends(case) == (True, True)
    assert placement_cases.known(case, "rim or base").rim


def test_tables_have_medians_and_leave_out_what_was_not_placed(tmp_path, capsys):
    row = {"kind": "scan", "share": 0.1, "told": "nothing", "rim": True, "name": "a", "best": 0.8}
    measured = {
        "angle": 2.0,
        "aside": 1.0,
        "aside_mm": 3.0,
        "scale": 0.05,
        "height": 1.0,
        "up": True,
        "at_sherd": -0.04,
        "at_rim": None,
        "tall": 0.1,
        "wall": 0.02,
        "wall_near": 0.01,
        "iou": 0.5,
        "lost": 0.3,
        "confidence": 0.8,
        "seconds": 4.0,
    }
    rows = [row | measured, row | measured | {"angle": 6.0, "up": False}, row]
    lines = placement_tables.table(rows).splitlines()
    assert lines[2].split(" | ") == [
        "| scan, nothing",
        "2 of 3",
        "4.0",
        "3.0",
        "4.0",
        "",
        "10.0",
        "1.00",
        "2.00",
        "50 %",
        "0.500",
        "0.300",
        "4.0 |",
    ]
    assert "| scan, high | 2 | 0.80 | 0.50 |" in placement_tables.calibration(rows)
    placement_tables.figure(rows, tmp_path / "curves.png")
    alone = (tmp_path / "curves.png").stat().st_size
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    files = [str(tmp_path / f"{name}.json") for name in ("one", "two")]
    figure = tmp_path / "both.png"
    told = ["--read", *files, "--before", files[0], "--figure", str(figure)]
    assert placement_report.main(told) == 0
    assert figure.stat().st_size > alone + 1000 > 11_000
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| scan, no")]
    assert [line.split(" | ")[1] for line in said[::3]] == ["2 of 3", "4 of 6"]


def test_numbers_of_another_version_are_refused_in_one_line(tmp_path, capsys):
    kept = tmp_path / "placement.json"
    kept.write_text('[{"name": "a", "share": 0.1, "told": "nothing", "angle": 1.0}]')
    assert placement_report.main(["--read", str(kept)]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith("placement.json: another version's numbers; score anew, with --data_dir")
    kept.write_text("# Not one of these")
    assert placement_report.main(["--read", str(kept)]) == 1
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert "placement.json: no numbers that --out wrote" in said
