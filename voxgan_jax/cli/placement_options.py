"""The options that say how big a sherd is and how it lay in its pot."""

import argparse
from typing import Any

_NAMES = (
    "unit",
    "voxel_mm",
    "up",
    "axis",
    "height_mm",
    "diameter_mm",
    "rim",
    "base",
    "as_is",
    "place",
)


def add_placing(parser: argparse.ArgumentParser) -> None:
    """How a file lies in space, and how big it is."""
    sizes = parser.add_argument_group(
        "size and place of the input",
        "Of a mesh, what is given is kept and the rest is estimated: where the axis is, how big\n"
        "the pot was, where in its height the sherd lay. With --as-is it lies as it did in its\n"
        "pot; so it does with --voxel-mm, or where --height-mm and --diameter-mm are both given,\n"
        "unless --place is. A file of voxels is the pot's box as it is.",
    )
    sizes.add_argument(
        "--unit",
        choices=("mm", "cm", "m", "in"),
        help="of a mesh's coordinates (default: the file's in 3MF, m in GLB, else mm)",
    )
    sizes.add_argument(
        "--up",
        choices=("x", "y", "z", "-x", "-y", "-z"),
        help="where the pot's rim is, seen from its base; as --up=-z where negative (default: -x"
        " in .vox, estimated of a mesh, and z, in GLB y, where it lies as in its pot)",
    )
    sizes.add_argument(
        "--axis",
        type=_direction,
        metavar="X,Y,Z",
        help="the direction of the mesh's axis from base to rim; as --axis=-1,0,0 where negative",
    )
    sizes.add_argument(
        "--height-mm",
        type=float,
        help="of the whole pot; with --as-is its axis is the coordinate axis --up, its base at 0",
    )
    sizes.add_argument("--diameter-mm", type=float, help="of the whole pot, likewise")
    sizes.add_argument("--rim", action="store_true", help="the sherd holds part of the pot's rim")
    sizes.add_argument("--base", action="store_true", help="the sherd holds part of the pot's base")
    sizes.add_argument(
        "--voxel-mm",
        type=float,
        help="side of a voxel (default: 1 for .vox, .npy and .npz; for a mesh, so that the longest"
        " side of the pot fills the model's cube)",
    )
    how = sizes.add_mutually_exclusive_group()
    how.add_argument("--as-is", action="store_true", help="the mesh lies as it did in its pot")
    how.add_argument("--place", action="store_true", help="it does not, whatever else is given")


def placing(args: argparse.Namespace) -> dict[str, Any]:
    """What `add_placing` asked, as `requests.request_of` takes it."""
    return {name: getattr(args, name) for name in _NAMES}


def _direction(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not three numbers, as in 0,0,1") from None
    if not 0 < x * x + y * y + z * z < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} has no direction; give one as in 0,0,1")
    return x, y, z
