"""The package by itself: what its wheel holds and asks for, and what it says without an extra."""

import fnmatch
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from voxgan_jax.cli import commands
from voxgan_jax.version import VERSION

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What only training needs, as it is imported; flax brings optax and orbax in any case.
TRAINING = (
    "importlib_resources",
    "tensorboard",
    "tensorflow",
    "tensorflow_datasets",
)
WITHOUT = f"import sys; sys.modules |= dict.fromkeys({TRAINING!r}); "


def run(code, *words):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return done.returncode, done.stdout, done.stderr


def names(requirements):
    return {Requirement(line).name for line in requirements}


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "voxgan_jax.version.VERSION"
    }
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited and cited[1] == VERSION


def test_restoring_asks_for_nothing_that_only_training_needs():
    extras = PROJECT["project"]["optional-dependencies"]
    asked = names(PROJECT["project"]["dependencies"])
    assert not asked & names(extras["train"])
    assert {"tensorflow-cpu", "tensorflow-datasets", "importlib_resources"} <= names(
        extras["train"]
    )
    assert "voxgan_jax[train]" in extras["dev"]


def test_every_dependency_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.split("[=<>]", line)[0].strip() for line in lines}
    extras = PROJECT["project"]["optional-dependencies"]
    asked = set(PROJECT["project"]["dependencies"]).union(
        *(extras[name] for name in ("app", "train", "docs", "dev"))
    )
    canonical = {name.lower().replace("_", "-") for name in names(asked)} - {"voxgan-jax"}
    assert canonical <= pinned
    for name in ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "jax-cuda13-pjrt"):
        assert f"{name}==0.10.1 ; python_full_version < '3.12'" in lines
        assert f"{name}==0.11.2 ; python_full_version >= '3.12'" in lines


def test_every_file_of_the_package_is_in_the_wheel():
    package = ROOT / "voxgan_jax"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["voxgan_jax"]
    for path in package.rglob("*"):
        name = str(path.relative_to(package))
        # The sources of the view are built into one file.
        beside = "__pycache__" in name or name.startswith("viewer/src")
        if path.is_file() and path.suffix != ".py" and not beside:
            assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
    assert PROJECT["tool"]["setuptools"]["packages"]["find"] == {"include": ["voxgan_jax*"]}
    for folder in {path.parent for path in package.rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), f"{folder} would not be in the wheel"


def test_what_a_package_index_would_show_needs_no_file_beside_it():
    text = (ROOT / PROJECT["project"]["readme"]).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://")


def test_restoring_imports_nothing_of_training():
    code = """
import importlib, pathlib
for room in ("scan", "inference", "placement", "report", "restore", "cli"):
    for path in sorted(pathlib.Path("voxgan_jax", room).glob("[a-z]*.py")):
        importlib.import_module(f"voxgan_jax.{room}.{path.stem}")
print([name for name in sys.modules if name.startswith("voxgan_jax.training")])
"""
    code_of_exit, said, errors = run(code)
    assert (code_of_exit, said, errors) == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("tensorflow", "train"),
        ("tensorboard", "train"),
        ("torch", "torch"),
        ("uvicorn", "app"),
        ("jaxlib", ""),
    ],
)
def test_a_package_of_an_extra_is_told_with_what_to_install(package, extra, capsys):
    def work():
        raise ModuleNotFoundError(f"No module named {package!r}", name=f"{package}.part")

    assert commands.exit_code("try.py", work) == 1
    remedy = f": pip install 'voxgan_jax[{extra}]'" if extra else ""
    assert capsys.readouterr().err == f"try.py: No module named {package!r}{remedy}\n"


def test_training_without_its_extra_says_what_to_install(tmp_path):
    code = "import runpy; sys.argv[0] = 'scripts/train.py'; "
    code += "runpy.run_path('scripts/train.py', run_name='__main__')"
    options = ("--config=configs/smoke.py", f"--workdir={tmp_path}", "--config.data.dir=nowhere")
    code_of_exit, _, errors = run(code, *options)
    assert code_of_exit == 1
    assert errors.startswith("train.py: ") and errors.count("\n") == 1
    assert "pip install 'voxgan_jax[train]'" in errors


def test_the_workbench_without_its_extra_says_what_to_install(tmp_path):
    code = "sys.modules['starlette'] = sys.modules['uvicorn'] = None; "
    code += "from voxgan_jax.cli.main import main; sys.exit(main(sys.argv[1:]))"
    code_of_exit, said, errors = run(code, "app", "--project", tmp_path / "finds")
    assert (code_of_exit, said, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("voxgan: ")
    assert errors.endswith(": pip install 'voxgan_jax[app]'\n")
    assert not (tmp_path / "finds").exists()


def test_preparing_without_the_extra_says_what_to_install(vox_dir, tmp_path):
    code = "from scripts import prepare_data; sys.exit(prepare_data.main(sys.argv[1:]))"
    code_of_exit, _, errors = run(code, "--vox_dir", vox_dir, "--out_dir", tmp_path / "prepared")
    assert code_of_exit == 1
    assert errors.count("\n") == 1
    assert errors.endswith(": pip install 'voxgan_jax[train]'\n")
    code_of_exit, said, errors = run(code, "--vox_dir", vox_dir, "--cache", tmp_path / "pots.npz")
    assert code_of_exit == 0, errors
    assert "files at 64³" in said


def test_hooks_run_the_lint_of_scripts_test():
    """`pre-commit` and scripts/test check the same, and nothing is fetched for it."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.*)", hooks) == ["local"]
    asked = re.findall(r"entry: \.venv/bin/python -m ([\w ]+)", hooks)
    typed = re.findall(
        r'^"\$python" -m ((?!pytest)[\w ]+)', (ROOT / "scripts/test").read_text(), re.M
    )
    assert [words.split()[0] for words in asked] == [words.split()[0] for words in typed]
    assert len(asked) == 4
