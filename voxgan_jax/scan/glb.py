"""GLB files: the triangles of the scene that the file shows, in its metres.

Not by trimesh, which takes whole numbers that stand for fractions as they are, loses sparse
accessors, and builds all copies before it counts them.
"""

import functools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from voxgan_jax.scan import faces, source
from voxgan_jax.scan.source import Fault

MAX_NODES = 10_000
_MAX_SHARE = 8
"""So often at most the tables of a file may name each byte of it."""
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6

_LOOKS = ("KHR_materials_", "KHR_texture_", "EXT_texture_", "MSFT_texture_", "KHR_lights_")
"""Extensions that do not change the shape begin so. What is required and no such is refused."""
_READ = {"KHR_mesh_quantization", "KHR_xmp_json_ld", "EXT_lights_image_based"}
_COMPRESSION = {
    *("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"),
}
_COPIES = "EXT_mesh_gpu_instancing"


def read(data: bytes) -> tuple[np.ndarray, np.ndarray, None]:
    """Vertices and faces of all instances in the file's scene."""
    if data[:4] != b"glTF" or len(data) < 20:
        raise Fault("it is no GLB file; export it again")
    if (version := int.from_bytes(data[4:8], "little")) != 2:
        raise Fault(f"it is of version {version}; export it as glTF 2.0")
    chunks = dict(_chunks(data))
    head = json.loads(bytes(chunks.get(b"JSON", b"{}")))
    _check(head, len(data))
    scene = _Scene(head, chunks.get(b"BIN\0", b""))
    shown = list(_instances(head))
    counts = [scene.count(number) for number, _ in shown]
    source.check_faces(sum(counts))
    return *faces.joined((scene.mesh(number), matrix) for number, matrix in shown), None


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Names and contents, the first of a name last, so that it counts."""
    end, at, found = int.from_bytes(data[8:12], "little"), 12, []
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "little")
        found.append((data[at + 4 : at + 8], memoryview(data)[at + 8 : at + 8 + size]))
        at += 8 + size
        if at > len(data):
            raise Fault("it is cut off or damaged; copy or export it again")
    return reversed(found)


def _check(head: dict[str, Any], size: int) -> None:
    """Raise Fault for what is not read, and for tables that ask for more than a file of `size`
    bytes holds."""
    named = set(head.get("extensionsRequired", ()))
    named |= {_COPIES} & set(head.get("extensionsUsed", ()))
    for name in sorted(named - _READ):
        if name in _COMPRESSION:
            raise Fault(
                f"it is compressed by {name}; export it without compression, or unpack it by"
                ' "npx @gltf-transform/cli copy PACKED.glb PLAIN.glb"'
            )
        if not name.startswith(_LOOKS):
            raise Fault(f"it needs {name}, which is not read; export it without")
    if any("uri" in buffer for buffer in head.get("buffers", ())):
        raise Fault("its data lie elsewhere or in text; export it as one binary GLB file")
    told = [
        int(one["count"]) * np.dtype(_KINDS[one["componentType"]]).itemsize * _NUMBERS[one["type"]]
        for one in head.get("accessors", ())
    ]
    if min([*told, 0]) < 0 or sum(told) > _MAX_SHARE * size:
        raise Fault(f"its tables tell of more than its {size} bytes hold; export it again")
    nodes = len(head.get("nodes", ()))
    source.check(nodes, MAX_NODES, "nodes", "join its parts")


def _instances(head: dict[str, Any]) -> Iterator[tuple[int, Float[np.ndarray, "4 4"]]]:
    """Meshes by their numbers, and where they lie: of the scene that is named, or the first."""
    nodes, scenes = head.get("nodes", []), head.get("scenes", [])
    inner = {child for node in nodes for child in node.get("children", ())}
    roots = [number for number in range(len(nodes)) if number not in inner]
    if scenes:
        roots = scenes[head.get("scene", 0)].get("nodes", [])
    reached, waiting = set[int](), [(roots, np.eye(4))]
    while waiting:
        children, matrix = waiting.pop()
        for child in children:
            if child in reached:
                raise Fault(f"its node {child} lies in two others or in a circle; export it again")
            reached.add(child)
            node = nodes[child]
            place = matrix @ _matrix(node)
            waiting.append((node.get("children", ()), place))
            if "mesh" in node:
                weights = node.get("weights") or head["meshes"][node["mesh"]].get("weights") or ()
                if "skin" in node or any(weights):
                    raise Fault("it is bent by a skeleton or morph targets; export it as it looks")
                yield node["mesh"], place


def _matrix(node: dict[str, Any]) -> Float[np.ndarray, "4 4"]:
    """Where a node lies in the one that holds it."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), float)
    turn = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(turn) * np.array(node.get("scale", (1, 1, 1)), float)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


