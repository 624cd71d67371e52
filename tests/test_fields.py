"""Every number of a config has a range, and nothing outside of it is trained with."""

import math

import pytest

from configs import default
from voxgan_jax import fields
from voxgan_jax.training import loop


def test_every_numeric_field_has_a_range_and_its_default_lies_in_it():
    config = default.get_config().to_dict()
    numeric = {
        name
        for name, value in fields.flatten(config).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    assert fields.RANGES.keys() == numeric
    fields.check(config)


@pytest.mark.parametrize("name", fields.RANGES)
def test_what_lies_outside_is_named_with_the_range(name):
    least, most = fields.RANGES[name]
    section, _, field = name.rpartition(".")
    for value in (least - 1, most + 1, math.nan, math.inf, True, "1", None, [1]):
        config = {section: {field: value}} if section else {field: value}
        with pytest.raises(ValueError) as caught:
            fields.check(config)
        said = str(caught.value)
        assert said.startswith(f"config.{name} is {value!r}, not a ")
        assert said.endswith(f"number from {least} to {most}")


def test_a_run_is_refused_before_anything_is_written(resident_config, tmp_path):
    resident_config.checkpoint.keep = 0
    resident_config.train.num_train_steps = -5
    resident_config.optim.generator_learning_rate = -1.0
    with pytest.raises(ValueError) as caught:
        loop.train(resident_config, tmp_path / "run")
    assert str(caught.value).split("; ") == [
        "config.checkpoint.keep is 0, not a whole number from 1 to 1000000000",
        "config.optim.generator_learning_rate is -1.0, not a number from 0.0 to 1000.0",
        "config.train.num_train_steps is -5, not a whole number from 0 to 1000000000",
    ]
    assert not (tmp_path / "run").exists()
