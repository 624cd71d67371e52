"""What `voxgan doctor` finds in installations that are sound and in such as are not."""

import functools
import json
import pathlib
import shutil
import sys
import tomllib
import types

import jax
import pytest
from packaging.requirements import Requirement

from voxgan_jax.cli import checks, main
from voxgan_jax.cli.checks import FAULT, OK, WARNING
from voxgan_jax.inference import completer, model_card

ROOT = pathlib.Path(__file__).resolve().parent.parent
GIB = 2**30


LOADED = functools.cache(completer.load)


def complete(words):
    return main.main(["complete", *words])


@pytest.fixture(scope="module")
def findings():
    """Of a whole examination, whose model other trials take, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completer, "load", LOADED)
        return {finding.name: finding for finding in checks.examine(complete)}


@pytest.fixture
def versions(monkeypatch):
    """Versions to be found instead of the installed ones; None: not installed."""
    table = {}
    real = checks._version
    monkeypatch.setattr(checks, "_version", lambda name: table.get(name, real(name)))

    def remove(name):
        table[name] = None

    return types.SimpleNamespace(table=table, remove=remove)


def test_this_installation_is_sound(findings):
    assert not [finding for finding in findings.values() if finding.state == FAULT]
    assert findings["jax"].text == jax.__version__
    assert "checksums as on their cards" in findings["weights"].text
    assert model_card.NAME in findings["weights"].text
    assert model_card.HYPOTHESES in findings["weights"].text
    assert model_card.LOCATOR in findings["weights"].text
    assert not any(finding.remedy for finding in findings.values() if finding.state == OK)


def test_the_trial_completes_a_sherd(findings):
    trial = findings["trial"]
    assert trial.state == OK
    assert float(trial.text.split()[1]) >= checks.LEAST_IOU > 0.7


def test_a_model_that_computes_wrongly_is_a_fault(monkeypatch):
    def wrong(*args, **options):
        model = LOADED(*args, **options)
        return model._replace(predict=lambda partial: 0 * model.predict(partial))

    monkeypatch.setattr(completer, "load", wrong)
    found = checks.try_out(complete)
    assert found.state == FAULT
    assert f"{checks.LEAST_IOU:.2f} or more expected" in found.text
    assert "constraints.txt" in found.remedy


def test_a_trial_that_fails_says_why():
    def fail(words):
        print("voxgan: no weights", file=sys.stderr)
        return 1

    found = checks.try_out(fail)
    assert (found.state, found.text) == (FAULT, "no pot was completed: voxgan: no weights")


def test_versions_needed_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {row.name: row for row in map(Requirement, project["dependencies"])}
    for name, needed in checks.NEEDED.items():
        if name != "jaxlib":  # that of jax
            assert set(needed.specifier) <= set(asked[name].specifier)
    for name, version in checks.BAD:
        if name in asked:
            assert not asked[name].specifier.contains(version)
    assert checks.PYTHONS == ((3, 11), (3, 12), (3, 13))
    assert project["requires-python"] == ">=3.11,<3.14"


@pytest.mark.parametrize("name", ["jax", "jaxlib"])
def test_a_jax_that_computes_wrongly_is_named(name, versions):
    versions.table[name] = "0.10.2"
    found = checks.package(name)
    assert found.state == FAULT
    assert "0.10.2" in found.text and "wrong results on CPUs" in found.text
    assert found.remedy == "pip install 'jax==0.10.1'"


def test_packages_missing_old_and_broken(versions, monkeypatch):
    versions.remove("manifold3d")
    found = checks.package("manifold3d")
    assert (found.state, found.text) == (FAULT, "not installed")
    assert found.remedy == "pip install 'manifold3d>=3.4'"
    versions.table["flax"] = "0.9.3rc1"
    found = checks.package("flax")
    assert (found.state, found.text) == (FAULT, "0.9.3rc1: too old, 0.12 is needed")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    found = checks.package("trimesh")
    assert found.state == FAULT and "it cannot be imported" in found.text


def test_an_optional_package_that_is_missing_is_no_fault(versions):
    versions.remove("torch")
    versions.remove("torch-cpu")
    found = checks.extra("torch")
    assert (found.state, found.remedy) == (OK, "")
    assert "not installed; needed only for voxgan convert" in found.text
    for name in ("tensorflow", "tensorflow-cpu"):
        versions.remove(name)
    assert "for training" in checks.extra("tensorflow").text


def test_without_jax_the_rest_is_examined_all_the_same(versions, capsys):
    versions.remove("jax")
    assert main.main(["doctor", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    states = {row["name"]: row["state"] for row in said["findings"]}
    assert (said["sound"], said["faults"], said["warnings"]) == (False, 1, 3)
    assert states["jax"] == FAULT and states["disk"] == OK
    for name in ("devices", "weights", "trial"):
        assert states[name] == WARNING
    assert "because of jax" in said["findings"][-1]["text"]


@pytest.fixture(params=[model_card.NAME, model_card.LOCATOR])
def box(request, tmp_path):
    """A copy of a file of the package's weights and its card."""
    shipped = model_card.path(request.param)
    for path in (shipped, model_card.card_path(shipped)):
        shutil.copy(path, tmp_path)
    return tmp_path / request.param


