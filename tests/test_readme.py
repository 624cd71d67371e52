"""What the documents tell to type: that it exists, can be run, and knows the options."""

import re
import shlex

import pytest
from conftest import ROOT

from voxgan_jax.cli import main, parser

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
)
_FENCED = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (.*)$", re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`((?:scripts/|voxgan )[^`]*)`")


def commands():
    """Each command line of ours in the documents, as words; of a pipe, the part that is ours."""
    found = {}
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        typed = "".join(_FENCED.findall(text)) + "\n".join(_INDENTED.findall(text))
        lines = typed.replace("\\\n", " ").splitlines()
        for line in lines + [span.replace("\n", " ") for span in _SPAN.findall(text)]:
            for part in re.split(r"[|;&>]", re.sub(r"(^|\s)#.*", "", line)):
                words = _words(part)
                if words and words[0].startswith(("scripts/", "voxgan")):
                    found[f"{name}: {shlex.join(words)}"] = words
    return found


def _words(line):
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("python", "sbatch", "nohup")):
        words = words[1:]
    return words


COMMANDS = commands()


def test_the_documents_have_commands():
    assert len(COMMANDS) > 100
    assert len({words[0] for words in COMMANDS.values()}) > 14


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_what_a_document_links_to_is_there(name):
    for target in _LINK.findall((ROOT / name).read_text()):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            assert (ROOT / path).exists(), target
            if anchor:
                assert anchor in _anchors(ROOT / path), target


def _anchors(path):
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return [
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_that_a_document_shows_can_be_compiled(name):
    import voxgan_jax

    for code in _PYTHON.findall((ROOT / name).read_text()):
        compile(code, name, "exec")
        for public in re.findall(r"voxgan_jax\.(\w+)", code):
            assert public in voxgan_jax.__all__


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_what_says_what_runs_it_can_be_run(path):
    if path.is_file() and path.read_bytes().startswith(b"#!"):
        assert path.stat().st_mode & 0o111 == 0o111, f"chmod +x scripts/{path.name}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.name
)
def test_a_script_finds_what_lies_beside_the_package(path):
    """Run by its path Python looks for modules in scripts/ alone, not in the folder above it."""
    text = path.read_text()
    found = re.search(r"^ *(from|import) (scripts|configs)\b", text, re.MULTILINE)
    if found:
        assert "sys.path.insert(0" in text[: found.start()], "add the clone's folder to sys.path"


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_documents_exists_and_knows_its_options(line):
    first, *rest = COMMANDS[line]
    options = [word.split("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    if first == "voxgan":
        known = _options_of(parser.build_parser(main.main), rest[0] if rest else "")
    else:
        path = ROOT / first
        assert path.is_file()
        if path.suffix != ".sh":
            assert path.stat().st_mode & 0o100
        known = path.read_text()
    for option in options:
        if option.startswith("--config."):
            assert _is_field(option.removeprefix("--config.")), option
        elif first != "scripts/slurm.sh":
            assert re.search(rf'["\s](--)?{option[2:]}["\s\]]', known), option


def _options_of(parser, command):
    """The options of a command of `voxgan`, or those of all, each in quotes."""
    parsers = {"": parser}
    for action in parser._actions:
        parsers |= action.choices if action.dest == "command" else {}
    assert command.startswith("-") or command in parsers, f"no command {command}"
    chosen = parsers.get(command, parser)
    return " ".join(f'"{name}"' for part in chosen._actions for name in part.option_strings)


def _is_field(name):
    from configs import default

    value = default.get_config()
    for part in name.split("."):
        if part not in value:
            return name == "FIELD"
        value = value[part]
    return True
