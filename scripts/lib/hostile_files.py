"""Files that ask for more than they are worth: they unfold, loop, lie or point elsewhere.

Each is made from a seed. `FILES` has them by name; most are refused in one line, those of
`HARMLESS` are read.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scripts.lib import hostile_glb


class Hostile(NamedTuple):
    """The ending of a file's name, and its bytes as a function of a seed."""

    ending: str
    make: Callable[[int], bytes]


def binary_stl(triangles: np.ndarray, count: int | None = None) -> bytes:
    """Triangles (n, 3, 3); `count` is what the head tells of them."""
    row = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    rows = np.zeros(len(triangles), row)
    rows["corners"] = triangles
    head = struct.pack("<80xI", len(triangles) if count is None else count)
    return head + rows.tobytes()


def fan_cylinder(seed: int, sides: int = 5000) -> bytes:
    """A cylinder of long thin triangles: its caps are fans."""
    turn = np.random.default_rng(seed).random() + np.arange(sides + 1) * 2 * np.pi / sides
    low = np.stack([40 * np.cos(turn), 40 * np.sin(turn), 0 * turn], 1)
    up = np.array([0, 0, 80])
    high, here, there = low + up, slice(sides), slice(1, sides + 1)
    middle = np.zeros((sides, 3))
    faces = (
        (middle, low[there], low[here]),
        (middle + up, high[here], high[there]),
        (low[here], low[there], high[there]),
        (low[here], high[there], high[here]),
    )
    return binary_stl(np.concatenate([np.stack(corners, 1) for corners in faces]))


