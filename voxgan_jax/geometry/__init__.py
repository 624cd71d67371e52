"""Rings about an axis, symmetries, surfaces, voxels: pure functions on arrays."""
