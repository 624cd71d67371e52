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
    add("files", nargs="+", type=pathlib.Path, metavar="FILE", help=INPUTS)
    add("--unit", choices=arguments.UNITS, help="of a mesh's coordinates")
    add("--voxel-mm", type=arguments.from_text("voxel_mm"), help="side of a voxel (default: 1)")
    add("--json", action="store_true", help="print a JSON object for each file, a line each")
    parser.set_defaults(run=_info)


def _info(args: argparse.Namespace) -> int:
    from voxgan_jax.files import readable
    from voxgan_jax.scan import worker

    if any(path.suffix.lower() != ".vox" for path in args.files):
        worker.start()  # while this process imports what it needs
    failed = 0
    for path in args.files:
        try:
            known = describe(path, args.unit, args.voxel_mm)
        except (OSError, ValueError) as error:
            print(readable(f"voxgan: {error}"), file=sys.stderr)
            failed += 1
            continue
        said = readable(json.dumps(known, ensure_ascii=False)) if args.json else sentence(known)
        print(said)
    return int(failed > 0)


def describe(
    path: str | pathlib.Path, unit: str | None = None, voxel_mm: float | None = None
) -> dict[str, Any]:
    """What a file holds, ready for JSON.

    Of voxels: `size` (d, h, w), height last, in voxels, `size_mm` of the box along the file's x, y
    and z, `voxels`, and each fragment's number of voxels and share of them. Of a mesh: `size_mm`
    and its lowest corner, the numbers of vertices, faces and bodies, whether it is watertight, its
    area and, where it is watertight, its volume, and `warnings`.

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
        said = (
            f"{known['file']}: a mesh of {known['faces']} faces in {bodies},"
            f" {size} mm (x × y × z); {state}"
        )
        return "\n".join([said, *(f"  WARNING: {warning}" for warning in known["warnings"])])
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

    mesh, _ = formats.read_mesh(path, unit)
    tight = bool(mesh.is_watertight)
    return {
        "size_mm": _rounded(mesh.extents),
        "lowest_mm": _rounded(mesh.bounds[0]),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "bodies": int(mesh.body_count),
        "watertight": tight,
        "area_mm2": round(float(mesh.area), 3),
        "volume_mm3": round(abs(float(mesh.volume)), 3) if tight else None,
        "warnings": [doubt.text for doubt in doubts.of_scan(mesh)],
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]
