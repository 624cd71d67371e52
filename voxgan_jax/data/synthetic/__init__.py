"""Synthetic pots, and how they break."""
