"""`python -m voxgan_jax.cli`."""

import sys

from voxgan_jax.cli.main import main

sys.exit(main())
