"""A sherd as a scanner has it, for scripts/demo and .ci/wheel.

    python scripts/lib/demo_sherd.py POTS_DIR OUT_DIR

Takes the largest fragment of the first `.vox` file of a folder, 3 mm a voxel, turned and moved to
some other place. Writes `sherd.stl` and prints the greatest diameter of its pot in mm, which goes
with `voxgan complete --diameter-mm`.
"""

import pathlib
import sys

import numpy as np
import trimesh

from voxgan_jax.data import vox
from voxgan_jax.geometry import surface

VOXEL_MM = 3.0


def write(pots_dir: pathlib.Path, out_dir: pathlib.Path) -> float:
    """Write the sherd; returns the greatest diameter of its pot in mm."""
    labels = vox.read(min(pots_dir.rglob("*.vox")))
    sherd = labels == np.bincount(labels[labels > 1]).argmax()
    scan = surface.surface(surface.smooth(sherd), sherd, surface.frame(labels.shape, VOXEL_MM))
    scan.apply_transform(trimesh.transformations.euler_matrix(2.0, 0.7, 4.0))
    scan.apply_translation([120, -40, 15])
    out_dir.mkdir(parents=True, exist_ok=True)
    surface.write_stl(out_dir / "sherd.stl", scan)
    return VOXEL_MM * max(labels.shape[:2])


if __name__ == "__main__":
    print(write(*map(pathlib.Path, sys.argv[1:])))
