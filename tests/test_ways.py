"""The two ways through the code that CONTRIBUTING.md lists are the ways that the code takes.

Each step there is `file.py:function`. While the work is done, it is written down from which file of
the package each of these functions is called. Files on the list must lead to one another: a file
between two of them that is not listed breaks the way.
"""

import contextlib
import functools
import importlib
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import turned_sherds

from voxgan_jax import models
from voxgan_jax.cli.main import main
from voxgan_jax.models import discriminator
from voxgan_jax.training import loop

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = str(ROOT / "voxgan_jax")

Step = tuple[str, str]
"""File, from the package's folder on, and function."""


def listed(way: str) -> list[Step]:
    """The steps of a way in CONTRIBUTING.md, whose item there begins with its bold name."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    item = re.search(rf"^- \*\*{way}\*\*.*?(?=\n- |\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert item, f"CONTRIBUTING.md tells no way of {way}"
    return re.findall(r"`([\w/]+\.py):([\w.]+)`", item.group())


@contextlib.contextmanager
def calls(steps: list[Step]) -> Iterator[set[tuple[str, Step]]]:
    """Collects (file of the package from which it is called, step) for every call of a step."""
    made: set[tuple[str, Step]] = set()

    def watched(step: Step, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
                frame = frame.f_back
            caller = frame.f_code.co_filename[len(PACKAGE) + 1 :] if frame else ""
            made.add((caller, step))
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for file, name in steps:
            module = importlib.import_module(f"voxgan_jax.{file[:-3].replace('/', '.')}")
            *outer, last = name.split(".")
            holder = functools.reduce(getattr, outer, module)
            function = getattr(holder, last)
            patch.setattr(holder, last, watched((file, name), function))
            # Others hold it under its name where they import it by that.
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(last) is function:
                    patch.setattr(other, last, getattr(holder, last))
        yield made


def reached(steps: list[Step], made: set[tuple[str, Step]]) -> set[Step]:
    """The steps to which the first one's file leads, over files of the list only."""
    files, done = {steps[0][0]}, {steps[0]}
    while True:
        new = {step for caller, step in made if caller in files} - done
        if not new:
            return done
        done |= new
        files |= {file for file, _ in new}


def require_way(steps: list[Step], made: set[tuple[str, Step]], most: int) -> None:
    assert len({file for file, _ in steps}) <= most
    assert set(steps) - {step for _, step in made} - {steps[0]} == set(), "never called"
    assert set(steps) - reached(steps, made) == set(), f"called by way of other files: {made}"


@pytest.mark.usefixtures("loose_promotion")
def test_a_batch_of_a_resident_split_meets_the_model_within_five_files(
    resident_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(discriminator, "from_config", models.find("tiny").judge)
    resident_config.generator.kind, resident_config.eval.split = "unet", ""
    resident_config.train.num_train_steps = 1
    steps = listed("A batch")
    with calls(steps) as made:
        loop.train(resident_config, tmp_path)
    require_way(steps, made, 5)


@pytest.mark.usefixtures("short_search")
def test_a_sherd_is_restored_within_eight_files(tmp_path):
    steps = listed("A sherd")
    mesh, pose = turned_sherds.turned(turned_sherds.bellied(80))
    mesh.export(tmp_path / "sherd.stl")
    job = ["complete", str(tmp_path / "sherd.stl"), "--out", str(tmp_path / "out")]
    # Less is looked for and written, by the same way.
    job += ["--axis", ",".join(map(str, pose[:3, 2])), "--formats", "stl"]
    with calls(steps) as made:
        assert main(job) == 0
    require_way(steps, made, 8)


def test_a_file_in_between_breaks_a_way():
    steps = [("a.py", "start"), ("b.py", "go"), ("c.py", "end")]
    straight = {("a.py", steps[1]), ("b.py", steps[2])}
    require_way(steps, straight, 3)
    with pytest.raises(AssertionError, match="by way of other files"):
        require_way(steps, {("a.py", steps[1]), ("between.py", steps[2])}, 3)
    with pytest.raises(AssertionError, match="never called"):
        require_way(steps, {("a.py", steps[1])}, 3)
    with pytest.raises(AssertionError):
        require_way(steps, straight, 2)
