"""Metrics, the evaluation protocol, answers that need no learning, and figures."""
