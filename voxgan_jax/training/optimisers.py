"""Adam or RMSProp, and how their rate rises and falls."""

from typing import Any

import optax


def build(config: Any, net: str) -> optax.GradientTransformation:
    """The optimiser of a network, whose rate is `config.optim.<net>_learning_rate`.

    Of "adam" AdamW (Loshchilov and Hutter 2019) where weights are to decay. "rmsprop" is PyTorch's,
    as Arjovsky, Chintala and Bottou (ICML 2017) use it.

    Raises:
        ValueError: no such optimiser, or one whose weights do not decay; see `learning_rate`.
    """
    options = config.optim
    rate = learning_rate(
        options[f"{net}_learning_rate"],
        options.warmup_steps,
        options.schedule,
        config.train.num_train_steps,
        options.rising_share,
    )
    if options.kind == "rmsprop" and not options.weight_decay:
        return optax.rmsprop(rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)
    if options.kind != "adam":
        raise ValueError(
            f"config.optim.kind={options.kind!r}: known are adam, and rmsprop without weight_decay"
        )
    if options.weight_decay:
        return optax.adamw(rate, b1=options.b1, b2=options.b2, weight_decay=options.weight_decay)
    return optax.adam(rate, b1=options.b1, b2=options.b2)


def learning_rate(
    value: float,
    warmup_steps: int,
    schedule: str = "constant",
    num_train_steps: int = 0,
    rising_share: float = 0.3,
) -> float | optax.Schedule:
    """The rate of each step.

    "constant": of step n, counted from 1, n / warmup_steps of the value, then all of it. Large
    batches with rates to match need such a start (Goyal et al. 2017, section 2.2). "one_cycle": up
    to the value over the first `rising_share` of the run, then down to nothing, both along a cosine
    (Smith and Topin 2018).

    Raises:
        ValueError: no such schedule, or one that needs the length of the run.
    """
    if schedule == "one_cycle":
        if num_train_steps < 1 or warmup_steps:
            raise ValueError(
                "config.optim.schedule=one_cycle has a rise of its own and is as long as the run:"
                " set config.train.num_train_steps, and config.optim.warmup_steps to 0"
            )
        return optax.cosine_onecycle_schedule(num_train_steps, value, rising_share)
    if schedule != "constant":
        raise ValueError(f"unknown config.optim.schedule {schedule!r}; known: constant, one_cycle")
    if warmup_steps < 2:
        return value
    return optax.linear_schedule(value / warmup_steps, value, warmup_steps - 1)
