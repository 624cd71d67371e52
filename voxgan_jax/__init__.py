"""voxgan_jax completes broken pottery on voxel grids: from one sherd to the whole pot."""

import os

# TensorFlow only moves bytes here; what it says while loading is of no use to anybody.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

__version__ = "0.1.0"
