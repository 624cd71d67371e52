"""A project of `voxgan app`: what is kept, chosen, undone; what is done and stopped."""

import json
import shlex

import app_work
import pytest
from app_pretend import BROKEN_MM, DEADLY_MM, STUCK_MM
from app_work import added, client, until

from voxgan_jax.app import choices
from voxgan_jax.app.project import Project
from voxgan_jax.cli import options
from voxgan_jax.cli.main import main
from voxgan_jax.cli.parser import build_parser
from voxgan_jax.restore import files


def restored_with(scan):
    """The choices of which its pot came."""
    return scan.restored and scan.restored["choices"]


def test_a_project_is_found_again_as_it_was(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        bench.choose(scan.id, {"height_mm": 120, "rim": True, "base": False})
        bench.restore(scan.id)
        until(lambda: scan.restored)
        told = bench.project.told()
    with app_work.bench(tmp_path / "finds") as bench:
        assert bench.project.told() == told
        assert told[0]["choices"] == {"height_mm": 120.0, "rim": True}
        assert bench.project.files(bench.project.scans[1])["sherd.html"].is_file()
        again = added(bench, tmp_path)  # The same file is not there twice.
        assert (again.id, len(bench.project.scans)) == (1, 1)
        bench.remove(1)
        assert not any((tmp_path / "finds" / name).exists() for name in ("results/sherd",))
        assert list((tmp_path / "finds/scans").iterdir()) == []
        assert added(bench, tmp_path, "other.ply").id == 2


def test_a_project_is_open_once_and_no_other_folder_is_taken(tmp_path):
    with app_work.bench(tmp_path / "finds"), pytest.raises(ValueError, match="is open in another"):
        Project(tmp_path / "finds")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").touch()
    with pytest.raises(ValueError, match="holds other things"):
        Project(tmp_path / "other")
    file = tmp_path / "finds/project.json"
    for wrong in ('{"version": 2, "last": 0, "scans": []}', "[]", "{", "null"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"project.json: not a project"):
            Project(tmp_path / "finds")
    restored = {"choices": {}, "report": {}, "files": ["../../../secret"]}
    restored["report"] = {"measures": {}, "hypotheses": []}
    for scan in (
        {"id": 1, "file": "../../secret.stl"},
        {"id": 1, "file": "...stl"},
        {"id": 1, "file": "a.stl", "restored": restored},
    ):
        file.write_text(json.dumps({"version": 1, "last": 1, "scans": [scan]}))
        with pytest.raises(ValueError, match=r"\$.scans\[0\].* does not match"):
            Project(tmp_path / "finds")
    file.write_text(json.dumps({"version": 1, "scans": []}))
    with pytest.raises(ValueError, match="not a project of this version"):
        Project(tmp_path / "finds")
    (tmp_path / "link").mkdir()
    (tmp_path / "link/results").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "link/project.json").write_text('{"version": 1, "last": 0, "scans": []}')
    with pytest.raises(ValueError, match="results: a link; put"):
        Project(tmp_path / "link")


def test_a_project_that_was_only_begun_is_taken(tmp_path):
    (tmp_path / "finds/scans").mkdir(parents=True)
    (tmp_path / "finds/.DS_Store").touch()
    Project(tmp_path / "finds").close()
    assert (tmp_path / "finds/project.json").is_file()


