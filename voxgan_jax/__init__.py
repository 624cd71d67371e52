"""voxgan_jax completes broken pottery on voxel grids: from one sherd to the whole pot."""

__version__ = "0.1.0"
