"""A batch in micro-batches: the step is that of the whole batch, or as written out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from test_parallel import ROWS, compare, flat, make, make_batch, run, start

from voxgan_jax.devices import parallel
from voxgan_jax.training import build, loop


def test_in_parts_without_batch_norm_is_the_whole_batch():
    """The means over four micro-batches are those over the batch."""
    ends = []
    for accumulate_steps in (1, 4):
        got = run(1, accumulate_steps=accumulate_steps, normed=False)
        ends.append(flat(got))
    compare(ends[1], ends[0])


def test_in_parts_as_written_out():
    """Statistics go through the micro-batches one by one, first all for D, then all for G."""
    config, objective = make(accumulate_steps=2)
    mesh = parallel.make_mesh(jax.devices()[:1])
    state = start(mesh)
    nets = make(accumulate_steps=2, axis_name=None)[1].nets
    want = jax.jit(functools.partial(by_hand, nets=nets))(state, make_batch())
    after, scalars = loop.compile_step(config, objective, mesh)(state, make_batch())
    after_g, after_d = after.nets["generator"], after.nets["discriminator"]
    got = {
        "generator": (after_g.params, after_g.batch_stats),
        "discriminator": (after_d.params, after_d.batch_stats, after_d.spectral_stats),
        "scalars": {name: scalars[name] for name in ("d_loss", "g_loss", "d_real_prob")},
    }
    compare(flat({"numbers": got}), flat({"numbers": want}))


def by_hand(state, batch, *, nets):
    """One step over rows 0, 2, 4, 6 and 1, 3, 5, 7 at λ = 10 and rate 0.1, as PyTorch would."""
    real_labels = jax.random.uniform(
        jax.random.fold_in(state.rng, 0), (ROWS,), jnp.float32, 0.8, 1.1
    )
    partial = jnp.asarray(
        jnp.take_along_axis(
            batch["given"], batch["labels"].reshape(ROWS, -1).astype(np.int32), 1
        ).reshape(*batch["labels"].shape, 1),
        jnp.float32,
    )
    complete = jnp.asarray(batch["labels"] > 0, jnp.float32)[..., None]

    def apply(module, params, stats, volume):
        return module.apply(
            {"params": params} | stats,
            volume,
            train=True,
            mutable=["batch_stats", "spectral_stats"],
        )

    def bce(logits, labels):
        return (jnp.logaddexp(0.0, logits) - labels * logits).mean()

    g, d = state.nets["generator"], state.nets["discriminator"]
    generator, judge = (nets[name].module for name in ("generator", "discriminator"))
    stats_g = {"batch_stats": g.batch_stats}
    stats_d = {"batch_stats": d.batch_stats, "spectral_stats": d.spectral_stats}
    halves = [slice(0, None, 2), slice(1, None, 2)]

    def loss_d(params, stats_d, completed, rows):
        real, stats_d = apply(judge, params, stats_d, complete[rows])
        fake, stats_d = apply(judge, params, stats_d, completed)
        loss = bce(real, real_labels[rows]) + bce(fake, 0.0)
        return loss, (stats_d, jax.nn.sigmoid(real).mean())

    def loss_g(params, params_d, stats_d, rows):
        completed, _ = apply(generator, params, {"batch_stats": g.batch_stats}, partial[rows])
        fake, stats_d = apply(judge, params_d, stats_d, completed)
        return bce(fake, 1.0) + 10.0 * cross_entropy(completed, complete[rows]), stats_d

    def cross_entropy(completed, complete):
        return -(complete * jnp.log(completed) + (1 - complete) * jnp.log1p(-completed)).mean()

    grads, d_losses, probs = [], [], []
    for rows in halves:
        completed, stats_g = apply(generator, g.params, stats_g, partial[rows])
        (loss, (stats_d, prob)), grad = jax.value_and_grad(loss_d, has_aux=True)(
            d.params, stats_d, completed, rows
        )
        grads, d_losses, probs = [*grads, grad], [*d_losses, loss], [*probs, prob]
    params_d = jax.tree.map(lambda p, a, b: p - 0.1 * (a + b) / 2, d.params, *grads)
    grads, g_losses = [], []
    for rows in halves:
        (loss, stats_d), grad = jax.value_and_grad(loss_g, has_aux=True)(
            g.params, params_d, stats_d, rows
        )
        grads, g_losses = [*grads, grad], [*g_losses, loss]
    params_g = jax.tree.map(lambda p, a, b: p - 0.1 * (a + b) / 2, g.params, *grads)
    scalars = {"d_loss": d_losses, "g_loss": g_losses, "d_real_prob": probs}
    return {
        "generator": (params_g, stats_g["batch_stats"]),
        "discriminator": (params_d, stats_d["batch_stats"], stats_d["spectral_stats"]),
        "scalars": {name: sum(values) / 2 for name, values in scalars.items()},
    }


def test_in_parts_needs_less_memory():
    """Four micro-batches of 256 against 1,024 rows at once; the truth tables take a third."""
    sizes = []
    for accumulate_steps in (1, 4):
        config, objective = make(accumulate_steps=accumulate_steps, hidden=64)
        mesh = parallel.make_mesh(jax.devices()[:1])
        step = loop.compile_step(config, objective, mesh)
        abstract = jax.eval_shape(functools.partial(build.initial_state, config, objective))
        item = jax.eval_shape(lambda: make_batch(1024))
        sizes.append(step.lower(abstract, item).compile().memory_analysis().temp_size_in_bytes)
    assert sizes[1] < 0.5 * sizes[0]
