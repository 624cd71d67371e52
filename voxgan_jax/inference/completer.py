"""A trained generator, ready to complete pots on all of this machine's devices."""

import functools
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from voxgan_jax import models
from voxgan_jax.data import feed, grid
from voxgan_jax.devices import parallel
from voxgan_jax.fields import flatten
from voxgan_jax.geometry import symmetry
from voxgan_jax.inference import alternatives, confidence, model_card
from voxgan_jax.models import Volume, hypotheses, profile_flow, weights

AVERAGES = (1, symmetry.COUNT)
"""Over so many symmetries an answer can be averaged."""


class Completer(NamedTuple):
    """A generator ready for use and how it wants its pots placed.

    `predict` maps the given voxels in {0, 1} to probabilities, both float32 (b, d, h, w, 1), for
    any number of pots at once. `rule` tells how far to trust an answer; None where nobody
    calibrated it. `alternatives` gives several pots for each, as `alternatives.complete` does; None
    where none were asked for. `about` says which weights these are, for a report.
    Of a model that draws, `quick` is what it answers at once, and `several` gives what `predict`
    does with the drawn half sections and their axes, as `profile_flow.several`; None elsewhere.
    """

    predict: Callable[[Volume], Volume]
    resolution: int
    pool: int
    placement: str
    threshold: float
    rule: confidence.Rule | None = None
    alternatives: Callable[[Volume], tuple[Array, Array]] | None = None
    about: Mapping[str, Any] = {}
    quick: Callable[[Volume], Volume] | None = None
    several: Callable[[Volume], tuple[Array, Array, Array]] | None = None

    @property
    def place(self) -> dict[str, Any]:
        """How it wants its pots placed, as `grid.place` takes it."""
        return {"resolution": self.resolution, "pool": self.pool, "placement": self.placement}

    def glance(self, partial: Volume) -> Volume:
        """`predict`, or what takes less time and is nearly as good: for very many pots."""
        return (self.quick or self.predict)(partial)


def load(
    *,
    weights_file: str | pathlib.Path | None = None,
    workdir: str | pathlib.Path | None = None,
    dtype: str | None = None,
    average: int | None = None,
    num_hypotheses: int = 0,
    draws: int | None = None,
) -> Completer:
    """A completer on all local devices: from a weights file, or from the run in a folder, or, where
    neither is named, from the weights that come with the package.

    Args:
        dtype: of the computation, "float32" or "bfloat16"; None takes that of training.
        average: over how many symmetries the answers are averaged, see `divided`; None: 1.
        num_hypotheses: how many other pots each sherd gets, by the package's weights for that, or
            by those that are named if they are a `hypotheses.Model`'s.
        draws: of a model that draws, the answer is the mean of so many; 0: what it answers at once;
            None: as its config says.

    Raises:
        FileNotFoundError: no weights there.
        WeightsError: not a weights file, a damaged one, one of another version of the model, or not
            the one that the card beside it tells of.
        ValueError: both are named, an unknown dtype, or an average over another number.
    """
    if weights_file is not None and workdir is not None:
        raise ValueError("name either a weights file or the folder of a run")
    if workdir is not None:
        weights_file = pathlib.Path(workdir) / weights.RUN_FILE
        if not weights_file.is_file():
            raise FileNotFoundError(f"{workdir}: no {weights.RUN_FILE} there; train that run first")
    elif weights_file is None:
        weights_file = model_card.find()
    generator, variables, config, card = _open(weights_file)
    if dtype is not None:
        config.generator.dtype = dtype
        generator = models.build(config.generator)
    if hasattr(generator, "draws"):
        # The same draws each time: the same sherd gets the same pots.
        count = config.sample.draws if draws is None else draws
        generator = cast(Any, generator).clone(draws=count, steps=config.sample.steps)
    if (average := average or 1) not in AVERAGES:
        raise ValueError(f"average {average}: choose 1 or {symmetry.COUNT}")
    complete = functools.partial(models.complete, generator, models.output(config.generator))
    predict = divided(complete, variables, jax.local_devices(), average)
    completer = Completer(
        predict,
        **feed.place_options(config),
        threshold=config.eval.threshold,
        rule=confidence.from_card(card),
        about=_about(weights_file, config, card),
    )
    if isinstance(generator, profile_flow.Model):
        completer = _drawing(completer, generator, variables, average, num_hypotheses)
    if not num_hypotheses or completer.alternatives:
        return completer
    if not isinstance(generator, hypotheses.Model):
        weights_file = model_card.find(model_card.HYPOTHESES)
        generator, variables, config, card = _open(weights_file)
        if feed.place_options(config) != completer.place:
            raise ValueError(
                "the package's model of several pots works on a 64³ cube with the pot in its"
                " middle, this one does not; leave out --hypotheses"
            )
    several = functools.partial(alternatives.complete, cast(Any, generator), count=num_hypotheses)
    compiled, variables = jax.jit(several), jax.device_put(variables)
    # The same draws each time: the same sherd gets the same pots.
    other = _about(weights_file, config, card)
    return completer._replace(
        alternatives=lambda partial: compiled(variables, partial, jax.random.key(0)),
        about={
            **completer.about,
            "hypotheses_file": other["file"],
            "hypotheses_sha256": other["sha256"],
        },
    )


