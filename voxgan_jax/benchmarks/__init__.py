"""What `scripts/benchmark.py` measures: input, layers, steps, scaling, and what XLA compiled."""