def test_whole_weights(box):
    assert checks.weights([box]).state == OK


@pytest.mark.parametrize("damage", ["a bit", "cut", "gone", "card", "no card"])
def test_damaged_weights_are_found(damage, box):
    data = bytearray(box.read_bytes())
    card = model_card.card_path(box)
    if damage == "a bit":
        data[len(data) // 2] ^= 1
        box.write_bytes(data)
    elif damage == "cut":
        box.write_bytes(data[:-100])
    elif damage == "gone":
        box.unlink()
    elif damage == "card":
        card.write_text("{")
    else:
        card.unlink()
    found = checks.weights([box])
    assert found.state == (WARNING if damage == "no card" else FAULT)
    assert box.stem in found.text and "install voxgan_jax again" in found.remedy


def test_devices(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    # Where XLA's compiler for GPUs is installed, for the tests, `prepare` would bar GPUs.
    monkeypatch.setattr(checks.accelerator, "prepare", lambda: None)
    found = checks.devices(tmp_path)
    assert found.state == OK and "no GPU needed" in found.text
    (tmp_path / "nvidia0").write_text("")
    for extra, state, remedy in (
        (None, WARNING, "[cuda12]' (or cuda13, for a driver of 580 or later and cards from Turing"),
        ("cuda12", WARNING, "voxgan_jax[cuda12]'"),
        ("cuda13", WARNING, "voxgan_jax[cuda13]'"),
        ("", OK, ""),
    ):
        monkeypatch.setattr(checks.accelerator, "cuda_extra", lambda extra=extra: extra)
        found = checks.devices(tmp_path)
        assert found.state == state and remedy in found.remedy
        assert ("cuda13" in found.remedy) == (extra in (None, "cuda13"))
    assert "too old for JAX" in found.text
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert checks.devices(tmp_path).state == OK

    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda'\nmore")

    monkeypatch.setattr(jax, "devices", fail)
    found = checks.devices(tmp_path)
    assert (found.state, found.remedy) == (FAULT, "unset JAX_PLATFORMS")
    assert "\n" not in found.text


@pytest.mark.parametrize(("left", "state"), [(9.0, OK), (0.5, WARNING), (0.01, FAULT)])
def test_room_on_the_disk(left, state):
    found = checks.disk(lambda _: int(left * GIB))
    assert found.state == state and bool(found.remedy) == (state != OK)


@pytest.mark.parametrize(("left", "state"), [(9.0, OK), (0.5, WARNING), (None, OK)])
def test_room_in_memory(left, state):
    assert checks.memory(lambda: left and int(left * GIB)).state == state


def test_memory_of_a_container_counts(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   2048 kB\n")
    proc, group = str(tmp_path / "meminfo"), str(tmp_path)
    assert checks.available_memory(proc, group) == 2 << 20
    (tmp_path / "memory.current").write_text("1024\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert checks.available_memory(proc, group) == 2 << 20
    (tmp_path / "memory.max").write_text("5120\n")
    assert checks.available_memory(proc, group) == 4096
    assert checks.available_memory(str(tmp_path / "none")) is None


def test_an_old_python_and_a_failing_check():
    assert checks.python((3, 12, 1)).state == OK
    assert checks.python((3, 10, 9)).state == FAULT
    found = checks.guarded("disk", lambda: {}["no such\nkey"])
    assert (found.name, found.state) == ("disk", FAULT) and "KeyError" in found.text


def test_what_is_printed(monkeypatch, capsys):
    rows = [
        checks.Finding("jax", OK, "0.10.1"),
        checks.Finding("disk", WARNING, "0.2 GiB free", "make room"),
    ]
    monkeypatch.setattr(checks, "examine", lambda _: iter(rows))
    assert main.main(["doctor", "--quick"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       jax             0.10.1",
        "warning  disk            0.2 GiB free",
        "                         → make room",
        "1 warning.",
    ]
    rows.append(checks.Finding("trial", FAULT, "IoU 0.2", "reinstall"))
    assert main.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 fault and 1 warning."
