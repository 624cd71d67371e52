"""Objectives built once for equal configs, and the small networks that tests train."""

import contextlib
import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

NETWORKS = pathlib.Path(__file__).resolve().parent / "networks"


@contextlib.contextmanager
def sharing_objectives() -> Iterator[None]:
    """Within, runs of equal configs share what was traced and compiled for them.

    Of `config.generator.kind = "tiny"` both networks are those of tests/networks/tiny.py.
    """
    from voxgan_jax import models
    from voxgan_jax.devices import parallel
    from voxgan_jax.models import discriminator
    from voxgan_jax.training import objectives

    build, known = objectives.build, {}

    def build_small(config: Any, nets: Any = None, **axis: Any) -> Any:
        if config.generator.kind != "tiny":
            return build(config, nets, **axis)
        with mock.patch.object(discriminator, "from_config", models.find("tiny").judge):
            return build(config, nets, **axis)

    def shared(config: Any, nets: Any = None, **axis: Any) -> Any:
        if nets is not None or axis:
            return build_small(config, nets, **axis)
        said = config.to_dict()
        del said["checkpoint"], said["data"]["dir"]
        if said["optim"]["schedule"] == "constant":
            del said["train"]["num_train_steps"]
        key = json.dumps(said, sort_keys=True)
        if key not in known:
            known[key] = build_small(config)
        return known[key]

    # Of one objective, else it would be traced again for every run.
    compile_step = functools.lru_cache(maxsize=32)(parallel.compile_step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "compile_step", compile_step)
        patch.setattr(models, "__path__", [*models.__path__, str(NETWORKS)])
        patch.setattr(objectives, "build", shared)
        yield


def with_fewer_levels(patch: pytest.MonkeyPatch, levels: int = 1) -> None:
    """Networks over half sections with so many levels, not three, and one round of attention.

    For tests of what is around them: they compile in a third of the time.
    """
    from voxgan_jax.models import flow_net, profile

    patch.setattr(profile, "NUM_LEVELS", levels)
    patch.setattr(flow_net, "NUM_LEVELS", levels)
    patch.setattr(flow_net, "_WIDTHS", (1, 2, 6)[:levels])
    patch.setattr(flow_net, "_NUM_MIXERS", 1)
