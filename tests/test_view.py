"""The command line itself: `voxgan view`, its help, its examples, and completion by the shell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import webbrowser

import pytest

from voxgan_jax import __version__
from voxgan_jax.cli import main, parser, view


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "done of today"
    folder.mkdir()
    for name in ("sherd_completed.vox", "sherd_completed.stl", "sherd_missing.stl", "sherd.html"):
        (folder / name).write_text("")
    for name in ("pot_fragment3.html", "jug_fragment2.html", "jug_fragment5.html", "sherd.json"):
        (folder / name).write_text("")
    return folder


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser would have been given."""
    addresses = []
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


@pytest.mark.parametrize(
    "name",
    [
        "sherd.html",
        "sherd_completed.vox",
        "sherd_completed.stl",
        "sherd_missing.stl",
        "sherd_section.svg",
        "sherd_hypothesis12.stl",
        "sherd.json",
    ],
)
def test_a_page_is_found_from_any_result_beside_it(name, results, opened, capsys):
    assert main.main(["view", str(results / name)]) == 0
    assert opened == [(results / "sherd.html").as_uri()]
    assert capsys.readouterr().out == f"{opened[0]}\n"
    assert "done%20of%20today" in opened[0]


@pytest.mark.parametrize(
    ("sherd", "page"),
    [("sherd.stl", "sherd.html"), ("pot.vox", "pot_fragment3.html"), ("jug_fragment5", None)],
)
def test_a_page_is_found_from_the_sherd_and_the_folder(sherd, page, results, tmp_path):
    expected = results / (page or f"{sherd}.html")
    assert view.find_page(tmp_path / sherd, results) == expected


