"""A grid in, an answer out."""
