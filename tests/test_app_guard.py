"""`voxgan app` answers its own page only, and takes no more than it says."""

import io
import pathlib
import re
import socket
import zipfile

import app_work
import pytest
from app_work import HOST, PORT, TOKEN, client, until

from voxgan_jax import render
from voxgan_jax.app import server, uploads

SCAN = b"solid a\nendsolid a\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with app_work.bench(tmp_path_factory.mktemp("project") / "finds") as made:
        yield made


@pytest.fixture(scope="module")
def asking(bench):
    return client(bench)


@pytest.fixture(scope="module")
def restored(bench, asking):
    """The address of a scan whose pot was restored."""
    number = asking.post("/scans?name=sherd.stl", content=SCAN).json()["id"]
    asking.post(f"/scans/{number}/restore")
    until(lambda: bench.project.scans[number].restored)
    return f"/scans/{number}"


def test_it_listens_on_this_machine_only():
    with server.listening() as place:
        host, port = place.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(OSError, match=rf"port {port}: .*; name another by --port"):
            server.listening(port)
        elsewhere = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), port)}
        for address in elsewhere - {"127.0.0.1", "::1"}:
            with pytest.raises(OSError), socket.create_connection((address, port), timeout=2):
                pass


def test_the_token_leaves_the_address_for_a_cookie_of_this_site(bench):
    answer = client(bench, known=False).get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    name, *about = answer.headers["set-cookie"].split("; ")
    assert name == f"voxgan_{PORT}={TOKEN}"
    assert {word.lower() for word in about} == {"httponly", "samesite=strict", "path=/"}


@pytest.mark.parametrize(
    "path", ["/", "/?token=guessed", "/texts", "/events", "/assets/app.js", "/scans/1/files/a"]
)
def test_without_the_token_nothing_is_told(bench, path):
    answer = client(bench, known=False).get(path)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "address" in answer.text and str(bench.project.folder) not in answer.text