def test_two_windows_change_different_choices_and_lose_none(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        ask = client(bench)
        for told in ({"height_mm": 120}, {"rim": True}, {"height_mm": None}, {"base": True}):
            assert ask.post(f"/scans/{scan.id}/choices", json={"choices": told}).status_code == 204
        assert scan.choices == {"rim": True, "base": True}
        assert ask.post(f"/scans/{scan.id}/choices", json={"choices": [1]}).status_code == 400


def test_the_command_is_that_of_the_files_that_are_there(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        bench.restore(scan.id)
        until(lambda: scan.restored)
        bench.choose(scan.id, {"height_mm": STUCK_MM})
        assert "--height-mm" not in bench.project.told()[0]["command"]


def test_work_goes_on_where_nothing_can_be_kept(tmp_path, monkeypatch):
    with app_work.bench(tmp_path / "finds") as bench:
        scan, other = added(bench, tmp_path), added(bench, tmp_path, "other.stl")
        save, full = bench.project.save, []

        def failing():
            full.append(1)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(bench.project, "save", failing)
        bench._submit("restore", scan)
        until(lambda: full and not bench.jobs.state())
        monkeypatch.setattr(bench.project, "save", save)
        bench.restore(other.id)
        until(lambda: other.restored)


def test_a_scan_that_was_not_looked_at_is_looked_at_by_the_next_start(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        with bench.project.changing(scan.id):
            scan.look, scan.fault = None, "it takes too long"
    with app_work.bench(tmp_path / "finds") as bench:
        until(lambda: bench.project.scans[scan.id].look)
        assert bench.project.scans[scan.id].fault is None


def test_choices_are_taken_back_one_by_one(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        steps = [{"unit": "cm"}, {"unit": "cm", "height_mm": 90.0}, {"height_mm": 90.0}]
        for step in steps:
            bench.choose(scan.id, step)
            bench.choose(scan.id, step)  # The same again is no step.
        for step in (*steps[-2::-1], {}):
            bench.undo(scan.id)
            assert scan.choices == step
        bench.undo(scan.id)
        assert scan.choices == {} and scan.before == []


def test_after_the_first_time_each_change_restores_anew(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        bench.choose(scan.id, {"diameter_mm": 80})
        assert not bench.jobs.has("restore", scan.id)
        bench.restore(scan.id)
        until(lambda: scan.restored)
        assert restored_with(scan) == {"diameter_mm": 80.0}
        bench.choose(scan.id, {"diameter_mm": 90, "base": True})
        until(lambda: restored_with(scan) == {"diameter_mm": 90.0, "base": True})
        bench.undo(scan.id)
        until(lambda: restored_with(scan) == {"diameter_mm": 80.0})


def test_a_place_is_taken_turned_over_or_clicked(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        with pytest.raises(ValueError, match="restore the sherd first"):
            bench.take(scan.id, 0)
        bench.restore(scan.id)
        until(lambda: scan.restored)
        bench.choose(scan.id, {"height_mm": 140})
        bench.take(scan.id, 0)
        # What was said stays.
        taken = {"axis": [0.6, -0.8, 0.0], "height_mm": 140.0, "diameter_mm": 98.0}
        assert scan.choices == taken
        bench.flip(scan.id)
        assert scan.choices == taken | {"axis": [-0.6, 0.8, 0.0]}
        bench.undo(scan.id)
        # A point of the axis stays.
        bench.change(scan.id, {"axis": [0.6, -0.8, 0, 7.12345, 8, 9]})
        bench.flip(scan.id)
        assert scan.choices["axis"] == [-0.6, 0.8, 0.0, 7.123, 8.0, 9.0]
        for _ in range(2):
            bench.undo(scan.id)
        with pytest.raises(ValueError, match="clear the height, the diameter and the axis first"):
            bench.take(scan.id, 0)
        bench.by_rim(scan.id, [[10, 0, 3], [-8, 5, 3], [0, -9, 3]])
        assert scan.choices == taken | {"axis": [0.0, 0.0, 1.0], "rim": True}


def test_what_is_stuck_is_stopped_and_the_rest_goes_on(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        stuck, other = added(bench, tmp_path), added(bench, tmp_path, "other.stl")
        bench.choose(stuck.id, {"height_mm": STUCK_MM})
        first = bench.jobs._process
        assert first
        bench.restore(stuck.id)
        bench.restore(other.id)
        until(lambda: bench.jobs.state().get(stuck.id) == "step_reading")
        assert bench.jobs.state()[other.id] == "step_waiting"
        bench.stop(stuck.id)
        until(lambda: other.restored)
        assert not first.is_alive() and bench.jobs._process is not first
        assert (stuck.restored, stuck.fault) == (None, None)
        assert bench.jobs.state() == {}


def test_what_is_no_longer_wanted_gives_way(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        bench.choose(scan.id, {"height_mm": STUCK_MM})
        bench.restore(scan.id)
        until(lambda: bench.jobs.state().get(scan.id) == "step_reading")
        process = bench.jobs._process
        bench.choose(scan.id, {"height_mm": 70})
        until(lambda: scan.restored)
        assert restored_with(scan) == {"height_mm": 70.0}
        assert bench.jobs._process is process  # With its model.


def test_a_fault_is_told_and_goes_with_the_next_choice(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        for height, fault in ((BROKEN_MM, "no such pot"), (DEADLY_MM, "for want of memory")):
            bench.choose(scan.id, {"height_mm": height})
            assert scan.fault is None
            bench.restore(scan.id)
            assert fault in until(lambda: scan.fault)
        bench.choose(scan.id, {})
        bench.restore(scan.id)
        until(lambda: scan.restored)
        assert scan.fault is None


def test_every_page_is_told_of_every_change(tmp_path):
    import asyncio

    async def follow(bench, scan):
        pages = [bench.events.stream(), bench.events.stream()]
        first = [await anext(page) for page in pages]
        bench.choose(scan.id, {"height_mm": 77})
        second = [await anext(page) for page in pages]
        bench.events.close()
        rest = [[event async for event in page] for page in pages]
        return first, second, rest

    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        until(lambda: not bench.jobs.state())
        first, second, rest = asyncio.run(follow(bench, scan))
    assert first[0] == first[1] and second[0] == second[1] and rest == [[], []]
    said = [json.loads(event.removeprefix("data: ")) for event in (first[0], second[0])]
    assert [each["scans"][0]["choices"] for each in said] == [{}, {"height_mm": 77.0}]
    assert said[0]["project"] == str(tmp_path / "finds")
    # What was told before is not told again.
    assert said[0]["scans"][0].keys() > {"look", "restored", "fault", "step"}
    assert said[1]["scans"][0].keys() == {"id", "choices", "undoable", "command"}


def test_a_report_is_told_once(tmp_path):
    import asyncio

    async def follow(bench, scan):
        page = bench.events.stream()
        await anext(page)
        bench.choose(scan.id, {"height_mm": STUCK_MM})
        steps = []
        while "step_reading" not in steps:
            (told,) = json.loads((await anext(page)).removeprefix("data: "))["scans"]
            assert not told.keys() & {"restored", "look"}
            steps.append(told.get("step"))
        await page.aclose()

    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        bench.restore(scan.id)
        until(lambda: scan.restored and not bench.jobs.state())
        asyncio.run(follow(bench, scan))


def test_a_scan_whose_first_reading_was_stopped_is_read_again(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        with bench.project.changing(scan.id):
            scan.look, scan.fault = None, "it takes too long"
        assert client(bench).post(f"/scans/{scan.id}/look").status_code == 204
        until(lambda: scan.look)
        assert scan.fault is None


def test_sherds_of_one_pot_are_restored_together(tmp_path, monkeypatch):
    with app_work.bench(tmp_path / "finds") as bench:
        scan, other = added(bench, tmp_path), added(bench, tmp_path, "other.stl")
        bench.choose(scan.id, {"others": [other.id], "height_mm": 90})
        jobs = []
        monkeypatch.setattr(bench.jobs, "submit", jobs.append)
        bench.restore(scan.id)
        where = tmp_path / "finds/scans"
        assert (jobs[0].path, jobs[0].others) == (where / "sherd.stl", (where / "other.stl",))
        words = shlex.split(bench.project.told()[0]["command"])
        assert words[2:5] == [str(where / "sherd.stl"), str(where / "other.stl"), "--one-pot"]
        assert "--place" not in words
        for wrong, why in (
            ({"axis": [0, 0, 1]}, "axis: told of one sherd"),
            ({"rim": True, "base": True}, "base, rim: told of one sherd"),
            ({"others": [scan.id]}, "the same unit"),
            ({"unit": "cm"}, "other: choose the same unit"),
        ):
            with pytest.raises(ValueError, match=why):
                bench.change(scan.id, wrong)
        for wrong in (7, ["2"], [True]):
            with pytest.raises(TypeError, match="a list of their numbers"):
                bench.change(scan.id, {"others": wrong})
        # One that is removed is no longer of the pot; the choice can still be changed.
        bench.remove(other.id)
        bench.restore(scan.id)
        assert jobs[-1].others == ()
        bench.change(scan.id, {"others": None, "rim": True})
        assert scan.choices == {"height_mm": 90.0, "rim": True}


def test_a_page_that_is_loaded_again_is_in_its_language(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        german = {"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}
        assert '<html lang="de">' in client(bench).get("/", headers=german).text
        assert '<html lang="zh">' in client(bench, "zh").get("/", headers=german).text


RIM = [[30, 0, 40], [0, 30, 40], [-30, 0, 40]]


def test_three_points_of_the_rim_give_the_axis():
    assert choices.rim_axis(RIM, [5.0, 5.0, 0.0]) == [0.0, 0.0, 1.0]
    assert choices.rim_axis(RIM[::-1], [5.0, 5.0, 0.0]) == [0.0, 0.0, 1.0]  # In any order.
    assert choices.rim_axis(RIM, [5.0, 5.0, 90.0]) == [0.0, 0.0, -1.0]
    leaning = [[3, 0, -4], [0, 5, 0], [-3, 0, 4]]
    assert choices.rim_axis(leaning, [-4.0, 0.0, -3.0]) == [0.8, 0.0, 0.6]


@pytest.mark.parametrize(
    ("points", "middle", "why"),
    [
        ([[0, 0, 0], [10, 0, 0], [20, 0.5, 0]], [0.0, 0.0, -5.0], "almost in a line"),
        ([[1, 1, 1]] * 3, [0.0, 0.0, -5.0], "almost in a line"),
        (RIM, [3.0, 3.0, 40.0], "in the plane"),
        (RIM[:2], [0.0, 0.0, 0.0], "three points"),
        ([[1, 2, float("nan")], *RIM[:2]], [0.0, 0.0, 0.0], "three points"),
    ],
)
def test_points_that_say_no_axis_are_told(points, middle, why):
    with pytest.raises(ValueError, match=why):
        choices.rim_axis(points, middle)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"unit": "cm", "hypotheses": 3},
        {"height_mm": 120.5, "diameter_mm": 180},
        {"height_mm": 120, "diameter_mm": 180, "rim": True},
        {"axis": [-0.5, 0.25, 1 / 3, 500_000.123, -4, 1e-4]},
        {"axis": [-0.5, 0.25, 1 / 3], "rim": True, "base": True, "body": 2},
        {"body": "all"},
    ],
)
def test_the_command_asks_for_the_same(tmp_path, told):
    path = tmp_path / "my finds" / "sherd 1.stl"
    made = choices.checked(told, path)
    words = shlex.split(choices.command(made, path, lang="zh" if "unit" in told else ""))
    args = build_parser(main).parse_args(words[1:])
    assert (words[:2], args.files) == (["voxgan", "complete"], [str(path)])
    asked = choices.options(made, path, lang="zh" if "unit" in told else "en")
    assert list(files.asked(options.asked(args)).items()) == list(asked.items())
    wanted = {name: value for name, value in options.facts(args).items() if value}
    assert {name: value for name, value in choices.facts(made, path).items() if value} == wanted


def test_what_cannot_be_is_told_and_nothing_is_dropped(tmp_path):
    path = tmp_path / "sherd.stl"
    with pytest.raises(ValueError, match="height_mm=0: give a size in mm, above 0"):
        choices.checked({"height_mm": 0}, path)
    with pytest.raises(ValueError, match="axis"):
        choices.checked({"axis": [0, 0, 0]}, path)
    none = {"rim": False, "hypotheses": 0, "unit": None}
    assert choices.checked(none | {"axis": [0, 3e-5, -4e-5]}, path) == {"axis": [0.0, 0.6, -0.8]}
    assert choices.checked({"axis": [0, 0.1, 1]}, path) == {"axis": [0.0, 0.1, 1.0]}


def test_a_file_of_voxels_has_its_own_choices(tmp_path):
    path = tmp_path / "pot.vox"
    assert choices.checked({"voxel_mm": 2}, path) == {"voxel_mm": 2.0}
    assert "--voxel-mm 2 " in choices.command({"voxel_mm": 2.0}, path)
    with pytest.raises(ValueError, match="no choice 'rim' here; there are voxel_mm, hypotheses"):
        choices.checked({"rim": True}, path)
