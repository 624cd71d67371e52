"""`python -m voxgan_jax.cli`."""

from voxgan_jax.cli.main import voxgan

voxgan()
