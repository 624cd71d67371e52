"""GLB files that ask for more than they are worth."""

import json
import struct
import zlib
from typing import Any

import numpy as np

GLB_FLOAT = 5126


def glb(head: dict[str, Any], data: bytes) -> bytes:
    return packed(json.dumps({"asset": {"version": "2.0"}, **head}).encode(), data)


def packed(text: bytes, data: bytes) -> bytes:
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def mesh_glb(seed: int, faces: int, **more: Any) -> bytes:
    """A mesh of triangles without indices, in a scene of one node; `more` replaces parts."""
    corners = np.random.default_rng(seed).random((3 * faces, 3)).astype("<f4")
    size, attributes = corners.nbytes, {"POSITION": 0}
    accessor = {"bufferView": 0, "componentType": GLB_FLOAT, "count": 3 * faces, "type": "VEC3"}
    head = {
        "buffers": [{"byteLength": size}],
        "bufferViews": [{"buffer": 0, "byteLength": size}],
        "accessors": [accessor],
        "meshes": [{"primitives": [{"attributes": attributes}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
    }
    return glb({**head, **more}, corners.tobytes())


def hollow_accessor(seed: int) -> bytes:
    empty = {"componentType": GLB_FLOAT, "count": 300_000_000, "type": "VEC3"}
    return mesh_glb(seed, 2, accessors=[empty])


def many_instances(seed: int) -> bytes:
    nodes = [{"mesh": 0, "translation": [n, 0, 0]} for n in range(5000)]
    return mesh_glb(seed, 20_000, nodes=nodes, scenes=[{"nodes": list(range(5000))}])


def many_nodes(seed: int, count: int = 100_000) -> bytes:
    return mesh_glb(seed, 2, nodes=[{"mesh": 0}] * count, scenes=[{"nodes": list(range(count))}])


def many_primitives(seed: int) -> bytes:
    part = {"attributes": {"POSITION": 0}}
    return mesh_glb(seed, 20_000, meshes=[{"primitives": [part] * 5000}])


def many_views(seed: int) -> bytes:
    view = {"buffer": 0, "byteLength": 7200}
    return mesh_glb(seed, 200, bufferViews=[view] * 100_000)


def deep_nodes(seed: int, depth: int = 9000) -> bytes:
    nodes = [{"mesh": 0, "children": [n + 1]} for n in range(depth)]
    return mesh_glb(seed, 1, nodes=[*nodes, {"mesh": 0}])


def node_circle(seed: int) -> bytes:
    nodes = [{"children": [1, 2]}, {"children": [2, 0]}, {"children": [0, 1], "mesh": 0}]
    return mesh_glb(seed, 1, nodes=nodes)


def big_count(seed: int) -> bytes:
    text = {"bufferView": 0, "componentType": GLB_FLOAT, "count": 2**63, "type": "VEC3"}
    return mesh_glb(seed, 1, accessors=[text])


def nested_json(_: int) -> bytes:
    text = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    head = struct.pack("<I4s", len(text), b"JSON")
    return struct.pack("<4sII", b"glTF", 2, 20 + len(text)) + head + text


def compressed_glb(seed: int) -> bytes:
    name = "KHR_draco_mesh_compression"
    part = {"attributes": {"POSITION": 0}, "extensions": {name: {"bufferView": 0}}}
    meshes = [{"primitives": [part]}]
    return mesh_glb(seed, 2, meshes=meshes, extensionsRequired=[name], extensionsUsed=[name])


def png(side: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def big_textures(seed: int, count: int = 16, side: int = 8192) -> bytes:
    """Textures that nothing needs; they take 3 side² bytes each."""
    corners = np.random.default_rng(seed).random((300, 3)).astype("<f4").tobytes()
    image = png(side)
    views = [
        {"buffer": 0, "byteLength": len(corners)},
        {"buffer": 0, "byteOffset": len(corners), "byteLength": len(image)},
    ]
    numbers = range(count)
    materials = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": n}}} for n in numbers]
    accessor = {"bufferView": 0, "componentType": GLB_FLOAT, "count": 300, "type": "VEC3"}
    head = {
        "buffers": [{"byteLength": len(corners) + len(image)}],
        "bufferViews": views,
        "accessors": [accessor],
        "images": [{"bufferView": 1, "mimeType": "image/png"}] * count,
        "textures": [{"source": n} for n in numbers],
        "materials": materials,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
    }
    return glb(head, corners + image)