class _Scene:
    """Meshes out of a file's tables and its bytes."""

    def __init__(self, head: dict[str, Any], body: bytes | memoryview):
        self._head, self._body = head, body
        # Once, however often they are used.
        self.count, self.mesh = functools.cache(self._count), functools.cache(self._mesh)
        self._values = functools.cache(self._read)

    def _parts(self, number: int) -> Iterator[tuple[int, int, int | None]]:
        """Of a mesh: how its corners become triangles, accessors of points and of corners."""
        for part in self._head["meshes"][number]["primitives"]:
            if (mode := part.get("mode", _TRIANGLES)) in (_TRIANGLES, _STRIP, _FAN):
                yield mode, part["attributes"]["POSITION"], part.get("indices")

    def _count(self, number: int) -> int:
        """How many faces a mesh has, or a few more."""
        known = self._head["accessors"]
        return sum(
            known[points if corners is None else corners]["count"]
            // (3 if mode == _TRIANGLES else 1)
            for mode, points, corners in self._parts(number)
        )

    def _mesh(self, number: int) -> faces.Mesh:
        """Vertices, each in a face, and faces of a mesh."""
        return faces.joined((self._part(*part), np.eye(4)) for part in self._parts(number))

    def _part(self, mode: int, place: int, order: int | None) -> faces.Mesh:
        vertices = self._values(place)
        if vertices.shape[1] != 3:
            raise Fault("its vertices have not three coordinates; export it again")
        corners = np.arange(len(vertices)) if order is None else self._values(order)[:, 0]
        corners = corners.astype(int)
        # Before strips, which end at what is below 0.
        faces.check(corners, len(vertices))
        if mode == _TRIANGLES:
            triangles = corners[: len(corners) // 3 * 3].reshape(-1, 3)
        elif mode == _STRIP:
            triangles = faces.strips(corners)
        else:
            triangles = faces.fans([corners[None]])
        return faces.used(vertices.astype(float), triangles)

    def _read(self, number: int) -> Shaped[np.ndarray, "_ _"]:
        """What an accessor tells, as fractions where it is normalized."""
        told = self._head["accessors"][number]
        count, kind = told["count"], np.dtype(_KINDS[told["componentType"]])
        width = _NUMBERS[told["type"]]
        values = np.zeros((count, width), kind)
        if "bufferView" in told:
            values = self._view(told, kind, count, width)
        if "sparse" in told:
            few, values = told["sparse"], values.copy()
            order = np.dtype(_KINDS[few["indices"]["componentType"]])
            places = self._view(few["indices"], order, few["count"], 1)[:, 0]
            values[places] = self._view(few["values"], kind, few["count"], width)
        if told.get("normalized") and kind.kind != "f":
            values = np.maximum(values / np.iinfo(kind).max, -1)
        return values

    def _view(
        self, told: dict[str, Any], kind: np.dtype, count: int, width: int
    ) -> Shaped[np.ndarray, "_ _"]:
        """So many rows at the place that is told, as they lie among the file's bytes."""
        view = self._head["bufferViews"][told["bufferView"]]
        row = width * kind.itemsize
        stride = view.get("byteStride", row)
        first, within = view.get("byteOffset", 0), told.get("byteOffset", 0)
        most = min(view["byteLength"], len(self._body) - first)
        ends = within + (count - 1) * stride + row
        if view["buffer"] or min(count, first, within, stride - 1, most - ends) < 0:
            raise Fault("its tables tell of bytes that it does not have; copy or export it again")
        return np.ndarray((count, width), kind, self._body, first + within, (stride, kind.itemsize))
