"""`voxgan info`: what is in a file."""

import argparse
import json
import pathlib
import sys
from typing import Any

from voxgan_jax.cli.options import INPUTS
from voxgan_jax.restore import arguments


def add_info(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("info", help="say what is in a file")
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help=f"{INPUTS}; or a folder of such, or a glob")
    add("--unit", choices=arguments.UNITS, help="of a mesh's coordinates")
    add("--voxel-mm", type=arguments.from_text("voxel_mm"), help="side of a voxel (default: 1)")
    add("--json", action="store_true", help="print a JSON object for each file, a line each")
    parser.set_defaults(run=_info)


def _info(args: argparse.Namespace) -> int:
    from voxgan_jax.files import readable
    from voxgan_jax.scan import formats, worker

    if any(formats.is_mesh(pathlib.Path(path)) for path in args.files):
        worker.start()  # while this process imports what it needs
    from voxgan_jax.restore import faults, files

    def warn(text: object) -> None:
        print(readable(f"voxgan: {text}"), file=sys.stderr)

    wrong: dict[pathlib.Path, Exception] = {}
    names = files.collect(args.files, None if args.json else warn, wrong)
    for error in wrong.values():
        warn(error)
    for path in names:
        known = faults.guarded(path, describe, path, args.unit, args.voxel_mm)
        if isinstance(known, Exception):
            warn(known)
            wrong[path] = known
        else:
            print(readable(json.dumps(known, ensure_ascii=False)) if args.json else sentence(known))
    return int(bool(wrong))


def describe(
    path: str | pathlib.Path, unit: str | None = None, voxel_mm: float | None = None
) -> dict[str, Any]:
    """What a file holds, ready for JSON.

    Of voxels: `size` (d, h, w), height last, in voxels, `size_mm` of the box along the file's x, y
    and z, `voxels`, and each fragment's number of voxels and share of them. Of a mesh: `size_mm`
    and its lowest corner, the numbers of vertices and faces, its bodies' sizes, how many others
    were left out as `dust`, whether it is watertight, its area and, where it is watertight, its
    volume, `notes`, what else was found, and `warnings`, what is not credible, in words.

    Args:
        unit, voxel_mm: as `scan.formats.read` takes them.

    Raises:
        FileNotFoundError: no such file.
        VoxError, ScanError: a file that cannot be read.
    """
    import numpy as np

    from voxgan_jax.data import fragments, vox
    from voxgan_jax.files import readable
    from voxgan_jax.scan import formats

    path = pathlib.Path(path)
    if formats.is_mesh(path):
        return {"file": readable(path), "kind": "mesh"} | _mesh(path, unit)
    sherd = formats.read(path, unit=unit, voxel_mm=voxel_mm)
    labels = sherd.labels
    counts = fragments.voxel_counts(labels)
    total = int(counts[1:].sum())
    known = {
        "file": readable(path),
        "kind": "voxels",
        "size": list(labels.shape),
        "size_mm": _rounded(np.abs(sherd.to_mm[:3, :3]) @ np.array(labels.shape)),
        "voxels": total,
        "fragments": {
            str(label): {"voxels": int(counts[label]), "share": round(counts[label] / total, 4)}
            for label in (fragments.fragment_ids(labels) if total else ())
        },
        "crumbs": int(counts[fragments.CRUMBS]) if (labels > fragments.CRUMBS).any() else 0,
    }
    if path.suffix.lower() == ".vox":
        scene = vox.read_scene(path)
        known |= {"version": scene.version, "models": scene.num_models}
    return known


def sentence(known: dict[str, Any]) -> str:
    """`describe` in words, a line each."""
    from voxgan_jax.report import sentences

    size = " × ".join(f"{side:g}" for side in known["size_mm"])
    if known["kind"] == "mesh":
        state = (
            f"watertight, {sentences.number(known['volume_mm3'] / 1000, 'cm³')}"
            if known["watertight"]
            else "not watertight: holes are filled where most directions agree"
        )
        bodies = "one body" if known["bodies"] == 1 else f"{known['bodies']} bodies"
        notes = [f"  {note}" for note in known["notes"]]
        notes += [f"  WARNING: {warning}" for warning in known["warnings"]]
        return "\n".join(
            [
                f"{known['file']}: a mesh of {known['faces']} faces in {bodies},"
                f" {size} mm (x × y × z); {state}",
                *notes,
            ]
        )
    voxels = " × ".join(map(str, known["size"]))
    lines = [
        f"{known['file']}: {known['voxels']} voxels in a box of {voxels}, height last;"
        f" {size} mm (x × y × z)"
    ]
    lines += [
        f"  fragment {label}: {part['voxels']} voxels, {100 * part['share']:.1f} %"
        for label, part in known["fragments"].items()
    ]
    if known["crumbs"]:
        lines.append(f"  crumbs: {known['crumbs']} voxels")
    return "\n".join(lines)


def _mesh(path: pathlib.Path, unit: str | None) -> dict[str, Any]:
    from voxgan_jax.scan import doubts, formats

    mesh, _, contents = formats.read_mesh(path, unit)
    tight = bool(mesh.is_watertight)
    notes = list(contents._replace(bodies=contents.bodies[:1]).notes)
    if len(contents.bodies) > 1:
        notes = [contents.several, *notes]
    if contents.turned:
        notes.append(f"{contents.turned} faces looked another way and are turned")
    if not contents.outward:
        notes.append(
            "too open to know which side is outside: its hollow side is taken as the inner one"
        )
    return {
        "size_mm": _rounded(mesh.extents),
        "lowest_mm": _rounded(mesh.bounds[0] + contents.origin),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "bodies": len(contents.bodies),
        "body_sizes_mm": [_rounded(body.size) for body in contents.bodies],
        "dust": contents.dust,
        "watertight": tight,
        "area_mm2": round(float(mesh.area), 3),
        "volume_mm3": round(abs(float(mesh.volume)), 3) if tight else None,
        "notes": notes,
        "warnings": [doubt.text for doubt in doubts.of_scan(mesh)],
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]
