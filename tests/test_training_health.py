"""The log of a run: what it writes, and its warning of an overpowering discriminator."""

import jax.numpy as jnp
import pytest

from voxgan_jax.training import curves


@pytest.fixture
def warnings(monkeypatch):
    """The warnings that the log gives, as (message, its last argument: the step)."""
    given = []
    monkeypatch.setattr(
        curves.logging, "warning", lambda text, *args: given.append((text % args, args[-1]))
    )
    return given


def run(probs, every=10):
    """A log that has been handed a probability every so many steps."""
    written = []
    log = curves.Curves(lambda *args: written.append(args), 4, 0, every * len(probs))
    losses = {"g_loss": 1.0, "d_loss": 1.0}
    for n, prob in enumerate(probs, start=1):
        log.scalars(n * every, losses | {"d_real_prob": jnp.float32(prob)})
    log.flush()
    return written


def test_warns_after_500_steps_and_names_the_remedy(warnings):
    written = run([0.995] * 51)
    # From step 10 to 510.
    assert [step for _, step in warnings] == [510]
    message = warnings[0][0]
    assert "discriminator overpowers the generator" in message
    assert "above 0.99 for 500 steps, up to step 510" in message
    assert "configs/spectral_norm.py" in message
    assert [step for step, _ in written] == list(range(10, 520, 10))
    assert written[0][1]["d_real_prob"] == pytest.approx(0.995)
    assert set(written[0][1]) >= {"d_real_prob", "steps_per_sec", "samples_per_sec"}


def test_warns_once_a_stretch(warnings):
    run([0.995] * 200 + [0.98] + [1.0] * 60)
    assert [step for _, step in warnings] == [510, 2020 + 500]


@pytest.mark.parametrize(
    "probs",
    [[0.995] * 50, [0.9899] * 200, ([0.999] * 50 + [0.5]) * 4, [float("nan")] * 100],
    ids=["too short", "not above", "broken off", "nan"],
)
def test_silent_otherwise(warnings, probs):
    run(probs)
    assert warnings == []


def test_counts_steps_not_entries(warnings):
    run([0.995] * 4, every=250)
    assert [step for _, step in warnings] == [750]
