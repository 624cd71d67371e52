#!/usr/bin/env python3
"""Prepare sherds for training the locator: walls and filling of fragments, and axes that fit them.

    scripts/cut_sherds.py --data_dir pots.npz --split train --every 2 --out sherds.npz

One fragment of each so many-th file, its surface taken as `voxgan complete` takes a scan's, and the
lines to which its walls alone can be fitted: most of them are wrong. About a third of a second each
on two CPU cores.
"""

import argparse
import io
import multiprocessing
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, cast

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts.lib.start import leave

import numpy as np
from jaxtyping import Bool, Float
from tqdm import tqdm

from scripts.lib import command
from voxgan_jax import files
from voxgan_jax.cli import commands
from voxgan_jax.geometry import surface as mesh
from voxgan_jax.placement import axis_fit, axis_lines
from voxgan_jax.placement.axis_fit import Axis
from voxgan_jax.scan import walls

POINTS, WALL, FITTED = 1500, 500, 7
_FEW = 160
_DIRECTIONS, _TRIED = 200, 200

Job = tuple[Bool[np.ndarray, "r r r"], Float[np.ndarray, "2"], int]


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return commands.exit_code("cut_sherds.py", lambda: _cut(args))


def _cut(args: argparse.Namespace) -> None:
    found = []
    # Not forked: JAX has threads by then.
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for made in tqdm(pool.imap(sherd, _jobs(args), chunksize=8), disable=None):
            if made is not None:
                found.append(made)
    if not found:
        raise ValueError(f"{args.data_dir}: no fragment there is big enough; see --least_share")
    arrays = {name: np.stack([made[name] for made in found]) for name in found[0]}
    packed = io.BytesIO()
    np.savez_compressed(packed, **cast(dict[str, Any], arrays))
    files.write_whole(args.out, packed.getvalue())
    print(f"{args.out}: {len(found)} sherds")


def _jobs(args: argparse.Namespace) -> Iterator[Job]:
    """Fragments, where their pots' axes are, and a seed each."""
    import jax
    import jax.numpy as jnp

    from voxgan_jax.data import fragments, source
    from voxgan_jax.geometry import rings

    round_axis = jax.jit(rings.round_axis)
    rows = slice(args.start, None, args.every)
    data = source.open_split(args.data_dir, args.split, rows=rows, resolution=64)
    rng = np.random.default_rng(args.seed)
    axes: dict[tuple[str, str], np.ndarray] = {}
    for pot in data.pots:
        name = (pot.category, pot.pot)
        if name not in axes:
            clay = jnp.asarray(pot.labels > 0, jnp.float32)[None, ..., None]
            axes[name] = np.asarray(round_axis(clay))[0]
        counts = fragments.voxel_counts(pot.labels)
        least = args.least_share * counts[1:].sum()
        ids = [n for n in fragments.fragment_ids(pot.labels) if counts[n] >= least]
        for chosen in rng.permutation(ids)[:1]:
            yield pot.labels == chosen, axes[name], int(rng.integers(1 << 30))


def sherd(job: Job) -> dict[str, Any] | None:
    """One fragment, in voxels; None where its surface cannot be made.

    `points` fill it, `volume` is that of each; `wall`, `normals` and `anchors` are its walls',
    `thickness` theirs (0: not told apart) and `usual` what stands for it then. `axis` is a point of
    the pot's axis next to the sherd and its direction to the rim, `bottom` the height of the cube's
    bottom from that point, and `fitted` are lines that fit the walls: points and directions.
    """
    given, centre, seed = job
    rng = np.random.default_rng(seed)
    matrix = mesh.frame(given.shape, 1.0, up="z")
    field = mesh.smooth(given)
    scan = mesh.surface(field, given, matrix, mesh.find_level(field, given))
    surface = walls.wall(scan)
    cells = np.argwhere(given).astype(float)
    chosen = rng.permutation(np.resize(np.arange(len(cells)), max(POINTS, len(cells))))[:POINTS]
    points = cells[chosen] + rng.uniform(-0.5, 0.5, (POINTS, 3))
    some = np.resize(rng.permutation(len(surface.points)), WALL)
    up = -matrix[:3, 2]
    axis = matrix[:3, :3] @ [*centre, cells[:, 2].mean()] + matrix[:3, 3]
    lowest = (matrix @ [0, 0, len(given) - 0.5, 1])[:3]
    fitted = _fitted(surface, some[:_FEW], Axis(axis, up, 0.0))
    if not fitted:
        return None
    return {
        "points": (points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32),
        "volume": np.float32(len(cells) / POINTS),
        "wall": surface.points[some].astype(np.float32),
        "normals": surface.normals[some].astype(np.float32),
        "anchors": surface.anchors[some].astype(np.float32),
        "thickness": np.float32(surface.thickness or 0.0),
        "usual": np.float32(2 * len(cells) / float(scan.area)),
        "axis": np.stack([axis, up]).astype(np.float32),
        "bottom": np.float32((lowest - axis) @ up),
        "fitted": np.resize(np.stack(fitted), (FITTED, 2, 3)).astype(np.float32),
    }


def _fitted(surface: walls.Wall, some: np.ndarray, true: Axis) -> list[np.ndarray]:
    """The lines to which a few points of the walls can be fitted, and that next to the truth."""
    few = walls.Wall(
        surface.points[some], surface.normals[some], surface.anchors[some], surface.thickness
    )
    tried = slice(None, None, max(len(surface.points) // _TRIED, 1))
    directions = axis_lines.hemisphere(_DIRECTIONS)
    cost, centres = axis_lines.nearest_lines(
        directions, surface.anchors[tried], surface.normals[tried]
    )
    starts = [
        Axis(centres[n], directions[n], 0.0)
        for n in axis_lines.starts(directions, cost)[: FITTED - 1]
    ]
    widest = axis_fit.usual_radius(few)
    found = [axis_fit.refined(few, start, widest, rounds=2) for start in (*starts, true)]
    return [np.stack([axis.point, axis.direction]) for axis in found if axis is not None]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--data_dir", type=pathlib.Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--every", type=int, default=2, help="take each so many-th file")
    parser.add_argument("--start", type=int, default=0, help="leave out so many files first")
    parser.add_argument("--least_share", type=float, default=0.02, help="of the pot's voxels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    leave(main())