def hairball(seed: int, faces: int = 20_000) -> bytes:
    """Huge triangles that all cross each other, closed to tetrahedra."""
    corners = np.random.default_rng(seed).uniform(0, 100, (faces // 4, 4, 3))
    flat = corners[:, [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]]
    return binary_stl(flat.reshape(-1, 3, 3))


def many_solids(seed: int, count: int = 100_000) -> bytes:
    corners = "\n".join(f"vertex {x} {y} {seed % 7}" for x, y in ((0, 0), (1, 0), (0, 1)))
    facet = f"facet normal 0 0 1\nouter loop\n{corners}\nendloop\nendfacet"
    return f"solid a\n{facet}\nendsolid a\n".encode() * count


def lying_stl(seed: int) -> bytes:
    return binary_stl(np.random.default_rng(seed).random((4, 3, 3)), 2**32 - 1)


def nowhere_stl(seed: int) -> bytes:
    return binary_stl(np.random.default_rng(seed).choice([np.nan, np.inf, 3e38], (30, 3, 3)))


TETRAHEDRON = "v 0 0 0\nv 9 0 0\nv 0 9 0\nv 0 0 9\n"
ITS_FACES = ("f 1 3 2\n", "f 1 2 4\n", "f 2 3 4\n", "f 3 1 4\n")


def many_materials(seed: int, count: int = 100_000) -> bytes:
    names = [f"usemtl m{seed}_{n}\ng g{n}\n{ITS_FACES[n % 4]}" for n in range(count)]
    return (TETRAHEDRON + "".join(names)).encode()


def pipe_material(_: int) -> bytes:
    """Refers to `pipe.mtl`, which who tries this makes a FIFO."""
    return f"mtllib pipe.mtl\nusemtl a\n{TETRAHEDRON}{''.join(ITS_FACES)}".encode()


def huge_obj(_: int) -> bytes:
    return (TETRAHEDRON.replace("9", "9e300") + "".join(ITS_FACES)).encode()


def pentagons(_: int) -> bytes:
    """A prism, its caps of five corners."""
    ring = [(np.cos(t), np.sin(t)) for t in np.arange(5) * 0.4 * np.pi]
    corners = [f"v {40 * x} {40 * y} {z}\n" for z in (0, 30) for x, y in ring]
    sides = [f"f {k + 1} {(k + 1) % 5 + 1} {(k + 1) % 5 + 6} {k + 6}\n" for k in range(5)]
    return ("".join(corners + sides) + "f 5 4 3 2 1\nf 6 7 8 9 10\n").encode()


def wrong_corners(_: int) -> bytes:
    return f"{TETRAHEDRON}f 1 2 3\nf 1 2 99999999999999999999\n".encode()


def zipped(**files: Sequence[bytes]) -> bytes:
    """A zip of files, each the chunks that are given."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, chunks in files.items():
            with packed.open(name.replace("__", "/").replace("_dot_", "."), "w") as file:
                for chunk in chunks:
                    file.write(chunk)
    return target.getvalue()


def three_mf(*xml: bytes) -> bytes:
    return zipped(**{"3D__3dmodel_dot_model": xml})


MESH_3MF = (
    "<mesh><vertices><vertex x='0' y='0' z='0'/><vertex x='9' y='0' z='0'/>"
    "<vertex x='0' y='9' z='0'/><vertex x='0' y='0' z='9'/></vertices><triangles>"
    "<triangle v1='0' v2='2' v3='1'/><triangle v1='0' v2='1' v3='3'/>"
    "<triangle v1='1' v2='2' v3='3'/><triangle v1='2' v2='0' v3='3'/></triangles></mesh>"
)


def lattice_3mf(_: int, levels: int = 40) -> bytes:
    """Each object is made of two of the next."""
    objects = [f"<object id='0'>{MESH_3MF}</object>"]
    for n in range(levels):
        both = f"<component objectid='{n}'/>" * 2
        objects.append(f"<object id='{n + 1}'><components>{both}</components></object>")
    build = f"<build><item objectid='{levels}'/></build>"
    return three_mf(f"<model><resources>{''.join(objects)}</resources>{build}</model>".encode())


def circle_3mf(_: int) -> bytes:
    objects = "".join(
        f"<object id='{n}'><components><component objectid='{1 - n}'/></components></object>"
        for n in (0, 1)
    )
    build = "<build><item objectid='0'/></build>"
    return three_mf(f"<model><resources>{objects}</resources>{build}</model>".encode())


def many_items_3mf(_: int, count: int = 20_000) -> bytes:
    items = "<item objectid='0'/>" * count
    objects = f"<resources><object id='0'>{MESH_3MF}</object></resources>"
    return three_mf(f"<model>{objects}<build>{items}</build></model>".encode())


def bomb_3mf(_: int, mib: int = 600) -> bytes:
    start = b"<model><resources><object id='0'><mesh><vertices>"
    vertices = b"<vertex x='0' y='0' z='0'/>" * (1 << 20)
    end = b"</vertices><triangles/></mesh></object></resources><build><item objectid='0'/></build>"
    return three_mf(start, *[vertices] * (mib * 2**20 // len(vertices)), end + b"</model>")


def entities_3mf(_: int) -> bytes:
    names = [f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'x'}'>" for n in range(12)]
    return three_mf(f"<!DOCTYPE m [{''.join(names)}]><model unit='m'>&e11;</model>".encode())


def no_build_3mf(_: int) -> bytes:
    return three_mf(
        f"<model><resources><object id='0'>{MESH_3MF}</object></resources></model>".encode()
    )


def npy_head(shape: Sequence[int], kind: str) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def bomb_npz(_: int, side: int = 1000) -> bytes:
    layer = bytes(side * side)
    return zipped(labels_dot_npy=[npy_head((side,) * 3, "|u1"), *[layer] * side])


def wide_npz(_: int) -> bytes:
    return zipped(labels_dot_npy=[npy_head((512, 512, 512), "<c16"), bytes(100)])


def lying_npy(_: int) -> bytes:
    return npy_head((500, 500, 500), "|u1") + bytes(1000)


def pickled_npy(_: int) -> bytes:
    """An array of objects: whoever loads it makes the folder `pwned`."""
    return npy_head((1, 1, 1), "|O") + b"cos\nmkdir\n(S'pwned'\ntR."


def binvox_file(shape: Sequence[int], runs: bytes, more: str = "") -> bytes:
    sides = " ".join(map(str, shape))
    return f"#binvox 1\ndim {sides}\n{more}data\n".encode() + runs


def bomb_binvox(_: int, mib: int = 67) -> bytes:
    return binvox_file((2048, 2048, 2048), b"\1\xff" * (mib << 19))


def more_binvox(_: int) -> bytes:
    return binvox_file((16, 16, 16), b"\1\xff" * (1 << 22))


def big_binvox(_: int) -> bytes:
    return binvox_file((16, 16, 16), b"\1\x80" * 32, "translate 0 0 0\nscale 1e300\n")


def small_binvox(_: int) -> bytes:
    return binvox_file((16, 16, 16), b"\1\x80" * 32, "translate 0 0 0\nscale 1e-300\n")


def many_off(_: int) -> bytes:
    return b"OFF\n99999999999999999999 99999999999999999999 0\n0 0 0\n3 0 0 0\n"


def wide_off(_: int) -> bytes:
    return b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n999999999 0 1 2\n"


def ply(vertices: int, faces: int, data: bytes, more: str = "") -> bytes:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    return (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {vertices}\n{axes}element face"
        f" {faces}\nproperty list uint int vertex_indices\n{more}end_header\n"
    ).encode() + data


def lying_ply(_: int) -> bytes:
    return ply(2_000_000_000, 2_000_000_000, bytes(5000))


def long_list_ply(_: int) -> bytes:
    return ply(1, 1, bytes(12) + struct.pack("<I", 2**32 - 1) + bytes(100))


def edges_ply(seed: int, count: int = 100_000) -> bytes:
    """A tetrahedron, and edges that are of no use."""
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], "<f4").tobytes()
    faces = [(3, 0, 2, 1), (3, 0, 1, 3), (3, 1, 2, 3), (3, 2, 0, 3)]
    data = corners + np.array(faces, "<u4").tobytes()
    data += np.random.default_rng(seed).integers(0, 4, (count, 2)).astype("<i4").tobytes()
    more = f"element edge {count}\nproperty int vertex1\nproperty int vertex2\n"
    return ply(4, 4, data, more)


FILES = {
    "fan_cylinder": Hostile(".stl", fan_cylinder),
    "hairball": Hostile(".stl", hairball),
    "many_solids": Hostile(".stl", many_solids),
    "lying_stl": Hostile(".stl", lying_stl),
    "nowhere_stl": Hostile(".stl", nowhere_stl),
    "many_materials": Hostile(".obj", many_materials),
    "pipe_material": Hostile(".obj", pipe_material),
    "huge_obj": Hostile(".obj", huge_obj),
    "pentagons": Hostile(".obj", pentagons),
    "wrong_corners": Hostile(".obj", wrong_corners),
    "hollow_accessor": Hostile(".glb", hostile_glb.hollow_accessor),
    "many_instances": Hostile(".glb", hostile_glb.many_instances),
    "many_primitives": Hostile(".glb", hostile_glb.many_primitives),
    "many_views": Hostile(".glb", hostile_glb.many_views),
    "many_nodes": Hostile(".glb", hostile_glb.many_nodes),
    "deep_nodes": Hostile(".glb", hostile_glb.deep_nodes),
    "node_circle": Hostile(".glb", hostile_glb.node_circle),
    "big_count": Hostile(".glb", hostile_glb.big_count),
    "nested_json": Hostile(".glb", hostile_glb.nested_json),
    "compressed_glb": Hostile(".glb", hostile_glb.compressed_glb),
    "big_textures": Hostile(".glb", hostile_glb.big_textures),
    "lattice_3mf": Hostile(".3mf", lattice_3mf),
    "circle_3mf": Hostile(".3mf", circle_3mf),
    "many_items_3mf": Hostile(".3mf", many_items_3mf),
    "bomb_3mf": Hostile(".3mf", bomb_3mf),
    "entities_3mf": Hostile(".3mf", entities_3mf),
    "no_build_3mf": Hostile(".3mf", no_build_3mf),
    "bomb_npz": Hostile(".npz", bomb_npz),
    "wide_npz": Hostile(".npz", wide_npz),
    "lying_npy": Hostile(".npy", lying_npy),
    "pickled_npy": Hostile(".npy", pickled_npy),
    "bomb_binvox": Hostile(".binvox", bomb_binvox),
    "more_binvox": Hostile(".binvox", more_binvox),
    "big_binvox": Hostile(".binvox", big_binvox),
    "small_binvox": Hostile(".binvox", small_binvox),
    "many_off": Hostile(".off", many_off),
    "wide_off": Hostile(".off", wide_off),
    "lying_ply": Hostile(".ply", lying_ply),
    "long_list_ply": Hostile(".ply", long_list_ply),
    "edges_ply": Hostile(".ply", edges_ply),
}

HARMLESS = {
    *("fan_cylinder", "many_solids", "many_materials", "pipe_material", "pentagons"),
    *("big_textures", "edges_ply", "deep_nodes", "many_views"),
}
"""What is read like any other mesh. A hairball is read as well, but not restored."""