def test_the_page_of_one_of_several_sherds_of_one_name_is_found(tmp_path):
    out = tmp_path / "out"
    pages = (
        "a/sherd",
        "b/sherd_stl",
        "b/sherd_ply",
        "in/c/sherd",
        "c/p_fragment3",
        "q_vox_fragment2",
    )
    for name in (*pages, "d/r_fragment1", "d/r_fragment2"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.html").write_text("")
    for sherd, page in (
        ("x/a/sherd.obj", "a/sherd"),
        ("x/b/sherd.STL", "b/sherd_stl"),
        ("b/sherd.ply", "b/sherd_ply"),
        ("in/c/sherd.stl", "in/c/sherd"),
        ("c/p.vox", "c/p_fragment3"),
        ("z/q.vox", "q_vox_fragment2"),
    ):
        assert view.find_page(tmp_path / sherd, out) == out / f"{page}.html"
    with pytest.raises(ValueError, match=r"several pages: r_fragment1\.html, r_fragment2\.html"):
        view.find_page(tmp_path / "d" / "r.vox", out)
    with pytest.raises(FileNotFoundError, match=r"sherd\.html: there is no such page"):
        view.find_page(tmp_path / "elsewhere" / "sherd.stl", out)


def test_a_folder_shows_its_overview_or_its_only_page(results, tmp_path):
    with pytest.raises(ValueError, match=r"several pages: jug_fragment2\.html, jug"):
        view.find_page(results)
    (results / "index.html").write_text("")
    assert view.find_page(results) == results / "index.html"
    (tmp_path / "a.html").write_text("")
    assert view.find_page(tmp_path) == tmp_path / "a.html"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["none.html"], "none.html: there is no such page; `voxgan complete FILE --out DIR`"),
        (["other.vox"], "other.html: there is no such page; say by --out where its results are; "),
        (["sherd.vox", "--out", "nowhere"], "nowhere/sherd.html: there is no such page; `voxgan"),
        (["jug.vox"], "several pages: jug_fragment2.html, jug_fragment5.html; name one"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(options, said, results, opened, capsys, monkeypatch):
    monkeypatch.chdir(results)
    assert main.main(["view", *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("voxgan: ") and said in error and error.count("\n") == 1
    assert opened == []


@pytest.mark.parametrize("why", ["no display", "refused", "error"])
def test_without_a_browser_the_address_is_printed(why, results, monkeypatch, capsys):
    def fail(address):
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(view, "has_display", lambda *_: why != "no display")
    monkeypatch.setattr(webbrowser, "open", fail if why == "error" else lambda _: why != "refused")
    assert main.main(["view", str(results / "sherd.html")]) == 0
    said = capsys.readouterr().out
    assert said.startswith((results / "sherd.html").as_uri() + "\n")
    assert "No browser could be opened here: open this address in one, or copy\nsherd.html" in said


def test_where_a_browser_can_be_had():
    assert not view.has_display({"BROWSER": ""}, "linux")
    assert view.has_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert view.has_display({"BROWSER": "lynx"}, "linux")
    assert view.has_display({}, "darwin") and view.has_display({}, "win32")


def imported(code, names):
    """Which of these modules Python holds after some code, in a process of its own."""
    code = f"import sys; {code}; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_help_and_version_wait_for_nothing_heavy():
    heavy = ["jax", "numpy", "scipy", "trimesh", "skimage", "matplotlib", "tensorflow", "shtab"]
    assert (
        imported(
            "import voxgan_jax; from voxgan_jax.cli import parser; parser.build_parser(len)",
            heavy,
        )
        == []
    )


def test_completing_needs_neither_tensorflow_nor_matplotlib():
    code = "from voxgan_jax.restore import api, batch, files, pool, pot"
    heavy = ["tensorflow", "tensorflow_datasets", "matplotlib", "torch", "jax"]
    assert imported(code, heavy) == ["jax"]


# Help and completion.


def commands():
    (actions,) = [
        a
        for a in parser.build_parser(main.main)._actions
        if hasattr(a, "choices") and a.dest == "command"
    ]
    assert isinstance(actions.choices, dict)
    return actions.choices


def examples(text):
    """The command lines in a help; what is said of one stands three spaces behind it."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("  voxgan ")]
    return [shlex.split(re.split(r"\s{3,}", line)[0]) for line in lines]


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_has_examples_that_can_be_typed(name):
    found = examples(commands()[name].format_help())
    assert found
    for words in found:
        assert words[:2] == ["voxgan", name]
        assert callable(parser.build_parser(main.main).parse_args(words[1:]).run)


@pytest.mark.parametrize("words", [[], *([name] for name in commands())])
def test_help_ends_with_examples_and_exit_codes(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([*words, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    shown = {line[1] for line in examples(said)}
    assert shown == (set(words) or set(commands()))
    assert "  2    a wrong command line" in said and "  130  stopped by Ctrl-C" in said


def test_exit_codes_are_what_the_help_says(capsys, tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"voxgan_jax {__version__}\n"
    with pytest.raises(SystemExit) as ended:
        main.main(["view"])
    assert ended.value.code == 2
    assert main.main(["view", str(tmp_path / "none.html")]) == 1
    monkeypatch.setattr(view, "find_page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main.main(["view", "a.html"]) == 130


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], {"complete"}),
        (["complete", "--vox"], {"--voxel-mm"}),
        (["complete", "--formats", "st"], {"stl"}),
        (["view", "sh"], {"sherd.html", "shards"}),
        (["complete", "a.vox", "--out", "sh"], {"shards"}),
    ],
)
def test_bash_completes_commands_options_and_files(words, expected, tmp_path):
    script = subprocess.run(
        [sys.executable, "-m", "voxgan_jax.cli", "--print-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (tmp_path / "voxgan.bash").write_text(script)
    (tmp_path / "sherd.html").write_text("")
    (tmp_path / "shards").mkdir()
    line = shlex.join(["voxgan", *words])
    typed = f"""
        source ./voxgan.bash
        [[ $(complete -p voxgan) =~ -F\\ ([^ ]+) ]] && completer=${{BASH_REMATCH[1]}}
        COMP_WORDS=({line}) COMP_CWORD={len(words)} COMP_LINE="{line}" COMP_POINT={len(line)}
        $completer voxgan {shlex.quote(words[-1])} {shlex.quote(["voxgan", *words][-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["--print-completion", shell])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "voxgan" in said
    for name in commands():
        assert name in said
