"""A sherd as a scanner has it, for scripts/demo and .ci/wheel.

    python scripts/lib/demo_sherd.py POTS_DIR OUT_DIR

Takes the largest fragment of the first `.vox` file of a folder, 3 mm a voxel, its walls smooth as
the pot's half section has them, turned and moved to some other place. Writes `sherd.stl` and prints
the greatest diameter of its pot in mm, which goes with `voxgan complete --diameter-mm`.
"""

import pathlib
import sys

import numpy as np
import trimesh
from scipy import ndimage

from voxgan_jax.data import grid, vox
from voxgan_jax.geometry import lathe, profile_targets, solids, surface

VOXEL_MM = 3.0


def write(pots_dir: pathlib.Path, out_dir: pathlib.Path) -> float:
    """Write the sherd; returns the greatest diameter of its pot in mm."""
    labels = vox.read(min(pots_dir.rglob("*.vox")))
    cube = grid.place(labels, max(labels.shape))
    frame = surface.frame(cube.shape, VOXEL_MM)
    distance, axis = profile_targets.target(cube > 0)
    pot = lathe.mesh(distance, frame, axis=axis, spacing=0.5)
    fragment = cube == np.bincount(cube[cube > 1]).argmax()
    # All of space that is nearer to it than to other fragments.
    away, other = (
        np.asarray(ndimage.distance_transform_edt(~own))
        for own in (fragment, (cube > 0) & ~fragment)
    )
    near = (away < other) & (away < 3)
    region = surface.surface(surface.smooth(near), near, frame)
    both = (solids.solid(mesh.vertices, mesh.faces) for mesh in (pot, region))
    scan, _ = solids.mesh(next(both) ^ next(both), VOXEL_MM)
    scan.apply_transform(trimesh.transformations.euler_matrix(2.0, 0.7, 4.0))
    scan.apply_translation([120, -40, 15])
    out_dir.mkdir(parents=True, exist_ok=True)
    surface.write_stl(out_dir / "sherd.stl", scan)
    return VOXEL_MM * max(labels.shape[:2])


if __name__ == "__main__":
    print(write(*map(pathlib.Path, sys.argv[1:])))