def _drawing(
    completer: Completer,
    model: profile_flow.Model,
    variables: weights.Variables,
    average: int,
    num_hypotheses: int,
) -> Completer:
    """A completer that draws, as often as the model says, and for several answers."""
    key, devices = jax.random.key(0), jax.local_devices()
    if num_hypotheses:
        other = functools.partial(alternatives.complete_drawn, model, count=num_hypotheses)
        compiled, placed = jax.jit(other), jax.device_put(variables)
        completer = completer._replace(alternatives=lambda some: compiled(placed, some, key))
    if not model.draws:
        return completer
    completer = completer._replace(quick=completer.predict)
    if average == 1:
        several = divided(
            functools.partial(profile_flow.several, model, key=key), variables, devices
        )
        return completer._replace(predict=lambda some: several(some)[0], several=several)

    def mean(variables: Any, partial: Volume) -> Volume:
        return profile_flow.several(model, variables, partial, key)[0]

    return completer._replace(predict=divided(mean, variables, devices, average))


def _open(file: str | pathlib.Path) -> tuple[Any, weights.Variables, Any, model_card.Card]:
    """The generator of a weights file, its variables, its config and its card."""
    card = model_card.verified(file)
    generator, variables, config = weights.open_model(file, known=model_card.is_ours(file))
    told = flatten(config.to_dict())
    needed = {"data.pool", "data.placement", "eval.threshold"} <= told.keys()
    if not needed or told["data.placement"] not in grid.PLACEMENTS:
        raise weights.WeightsError(f"{file}: its config does not tell how pots are placed")
    return generator, variables, config, card


def _about(weights_file: str | pathlib.Path, config: Any, card: model_card.Card) -> dict[str, Any]:
    """Which weights these are: their file, what they are a model of, what they were trained on."""
    training = card.get("training_data", {})
    known = {
        "file": pathlib.Path(weights_file).name,
        "sha256": card["weights"]["sha256"],
        "kind": config.generator.get("kind", ""),
        "threshold": config.eval.threshold,
        "trained_on": training.get("name"),
        "pots": training.get("pots"),
        "source": training.get("source"),
        "commit": card.get("commit"),
        "limits": card.get("limits"),
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def divided(
    apply: Callable[..., Any], variables: Any, devices: Sequence[Any], average: int = 1
) -> Callable[[Volume], Any]:
    """`apply(variables, ·)` compiled, the rows of its argument divided among devices.

    Any number of rows will do: empty pots are added to make them come out even. With an `average`
    of 8 the answer is the mean over the symmetries of the square about the cube's axis.

    A pot that is an odd number of voxels wide stands half a voxel off that axis, so its mirror
    image stands off to the other side, where the model saw none in training; what it answers is
    mirrored back, and so lies where it should.
    """
    mesh = parallel.make_mesh(list(devices))
    whole, rows = parallel.replicated(mesh), parallel.batch_sharding(mesh)

    def answer(variables: Any, partial: Volume, number: Int[Array, ""]) -> Volume:
        completed = apply(variables, symmetry.turn(partial, number))
        return symmetry.turn_back(completed, number)

    # The variables are an argument, not constants that XLA would fold at great length. One
    # symmetry a call: it is compiled once, and needs the memory of one answer.
    variables = jax.device_put(variables, whole)
    plain = jax.jit(apply, in_shardings=(whole, rows), out_shardings=rows)
    turned = jax.jit(answer, in_shardings=(whole, rows, whole), out_shardings=rows)
    alone = threading.Lock()

    def predict(partial: Volume) -> Any:
        count = len(partial)
        spare = -count % mesh.size
        if spare:
            partial = jnp.pad(partial, ((0, spare), *[(0, 0)] * 4))
        with alone:  # Two threads would compile the same twice.
            if average == 1:
                return jax.tree.map(lambda found: found[:count], plain(variables, partial))
            total = turned(variables, partial, jnp.int32(0))
            for number in range(1, average):
                total = total + turned(variables, partial, jnp.int32(number))
            return total[:count] / average

    return predict