def test_the_token_opens_the_page_only(bench):
    stranger = client(bench, known=False)
    assert stranger.get(f"/texts?token={TOKEN}").status_code == 403
    assert stranger.post(f"/?token={TOKEN}").status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example:8123", "127.0.0.1", "127.0.0.1:9", "", "[::1]:8123"]
)
def test_another_host_is_refused(asking, host):
    answer = asking.get("/", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", ""])
def test_another_origin_is_refused(asking, origin):
    for method in ("GET", "POST"):
        assert asking.request(method, "/", headers={"Origin": origin}).status_code == 403


def test_a_change_needs_an_origin_and_reading_may_not_come_from_another_page(asking, restored):
    del asking.headers["Origin"]
    try:
        assert asking.post(f"{restored}/undo").status_code == 403
        assert asking.delete(restored).status_code == 403
        assert asking.get("/").status_code == 200
        for site in ("cross-site", "same-site"):
            assert asking.get("/", headers={"Sec-Fetch-Site": site}).status_code == 403
    finally:
        asking.headers["Origin"] = HOST


def test_every_answer_bars_scripts_and_styles_of_others(asking, restored):
    own = "default-src 'none'; script-src 'self'; style-src 'self'"
    for path in ("/", "/texts", "/assets/app.js", "/nothing", f"{restored}/all"):
        headers = asking.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith(own) and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_the_page_has_no_script_or_style_of_its_own_and_asks_for_ours_only(asking):
    page = asking.get("/").text
    assert re.findall(r"<script(?![^>]* src=\"/assets/)", page) == []
    assert "<style" not in page and not re.search(r"\s(style|on\w+)=", page)
    asked = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert len(asked) > 4
    assert all(name.startswith(("/assets/", "data:,")) for name in asked)
    for name in server.ASSETS:
        assert asking.get(f"/assets/{name}").status_code == 200
        if "vendor" not in name:
            assert "://" not in render.asset(name)
    used = {f"/assets/{name}" for name in server.ASSETS}
    scripts = "".join(render.asset(name) for name in server.ASSETS if name.startswith("app"))
    imported = {f"/assets/{name}" for name in re.findall(r'from "\./([\w.]+)"', scripts)}
    assert used == {name for name in asked if name != "data:,"} | imported


@pytest.mark.parametrize(
    "path",
    [
        *("/assets/../app/server.py", "/assets/%2e%2e/version.py", "/assets//etc/passwd"),
        *("/scans/1/files/..%2f..%2fproject.json", "/scans/1/files/%2fetc%2fpasswd"),
        *("/scans/1/files/.lock", "/scans/1/view/..", "/scans/99/files/sherd.html"),
        *("/scans/x/drawing", "/project.json", "/scans/1/files/sherd.stl"),
    ],
)
def test_no_path_of_a_request_is_opened(asking, restored, path):
    assert restored == "/scans/1"
    assert asking.get(path).status_code in (404, 405)


def test_files_are_to_be_kept_and_never_run_here(asking, restored):
    answer = asking.get(f"{restored}/files/sherd.html")
    assert answer.content == b"<script>1</script>"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    drawing = asking.get(f"{restored}/drawing")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert "script" not in drawing.headers["content-security-policy"]
    with zipfile.ZipFile(io.BytesIO(asking.get(f"{restored}/all").content)) as packed:
        assert packed.namelist() == ["sherd.html", "sherd_section.svg"]


def test_an_upload_is_bounded(bench, asking, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    before = sorted((bench.project.folder / "scans").iterdir())
    for content in (bytes(1001), iter([bytes(600), bytes(600)])):
        answer = asking.post("/scans?name=a.stl", content=content)
        assert answer.status_code == 400
        assert "a.stl: more than 0 MB; reduce the scan" in answer.json()["fault"]
    assert asking.post("/scans?name=a.stl", content=b"").status_code == 400
    assert "send one of .vox" in asking.post("/scans?name=a.exe", content=b"1").json()["fault"]
    assert asking.post("/scans", content=b"1").status_code == 400
    monkeypatch.setattr(uploads, "MOST_SCANS", len(bench.project.scans))
    assert "already" in asking.post("/scans?name=a.stl", content=SCAN).json()["fault"]
    assert sorted((bench.project.folder / "scans").iterdir()) == before


def packed(size: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", bytes(size))
    return made.getvalue()


def test_what_an_archive_unpacks_to_is_bounded(asking, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_UNPACKED", 1 << 20)
    answer = asking.post("/scans?name=bomb.3mf", content=packed(3 << 20))
    assert (answer.status_code, "more than 10000 files or 1 MB unpacked" in answer.text) == (
        400,
        True,
    )
    monkeypatch.setattr(uploads.threemf, "MAX_COPIES", 0)
    answer = asking.post("/scans?name=many.3mf", content=packed(100))
    assert (answer.status_code, "more than 0 files" in answer.text) == (400, True)
    monkeypatch.undo()
    assert asking.post("/scans?name=bomb.npz", content=b"no archive").status_code == 400
    assert asking.post("/scans?name=small.3mf", content=packed(100)).status_code == 201


def test_what_is_said_is_bounded_and_checked(asking, restored):
    much = b'{"choices": "' + bytes(server.MOST_SAID) + b'"}'
    for deed, content in (
        *(("choices", much), ("choices", b"{"), ("choices", b"[]"), ("choices", b"{}")),
        *(("choices", b'{"choices": {"out": "/etc"}}'), ("choices", b'{"choices": {"axis": 1}}')),
        *(("choices", b'{"choices": {"height_mm": NaN}}'), ("rim", b'{"points": [[1, 2], 3]}')),
        *(("take", b'{"place": 7}'), ("take", b'{"place": "0"}')),
        ("choices", b'{"choices": {"height_mm": 1' + b"0" * 400 + b"}}"),
        *(("choices", b'{"choices": ' + b"[" * deep) for deep in (1000, 60_000)),
    ):
        answer = asking.post(f"{restored}/{deed}", content=content)
        assert (answer.status_code, bool(answer.json()["fault"])) == (400, True), content[:60]
    assert asking.post(f"{restored}/rm").status_code == 404
    assert asking.post("/scans/99/undo").status_code == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Sherd 7.STL", "Sherd 7.stl"),
        ("../../etc/passwd.stl", "passwd.stl"),
        (r"C:\finds\a.b.ply", "a_b.ply"),
        ("...glb", "sherd_2.glb"),
        ("/.obj/x\n\u202e\0.obj", "x.obj"),
        ("Gefäß 陶片.vox", "Gefäß 陶片.vox"),
        ("sherd.OBJ", "sherd_2.obj"),
        ("index.stl", "index_2.stl"),
        ("x" * 300 + ".off", "x" * 80 + ".off"),
        ("陶" * 80 + ".off", "陶" * 66 + ".off"),  # 198 bytes: 200 would end within a letter.
        ("Gefa\u0308ß.ply", "Gef\u00e4ß.ply"),
        ("घड़ा ?!२.ply", "घड़ा _२.ply"),
    ],
)
def test_the_name_of_an_upload_is_no_path(name, kept):
    found = uploads.kept_as(name, ["sherd.stl"])
    assert found == kept
    assert pathlib.PurePath(found).name == found
