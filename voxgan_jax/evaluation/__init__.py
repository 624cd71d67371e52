"""Metrics, the evaluation protocol, scores while a run trains, and figures."""
