"""scripts/setup.sh on machines that lack something: played by a Python that only pretends."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT
from test_accelerator import MACHINES

# Stands for Python, for what `-m venv` copies into .venv, and for pip; `faults` says what is wrong.
FAKE_PYTHON = """\
#!/bin/bash
here=$(cd "$(dirname "$0")" && pwd -P)
wrong() { grep -qx "$1" "$FAULTS"; }
echo "$*" >>"$CALLS"
case "$*" in
  --version) wrong old && echo "Python 3.9.2" || echo "Python 3.12.3" ;;
  *sys.exit*) ! wrong old ;;
  *"import venv"*) ! wrong venvless ;;
  *cuda_extra*) ;;
  *print*) echo 3.12 ;;
  "-m venv --clear .venv")
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    echo "VIRTUAL_ENV=$(pwd -P)/.venv" >.venv/bin/activate
    ;;
  "-m pip --version") ! wrong pipless ;;
  "-m pip install --quiet --user virtualenv") false ;;
  "-m pip install"*)
    echo "Collecting jax"
    wrong offline && { echo "ERROR: no network" >&2; exit 1; }
    touch "$here/installed" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with what setup.sh reads, and the pretended Python beside it."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    (folder / "voxgan_jax/devices").mkdir(parents=True)
    asked = (f"voxgan_jax/{name}.py" for name in ("__init__", "version", "devices/accelerator"))
    for name in ("scripts/setup.sh", "pyproject.toml", "constraints.txt", *asked):
        shutil.copy(ROOT / name, folder / name)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    return folder


def setup(folder, *faults):
    """What `setup_venv` did: its exit code, output and errors, and what Python was asked for."""
    base = folder.parent
    (base / "faults").write_text("\n".join(faults))
    (base / "calls").write_text("")
    names = {"PYTHON": "python", "FAULTS": "faults", "CALLS": "calls"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", '. scripts/setup.sh; setup_venv; echo "in $python"'],
        cwd=folder,
        env=os.environ | {name: str(base / file) for name, file in names.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr, (base / "calls").read_text()


def test_a_sound_machine_is_set_up_once(clone):
    code, said, errors, _ = setup(clone)
    assert (code, errors) == (0, "")
    assert "Installing into .venv (Python 3.12.3)" in said
    assert "Collecting" not in said  # nobody looks at it here: no terminal
    assert (clone / ".venv/bin/installed").is_file()
    code, said, errors, calls = setup(clone)
    assert (code, said, errors) == (0, "in .venv/bin/python\n", "")
    assert "pip" not in calls
    with open(clone / "constraints.txt", "a") as file:
        file.write("new==1\n")
    assert "-m pip install" in setup(clone)[3]


def test_a_python_of_another_version_is_named_with_what_to_install(clone):
    code, said, errors, _ = setup(clone, "old")
    assert (code, said) == (1, "")
    assert "needs Python 3.11, 3.12 or 3.13" in errors
    assert "is Python 3.9.2." in errors
    assert "apt-get install python3 python3-venv" in errors
    (clone.parent / "python").unlink()
    assert "is not there." in setup(clone)[2]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (("bin/python3.11", "bin/python3.12", "bin/python3.13"), "bin/python3.13"),
        (("bin/python3.11", "bin/python3.12"), "bin/python3.12"),
        (("bin/python3.11",), "bin/python3.11"),
        (("bin/python3.11", "pyenv root/versions/3.13.1/bin/python"), "3.13.1/bin/python"),
        (
            ("pyenv root/versions/3.12.9/bin/python", "pyenv root/versions/3.12.10/bin/python"),
            "3.12.10/bin/python",
        ),
        (("bin/python3",), "bin/python3"),
    ],
)
def test_the_newest_python_is_taken(tmp_path, there, taken):
    """On the path, or of pyenv, whose command for a version that is not chosen there fails."""
    for name in ("bin/python3.13", "bin/python3.12", "bin/python3.11", "bin/python3", *there):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\nexit {0 if name in there else 127}\n")
        path.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "PYENV_ROOT": str(tmp_path / "pyenv root"),
    }
    command = [
        "bash",
        "-euo",
        "pipefail",
        "-c",
        f'. {ROOT}/scripts/setup.sh; command -v "$(find_python)"',
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(taken)


def test_a_python_that_can_make_an_environment_is_taken_before_a_newer_one(tmp_path):
    for name, answer in (("python3.13", "case $2 in *venv*) exit 1;; esac"), ("python3.12", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\nexit 0\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    command = ["bash", "-euo", "pipefail", "-c", f". {ROOT}/scripts/setup.sh; find_python"]
    for there, taken in (("python3.12", "python3.12"), ("python3.13", "python3.13")):
        chosen = environment if there == "python3.12" else environment | {"PYTHON": there}
        done = subprocess.run(command, env=chosen, capture_output=True, text=True, check=True)
        assert done.stdout == f"{taken}\n"


def test_a_python_without_venv_names_the_package(clone):
    code, _, errors, _ = setup(clone, "venvless")
    assert code == 1
    assert errors.endswith("  apt-get install python3.12-venv\n")
    assert len(errors.splitlines()) == 2
    assert not (clone / ".venv").exists()


def test_an_installation_that_broke_off_goes_on(clone):
    code, _, errors, _ = setup(clone, "offline")
    assert code == 1
    assert errors.splitlines()[0] == "ERROR: no network"
    assert "again: it goes on" in errors.splitlines()[-1]
    code, _, _, calls = setup(clone)
    assert code == 0
    assert "-m venv" not in calls


@pytest.mark.parametrize("fault", ["pipless", "moved"])
def test_a_venv_of_no_use_is_made_again(clone, fault):
    assert setup(clone)[0] == 0
    (clone / ".venv/left_over").touch()
    if fault == "moved":
        clone = clone.rename(clone.parent / "elsewhere")
    else:
        next(clone.glob(".venv/.setup-*")).unlink()
    code, _, errors, calls = setup(clone, fault)
    assert (code, errors) == (0, "")
    assert "-m venv --clear .venv" in calls
    assert not (clone / ".venv/left_over").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_clone_that_cannot_be_written_is_told(clone):
    clone.chmod(0o555)
    try:
        code, _, errors, _ = setup(clone)
    finally:
        clone.chmod(0o755)
    assert code == 1
    assert "cannot be written" in errors


@pytest.mark.parametrize(("said", "extra"), MACHINES)
def test_the_jax_that_fits_driver_and_cards_is_installed(clone, said, extra):
    program = clone.parent / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ". scripts/setup.sh; echo $(cuda_extra)"],
        cwd=clone,
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, extra or "", "")
