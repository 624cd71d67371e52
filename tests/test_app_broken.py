"""`voxgan app` where things break: full disks, projects that others wrote, what is lost or left."""

import asyncio
import copy
import errno
import json
import math
import threading

import app_work
import pytest
from app_work import HOST, PORT, SCAN, TOKEN, added, client, until

from voxgan_jax.app import choices, project, server, uploads
from voxgan_jax.app.events import Events
from voxgan_jax.app.project import Project
from voxgan_jax.language import LANGUAGES

LOOK = {"size": [4, 3, 2], "middle": [0, 0, 1], "unit_mm": 1, "mesh": True, "bodies": []}
PLACE = {"axis_direction": [0, 0, 1], "height_mm": 90, "diameter_mm": 80}
REPORT = {"measures": {}, "hypotheses": [], "placement": PLACE | {"runner_ups": [PLACE]}}
RESTORED = {"choices": {"unit": "cm"}, "report": REPORT, "files": ["a.html"]}
FIRST = {"id": 1, "file": "a.stl", "look": LOOK | {"notes": ["two"]}, "restored": RESTORED}
WHOLE = {"version": 1, "last": 2, "scans": [FIRST, {"id": 2, "file": "b.stl"}]}


def fill(monkeypatch):
    """Let nothing be kept in a project, as if the disk were full."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(project, "write_whole", full)


def on_disk(folder):
    return json.loads((folder / "project.json").read_text(encoding="utf-8"))


def test_on_a_full_disk_memory_and_disk_stay_as_they_were(tmp_path, monkeypatch):
    with app_work.bench(tmp_path / "finds") as bench:
        scan, ask = added(bench, tmp_path), client(bench)
        bench.choose(scan.id, {"height_mm": 90})
        before, told = on_disk(tmp_path / "finds"), copy.deepcopy(bench.project.told())
        fill(monkeypatch)
        for asked in (
            lambda: ask.delete("/scans/1"),
            lambda: ask.post("/scans/1/choices", json={"choices": {"height_mm": 120}}),
            lambda: ask.post("/scans/1/undo"),
            lambda: ask.post("/language", json={"language": "de"}),
            lambda: ask.post("/scans?name=other.stl", content=SCAN),
        ):
            answer = asked()
            why = f"{tmp_path / 'finds'}: No space left on device; make room on the disk, and try"
            assert (answer.status_code, answer.json()["fault"]) == (500, f"{why} again")
            assert bench.project.told() == told and bench.project.language is None
        assert [path.name for path in (tmp_path / "finds/scans").iterdir()] == ["sherd.stl"]
        monkeypatch.undo()
        assert on_disk(tmp_path / "finds") == before
        assert ask.post("/scans?name=other.stl", content=SCAN).json() == {"id": 2}
        assert ask.delete("/scans/1").status_code == 204
        assert [entry["id"] for entry in on_disk(tmp_path / "finds")["scans"]] == [2]


def test_a_result_that_cannot_be_kept_is_told(tmp_path, monkeypatch):
    with app_work.bench(tmp_path / "finds") as bench:
        scan = added(bench, tmp_path)
        fill(monkeypatch)
        bench._submit("restore", scan)
        assert "make room on the disk" in until(lambda: scan.fault)
        assert scan.restored is None


def wrong_projects():
    """Projects with one thing in each that this version does not write."""
    for path, values in {
        ("version",): [None, 2, "1"],
        ("last",): [None, -1, 0.5, True, "2", 10**400],
        ("language",): ["fr", ["en"], 1],
        ("scans",): [None, {}, "x", [None], ["x"], [[]]],
        ("scans", 0, "id"): [None, 0, -1, 1.5, True, "1", 2],
        ("scans", 0, "file"): [
            None,
            "",
            ".",
            "..",
            ".stl",
            "a/b.stl",
            "a\\b.stl",
            "a\0.stl",
            "b.ply",
        ],
        ("scans", 0, "other"): [1],
        ("scans", 0, "choices"): [
            None,
            [],
            {"rim": 1},
            {"axis": "abc"},
            {"others": ["2"]},
            {"x": 1},
        ],
        ("scans", 0, "before"): [None, {}, [None], [{"height_mm": "1"}]],
        ("scans", 0, "fault"): [1, ["x"], "\ud800"],
        ("scans", 0, "look"): [1, [], {}],
        ("scans", 0, "look", "size"): [
            None,
            [1, 2],
            ["1", 2, 3],
            [math.nan, 1, 1],
            [math.inf, 1, 1],
        ],
        ("scans", 0, "look", "notes"): [None, "x", [1]],
        ("scans", 0, "look", "mesh"): [None, 1],
        ("scans", 0, "restored"): [1, {}],
        ("scans", 0, "restored", "files"): [None, "x", [1], [""]],
        ("scans", 0, "restored", "report"): [None, [], {}],
        ("scans", 0, "restored", "report", "options"): [[], {"lang": 1}],
        ("scans", 0, "restored", "report", "warnings"): ["x", [1], {}],
        ("scans", 0, "restored", "report", "hypotheses"): [None, [1]],
        ("scans", 0, "restored", "report", "placement"): [1, {}, PLACE],
    }.items():
        for value in values:
            made = copy.deepcopy(WHOLE)
            inner = made
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = value
            yield json.dumps(made)
    yield json.dumps(WHOLE).replace('"unit_mm": 1', '"unit_mm": 1e999')
    yield json.dumps(WHOLE).replace('"unit_mm": 1', '"unit_mm": 1' + 400 * "0")
    yield "[" * 100_000


def test_a_project_of_wrong_types_is_told_and_left_alone(tmp_path):
    file = tmp_path / "finds/project.json"
    file.parent.mkdir()
    file.write_text(json.dumps(WHOLE))
    Project(file.parent).close()
    for wrong in wrong_projects():
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"project.json: not a project of this version"):
            pytest.fail(f"taken: {Project(file.parent).told()} of {wrong}")
        assert file.read_text() == wrong


def test_a_number_is_never_given_twice(tmp_path):
    (tmp_path / "finds").mkdir()
    (tmp_path / "finds/project.json").write_text(json.dumps(WHOLE | {"last": 0}))
    found = Project(tmp_path / "finds")
    assert found.add("c.stl").id == 3
    found.close()


def test_the_schema_knows_languages_and_choices(tmp_path):
    assert project._FORM["properties"]["language"]["enum"] == [None, *LANGUAGES]
    known = {*choices._OF_A_MESH, *choices._OF_VOXELS, "hypotheses"}
    assert project._FORM["$defs"]["choices"]["properties"].keys() == known


@pytest.mark.parametrize(
    "place", ["scans/a.stl", "results/a", "results/a/a.html", "views/1-scan.json"]
)
def test_links_in_a_project_are_not_followed(tmp_path, place):
    (tmp_path / "secret").mkdir()
    link = tmp_path / "finds" / place
    link.parent.mkdir(parents=True)
    (tmp_path / "finds/project.json").write_text(json.dumps(WHOLE))
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=f"{place}: a link; put what it leads to in its place"):
        Project(tmp_path / "finds")


def test_a_sherd_that_is_removed_leaves_its_pots(tmp_path, monkeypatch):
    with app_work.bench(tmp_path / "finds") as bench:
        scan, other, third = (added(bench, tmp_path, f"{name}.stl") for name in "abc")
        bench.choose(scan.id, {"others": [other.id]})
        bench.choose(scan.id, {"others": [other.id, third.id], "height_mm": 90})
        jobs = []
        monkeypatch.setattr(bench.jobs, "submit", jobs.append)
        monkeypatch.setattr(bench.jobs, "has", lambda kind, number: number == scan.id)
        bench.remove(other.id)
        assert scan.choices == {"others": [third.id], "height_mm": 90.0}
        assert scan.before == [{}, {}]
        assert [(job.kind, job.scan, len(job.others)) for job in jobs] == [("restore", scan.id, 1)]
        bench.remove(third.id)
        assert scan.choices == {"height_mm": 90.0} and jobs[-1].others == ()
        assert on_disk(tmp_path / "finds")["scans"][0]["choices"] == {"height_mm": 90.0}


def test_one_pot_has_one_unit_whoever_is_told_it(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        scan, other = added(bench, tmp_path), added(bench, tmp_path, "other.stl")
        bench.choose(other.id, {"unit": "cm"})
        bench.choose(scan.id, {"unit": "cm", "others": [other.id]})
        for change in (
            lambda: bench.change(scan.id, {"unit": "mm"}),
            lambda: bench.change(other.id, {"unit": "mm"}),
            lambda: bench.undo(other.id),
        ):
            with pytest.raises(ValueError, match="choose the same unit for all sherds of a pot"):
                change()
        assert scan.choices["unit"] == other.choices["unit"] == "cm"
        bench.change(scan.id, {"others": None})
        bench.change(other.id, {"unit": "mm"})
        assert other.choices == {"unit": "mm"}


def test_the_language_that_is_typed_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(server._Server, "run", lambda *_, **__: None)
    for language, kept in (("es", "es"), (None, "es"), ("de", "de")):
        server.run(tmp_path / "finds", [], lambda _: None, language=language)
        assert on_disk(tmp_path / "finds")["language"] == kept


def test_a_scan_whose_view_is_lost_is_read_again(tmp_path):
    with app_work.bench(tmp_path / "finds") as bench:
        view = bench.project.view(added(bench, tmp_path), "scan")
    view.unlink()
    with app_work.bench(tmp_path / "finds") as bench:
        until(lambda: view.is_file() and not bench.jobs.state())


def test_an_archive_is_looked_into_while_others_are_answered(tmp_path, monkeypatch):
    threads = []

    async def receive():
        async def chunks():
            threads.append(threading.current_thread())
            yield b"much"

        return await uploads.receive(tmp_path / "a.npz", chunks())

    found = lambda *_: threads.append(threading.current_thread())  # noqa: E731
    monkeypatch.setattr(uploads, "_check_unpacked", found)
    assert asyncio.run(receive()) == 4
    assert len({*threads}) == 2


def test_a_page_that_leaves_while_it_sends_is_no_fault(tmp_path):
    sent = [
        {"type": "http.request", "body": SCAN, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return sent.pop(0)

    async def send(_):
        pass

    host = HOST.removeprefix("http://")
    headers = {"host": host, "origin": HOST, "cookie": f"voxgan_{PORT}={TOKEN}"}
    scope = {"type": "http", "method": "POST", "path": "/scans", "query_string": b"name=a.stl"}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    with app_work.bench(tmp_path / "finds") as bench:
        asyncio.run(server.application(bench, TOKEN, PORT)(scope, receive, send))
        assert sent == [] and list((tmp_path / "finds/scans").iterdir()) == []
        assert bench.project.scans == {}


def test_what_an_end_in_the_midst_of_writing_left_is_cleared_away(tmp_path):
    Project(tmp_path / "finds").close()
    left = [tmp_path / "finds" / f"{place}.voxgan_jax-01.tmp" for place in ("", "scans/", "views/")]
    for path in left:
        path.touch()
    (tmp_path / "finds/scans/.mine").touch()
    Project(tmp_path / "finds").close()
    assert not any(path.exists() for path in left) and (tmp_path / "finds/scans/.mine").exists()


def test_a_stream_never_tells_what_is_no_json():
    async def first():
        return await anext(Events(lambda: {"scans": [], "size": math.nan}).stream())

    with pytest.raises(ValueError, match="not JSON compliant"):
        asyncio.run(first())
