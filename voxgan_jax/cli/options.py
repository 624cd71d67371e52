"""What can be typed after `voxgan complete`."""

import argparse
import pathlib
from typing import Any

from voxgan_jax.restore import arguments
from voxgan_jax.restore.naming import FORMATS, USUAL

INPUTS = "a mesh (STL, OBJ, PLY, GLB, OFF, 3MF) or voxels (.vox, .binvox, .npy, .npz)"

_MODEL = ("threshold", "dtype", "average", "pool", "whole_cube", "resolution")

_PLACE = """\
Of a mesh, what is given is kept and the rest is estimated: where the axis is, how big
the pot was, where in its height the sherd lay. With --as-is it lies as it did in its
pot; so it does with --voxel-mm, or where --height-mm and --diameter-mm are both given,
unless --place is. A file of voxels is the pot's box as it is."""

_HELP = {
    "files": f"{INPUTS}; or a folder of such, or a glob",
    "--workdir": "the folder of a trained run (default: the model that comes with voxgan_jax)",
    "--weights": "a weights file (.safetensors)",
    "--out": "folder for the results, called as the sherd's file; those of a glob keep their"
    " subfolders (a/sherd), and where two would have one name, so do others, or the ending is"
    " added (sherd_stl)",
    "--fragment": "the fragment of the file that is given (repeat for several); default: all of it",
    "--fixed-fragment": "give the fragment that evaluation gives",
    "--threshold": "add voxels above this probability (default: the model's)",
    "--dtype": "of the model's computing (default: that of training)",
    "--average": "mean of the answers to so many turned and mirrored sherds (default: 1)",
    "--pool": "scale the pot down by this factor, 1 to 8, for the model (default: its own)",
    "--whole-cube": "write the model's whole cube, not only the box of the input file",
    "--resolution": "voxels of the .vox file along the model's cube: 64, 128 or 256 (default: its"
    " own)",
    "--json": "print a JSON object for each result, a line each",
    "--quiet": "print errors only",
    "--unit": "of a mesh's coordinates (default: the file's in 3MF, m in GLB, else mm)",
    "--up": "where the pot's rim is, seen from its base (default: -x"
    " in .vox, estimated of a mesh, and z, in GLB y, where it lies as in its pot)",
    "--axis": "the direction of the mesh's axis from base to rim, as 0,0,1; three more numbers, in"
    " mm, are a point that it goes through",
    "--height-mm": "of the whole pot; with --as-is its axis is the coordinate axis --up, its base"
    " at 0",
    "--diameter-mm": "of the whole pot, likewise",
    "--rim": "the sherd holds part of the pot's rim",
    "--base": "the sherd holds part of the pot's base",
    "--voxel-mm": "side of a voxel (default: 1 for .vox, .npy and .npz; for a mesh, so that the"
    " longest side of the pot fills the model's cube)",
    "--as-is": "the mesh lies as it did in its pot",
    "--place": "it does not, whatever else is given",
    "--one-pot": "the files are loose sherds of one pot, each in a place of its own; the results"
    " are called as the first (NAME_pot)",
    "--largest": "of several bodies in a mesh the largest is the sherd",
    "--body": "the body of this number is, the largest 1 (`voxgan info` lists them; the results are"
    " called NAME_bodyN); or all, which lie as they did in one pot",
    "--formats": "what is written (default: all but pdf, dxf and csv); stl brings the missing piece"
    " as well, svg, pdf and dxf are the section drawing, csv its radii, html the page, json the"
    " report",
    "--scale": "of the section drawing in print: of svg (default: as big as the pot) and pdf"
    " (default: as fits A4)",
    "--mirrored": "in the drawing the section stands right, the outside left",
    "--lang": "of the page, the overview and the drawings (default: en)",
    "--hypotheses": "K other pots that the sherd may come from, besides the one answer"
    " (default: 0)",
    "--again": "complete also what an earlier run with the same options has completed in --out",
    "--overwrite": "replace files in --out that voxgan did not write, or that were changed since,"
    " too; never an input",
    "--debug": "print also where in the program an error arose",
    "--clearance-mm": "how far the missing piece stays from the original (default: 0.2)",
}


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """How big the sherd is and how it lay in its pot, as `request.read_request` takes it."""
    return {name: getattr(args, name) for name in arguments.FACTS}


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """What a report says was asked for."""
    names = (*_MODEL, "fixed_fragment", "fragment", *arguments.FACTS, "clearance_mm", "hypotheses")
    names += ("scale", "mirrored", "lang")
    formats = [form for form in FORMATS if form in args.formats]
    return {name: getattr(args, name) for name in names} | {"formats": formats}


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options of the command, in the order of its help."""

    told = arguments.from_text

    def add(name: str, to: Any = parser, *, short: str = "", **how: Any) -> None:
        to.add_argument(*filter(None, (short, name)), help=_HELP[name], **how)

    add("files", nargs="+", metavar="FILE")
    source = parser.add_mutually_exclusive_group()
    add("--workdir", source, type=pathlib.Path)
    add("--weights", source, type=pathlib.Path)
    add("--out", short="-o", type=out_folder, required=True)
    given = parser.add_mutually_exclusive_group()
    add("--fragment", given, type=told("fragment"), action="append")
    add("--fixed-fragment", given, action="store_true")
    add("--threshold", type=told("threshold"))
    add("--dtype", choices=("float32", "bfloat16"))
    add("--average", type=int, choices=(1, 8))
    add("--pool", type=told("pool"))
    add("--whole-cube", action="store_true")
    add("--resolution", type=told("resolution"), metavar="N")
    said = parser.add_mutually_exclusive_group()
    add("--json", said, action="store_true")
    add("--quiet", said, action="store_true")
    place = parser.add_argument_group("size and place of the input", _PLACE)
    add("--unit", place, choices=arguments.UNITS)
    upright = place.add_mutually_exclusive_group()
    add("--up", upright, choices=arguments.UPS)
    add("--axis", upright, type=told("axis"), metavar="X,Y,Z[,…]")
    add("--height-mm", place, type=told("height_mm"))
    add("--diameter-mm", place, type=told("diameter_mm"))
    add("--rim", place, action="store_true")
    add("--base", place, action="store_true")
    add("--voxel-mm", place, type=told("voxel_mm"))
    how = place.add_mutually_exclusive_group()
    add("--as-is", how, action="store_true")
    add("--place", how, action="store_true")
    add("--one-pot", place, action="store_true")
    which = place.add_mutually_exclusive_group()
    add("--largest", which, action="store_true")
    add("--body", which, type=told("body"), metavar="N")
    add("--formats", nargs="+", choices=FORMATS, default=USUAL)
    add("--scale", choices=arguments.SCALES)
    add("--mirrored", action="store_true")
    add("--lang", choices=arguments.LANGUAGES, default="en")
    add("--hypotheses", type=told("hypotheses"), default=0, metavar="K")
    add("--again", action="store_true")
    add("--overwrite", action="store_true")
    add("--debug", action="store_true")
    add("--clearance-mm", type=told("clearance_mm"), default=0.2)


def out_folder(text: str) -> pathlib.Path:
    """A folder's name as it was typed. An empty one would be the folder where one is."""
    if not text:
        raise argparse.ArgumentTypeError("a folder has a name; give . for the one you are in")
    return pathlib.Path(text)
