"""3D-GAN: whole pots from noise, and the pot from noise that holds a sherd.

Wu, Zhang, Xue, Freeman and Tenenbaum, "Learning a Probabilistic Latent Space of Object Shapes via
3D Generative-Adversarial Modeling", NIPS 2016, section 3.1 and appendix A. A code of 200 numbers,
uniform in [0, 1], becomes 4³ × 512, then 8³ × 256, 16³ × 128, 32³ × 64 and 64³ × 1 by transposed
convolutions. What mirrors it and judges is `discriminator.Model` with 64 features.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from voxgan_jax.devices import accelerator
from voxgan_jax.models import Keys, Volume
from voxgan_jax.models.layers import BatchNorm, ConvTranspose, conv_parameters, convolve_with_bias

OUTPUT = "probability"

_FIRST = 4
"""The side of the first grid in voxels."""

_STARTS, _STEPS, _STRIDE = 4, 60, 0.5
"""A sherd's code is looked for from so many codes, in so many steps, the first of that length, all
of one cube of side 1."""

Codes = Float[Array, "b z"]


class Unfold(nn.Module):
    """From a code to the first grid: a transposed convolution of kernel 4 on one voxel."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, code: Codes) -> Float[Array, "b 4 4 4 c"]:
        fan_in = _FIRST**3 * self.features
        kernel, bias = conv_parameters(self, _FIRST, code.shape[-1], self.features, fan_in)
        unfold = functools.partial(jnp.einsum, "bxyzi,dhwio->bdhwo")
        return convolve_with_bias(code[:, None, None, None], kernel, bias, unfold, self.dtype)


class Model(nn.Module):
    """A generator of pots from codes, each of `code_size` numbers in [0, 1].

    `features` are the channels of the first grid, halved whenever the side doubles, `doublings`
    times in all.
    """

    features: int = 512
    code_size: int = 200
    doublings: int = 4
    conv_form: str = "auto"
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @property
    def side(self) -> int:
        """Of the pots' cubes, in voxels."""
        return _FIRST << self.doublings

    def __call__(
        self, partial: Volume, *, train: bool, complete: Volume | None = None, keys: Keys = None
    ) -> Volume:
        """As many pots, in probabilities, as there are sherds, of codes drawn by `keys`.

        Neither sherds nor complete pots are looked at; without keys all codes are the middle one.

        Raises ValueError where the sherds' cube has another side than the model's.
        """
        if partial.shape[1:4] != (self.side,) * 3:
            raise ValueError(
                f"the model makes pots of {self.side}³ voxels, the data have {partial.shape[1:4]};"
                " set config.generator.doublings: 4 for 64³, 3 for 32³"
            )
        if keys is None:
            return self.decode(jnp.full((len(partial), self.code_size), 0.5), train=train)
        return self.decode(self.codes(keys), train=train)

    @nn.compact
    def decode(self, code: Codes, *, train: bool) -> Volume:
        """The pots of codes; `train` is about batch statistics."""
        norm = functools.partial(BatchNorm, axis_name=self.axis_name, dtype=self.dtype)
        # Else what codes share outweighs what tells them apart: in training all pots became one.
        x = Unfold(self.features, self.dtype, name="unfold")((code - 0.5) * 12.0**0.5)
        for n in range(1, self.doublings):
            x = nn.relu(norm(name=f"norm{n}")(x, train=train))
            up = ConvTranspose(self.features >> n, self.conv_form, self.dtype, name=f"up{n}")
            x = up(x)
        x = nn.relu(norm(name=f"norm{self.doublings}")(x, train=train))
        x = ConvTranspose(1, self.conv_form, self.dtype, name="final")(x)
        return jax.nn.sigmoid(x.astype(jnp.float32))

    def codes(self, keys: Key[Array, " b"]) -> Codes:
        """A code for each key."""
        return jax.vmap(lambda key: jax.random.uniform(key, (self.code_size,), jnp.float32))(keys)

    def draw(self, variables: Mapping[str, Any], key: Key[Array, ""], count: int) -> Volume:
        """So many new pots."""
        return self.pots(variables, self.codes(jax.random.split(key, count)))

    def between(self, variables: Mapping[str, Any], key: Key[Array, ""], count: int) -> Volume:
        """So many pots from one new pot to another, their codes evenly on the straight line."""
        one, other = self.codes(jax.random.split(key))
        share = jnp.linspace(0.0, 1.0, count)[:, None]
        return self.pots(variables, (1.0 - share) * one[None] + share * other[None])

    def pots(self, variables: Mapping[str, Any], codes: Codes) -> Volume:
        """The pots of codes, in evaluation mode."""
        made: Any = self.apply(variables, codes, train=False, method="decode")
        return made

    def fit(
        self, variables: Mapping[str, Any], partial: Volume, key: Key[Array, ""] | None = None
    ) -> Volume:
        """The pots from noise that hold these sherds best, with the sherds in them."""
        key = jax.random.key(0) if key is None else key
        codes = self.nearest(variables, partial, key)
        return jnp.maximum(self.pots(variables, codes), partial)

    def nearest(self, variables: Mapping[str, Any], partial: Volume, key: Key[Array, ""]) -> Codes:
        """The codes of the pots in which these sherds' voxels are most probable.

        From several codes each goes down the slope of the cross-entropy of the given voxels; what
        is not given may be clay or not, and counts nothing. The best of them is taken.
        """

        def cost(codes: Codes) -> Float[Array, " b"]:
            inside = jnp.log(jnp.maximum(self.pots(variables, codes), 1e-6))
            size = jnp.maximum(partial.sum(axis=(1, 2, 3, 4)), 1.0)
            return -(partial * inside).sum(axis=(1, 2, 3, 4)) / size

        def move(n: Array, codes: Codes) -> Codes:
            slope = jax.grad(lambda codes: cost(codes).sum())(codes)
            steep = jnp.maximum(jnp.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
            return jnp.clip(codes - _STRIDE * (1.0 - n / _STEPS) * slope / steep, 0.0, 1.0)

        @accelerator.without_onednn()
        def search(key: Array) -> tuple[Codes, Float[Array, " b"]]:
            start = self.codes(jax.random.split(key, len(partial)))
            found = jax.lax.fori_loop(0, _STEPS, move, start)
            return found, cost(found)

        found, costs = jax.lax.map(search, jax.random.split(key, _STARTS))
        return found[costs.argmin(axis=0), jnp.arange(len(partial))]
