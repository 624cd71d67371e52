"""GLB files: checked for what a few bytes of them can ask for in plenty, then read by trimesh."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from voxgan_jax.scan import source
from voxgan_jax.scan.source import Fault

MAX_NODES = 10_000
MAX_DEPTH = 64
_MAX_SHARE = 8
"""So often at most the tables of a file may name each byte of it."""
_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def read(data: bytes) -> tuple[np.ndarray, np.ndarray, None]:
    """Vertices and faces of all instances in the file's scene."""
    import trimesh

    size = int.from_bytes(data[12:16], "little")
    if data[:4] != b"glTF" or len(data) < 20 + size:
        raise Fault("it is no GLB file, or cut off; copy or export it again")
    _check(json.loads(data[20 : 20 + size]), len(data))
    scene = trimesh.load_scene(io.BytesIO(data), file_type="glb", skip_materials=True)
    faces = {name: len(getattr(made, "faces", ())) for name, made in scene.geometry.items()}
    graph = scene.graph
    source.check_faces(sum(faces[graph[node][1]] for node in graph.nodes_geometry))
    mesh: Any = scene.to_mesh()
    return np.asarray(mesh.vertices), np.asarray(mesh.faces), None


def _check(head: dict[str, Any], size: int) -> None:
    """Raise Fault where the tables of a file of so many bytes ask for more than that holds."""
    named = {*head.get("extensionsRequired", ())} & {
        "KHR_draco_mesh_compression",
        "EXT_meshopt_compression",
    }
    if named:
        raise Fault(f"it is compressed by {named.pop()}; export it without compression")
    if any("uri" in buffer for buffer in head.get("buffers", ())):
        raise Fault("its data lie elsewhere or in text; export it as one binary GLB file")
    accessors = head.get("accessors", ())
    counts = [int(accessor["count"]) for accessor in accessors]
    told = [
        count * _BYTES[accessor["componentType"]] * _NUMBERS[accessor["type"]]
        for accessor, count in zip(accessors, counts, strict=True)
    ]
    views = [int(view["byteLength"]) for view in head.get("bufferViews", ())]
    if min([*told, *views, 0]) < 0 or max(sum(told), sum(views)) > _MAX_SHARE * size:
        raise Fault(f"its tables tell of more than its {size} bytes hold; export it again")
    faces = points = 0
    for mesh in head.get("meshes", ()):
        for part in mesh["primitives"]:
            place = part["attributes"]["POSITION"]
            points += counts[place]
            faces += counts[part.get("indices", place)]
    # Strips have a face for each index.
    source.check_faces(max(faces, points) // 3)
    _check_nodes(head.get("nodes", ()))


def _check_nodes(nodes: Sequence[dict[str, Any]]) -> None:
    if len(nodes) > MAX_NODES:
        raise Fault(f"it has {len(nodes)} nodes, above the limit of {MAX_NODES}; join its parts")
    inner = {child for node in nodes for child in node.get("children", ())}
    level = set(range(len(nodes))) - inner
    for _ in range(MAX_DEPTH):
        level = {child for number in level for child in nodes[number].get("children", ())}
        inner -= level
        if not level:
            break
    if level or inner:
        fault = f"its nodes lie in circles or more than {MAX_DEPTH} deep"
        raise Fault(f"{fault}; export it again, its parts joined")
