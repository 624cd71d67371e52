"""What formats may hold beside plain triangles and voxels: files of a tetrahedron and of a grid.

`PARTS` has them under the words of the table in docs/formats.md; `format_scenes` adds GLB and 3MF.
"""

import io
from typing import Any

import numpy as np

from scripts.lib import hostile_files
from scripts.lib.hostile_files import ITS_FACES, TETRAHEDRON

POINTS = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
PARTS: dict[tuple[str, str], dict[str, tuple[bytes, Any]]] = {}
"""By format and words of the table: bytes; and how long the tetrahedron's edges are in mm, the
grid, or what is said of them."""


def part(suffix, words, **cases):
    PARTS[suffix, words] = cases


# STL
BINARY = hostile_files.binary_stl(POINTS[FACES].astype(float))
TEXT = "solid vertex 1\n" + "".join(
    "facet normal 0 0 0\nouter loop\n"
    + "".join("  vertex {:.1e} {:.1E} {:+.1e}\n".format(*POINTS[k]) for k in face)
    + "endloop\nendfacet\n"
    for face in FACES
)
part("stl", "bytes behind the triangles", binary=(BINARY + b"scanned by hand", 9))
part("stl", "a binary head that begins with `solid`", binary=(b"solid" + BINARY[5:], 9))
part(
    "stl",
    "text with exponents, on any lines, several solids",
    crlf=(f"{TEXT}endsolid\n".replace("\n", "\r\n").encode(), 9),
    line=(" ".join(f"{TEXT}endsolid".split()).encode(), 9),
    bom=(f"\ufeff{TEXT}endsolid".encode(), 9),
    solids=(TEXT.replace("endfacet\n", "endfacet\nendsolid a\nsolid b\n").encode(), 9),
)
part("stl", "fewer triangles than its head tells of", cut=(BINARY[:-1], "cut off or damaged"))

# OBJ
HEAD, FACE = TETRAHEDRON, "".join(ITS_FACES)
APART = "".join(
    "".join("v {} {} {}\n".format(*POINTS[k]) for k in face) + "f -3//-1 -2 -1\n" for face in FACES
)
part(
    "obj",
    "numbers of vertices that count back",
    apart=(APART.encode(), 9),
    beyond=((HEAD + FACE + "f -9 -2 -1\n").encode(), "a vertex before the first"),
)
part("obj", "the vertex 0", zero=((HEAD + "f 0 1 2\n").encode(), "before the first, which is 1"))
part(
    "obj",
    "tabs, CR, byte order marks, comments behind, lines that continue",
    tabs=((HEAD + FACE).replace(" ", "\t").replace("\n", "\t# a - b\r\n").encode(), 9),
    mark=(f"\ufeff{HEAD}{FACE}".encode(), 9),
    utf16=((HEAD + FACE).encode("utf-16"), 9),
    on=((HEAD + FACE).replace(" ", " \\\n ").encode(), 9),
    old=((HEAD + FACE).replace("\n", "\r").replace("f ", "fo ").encode(), 9),
)
part(
    "obj",
    "weights behind coordinates, points, lines, groups",
    more=((HEAD.replace("\n", " 1 .5 0\n") + "mtllib a\np 1\nl 1 2\ng a\n" + FACE).encode(), 9),
)
part(
    "obj",
    "free-form curves and surfaces",
    surf=((HEAD + FACE + "cstype bspline\ndeg 3 3\n").encode(), "free-form .*'cstype'"),
    curve=((HEAD + "curv 0 1 1 2\n").encode(), "free-form .*'curv'"),
)
part("obj", "commands that read other files", call=((HEAD + "call a.obj\n").encode(), "'call'"))


# PLY
def ply(kinds, faces, order="<", head="", more=b"", after="", name="face"):
    """Types of coordinates, of a list's length and of its numbers, by names of PLY and NumPy."""
    (axis, axes), (length, lengths), (number, numbers) = kinds
    kind = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    text = f"ply\nformat {kind} 1.0\n{head}element vertex 4\n"
    text += "".join(f"property {axis} {x}\n" for x in "xyz") + f"element {name} {len(faces)}\n"
    text += f"property list {length} {number} vertex_indices\n{after}end_header\n"
    data = POINTS.astype(order + axes).tobytes()
    for face in faces:
        data += np.array(len(face)).astype(order + lengths).tobytes()
        data += np.array(face).astype(order + numbers).tobytes() + more
    return text.encode("latin-1") + data


USUAL = (("float", "f4"), ("uchar", "u1"), ("int", "i4"))
TEXT_PLY = (
    "ply\nformat ascii 1.0\ncomment end_header\nelement vertex 4\n"
    + "".join(f"property float {x}\n" for x in "xyz")
    + "property uchar red\nelement face 3\nproperty list uchar int vertex_index\nend_header\n"
    + "".join("{} {} {} 7\n".format(*point) for point in POINTS)
    + "3 0 2 1\n3 0 1 3\n4 2 0 3 1\n"
)
SQUARE = [*FACES[:2].tolist(), [2, 0, 3, 1]]  # the last two faces as one of four corners
part(
    "ply",
    "text, binary of either order",
    text=(TEXT_PLY.encode(), 9),
    behind=(f"{TEXT_PLY}the end".encode(), 9),
    crlf=(TEXT_PLY.replace("\n", "\r\n").encode(), 9),
    little=(ply(USUAL, FACES), 9),
    big=(ply(USUAL, FACES, ">"), 9),
    cr=(ply(USUAL, FACES).replace(b"\n", b"\r"), 9),
)
part("ply", "faces of different numbers of corners", mixed=(ply(USUAL, SQUARE), 9))
part(
    "ply",
    "numbers and lists of any type",
    wide=(ply((("double", "f8"), ("uint", "u4"), ("uint8", "u1")), SQUARE, ">"), 9),
    whole=(ply((("short", "i2"), ("int8", "i1"), ("ushort", "u2")), FACES), 9),
    floats=(ply((("float64", "f8"), ("float32", "f4"), ("float", "f4")), FACES), 9),
    unknown=(ply((("half", "f2"), *USUAL[1:]), FACES), "its head has 'property half x'"),
)
part(
    "ply",
    "strips of triangles",
    ended=(ply(USUAL, [[0, 2, 1, 3, 0, -1, 0, 3, 2]], name="tristrips"), 9),
    two=(ply(USUAL, [[0, 2, 1, 3, 0], [0, 3, 2]], ">", name="tristrips"), 9),
)
part(
    "ply",
    "comments in Latin-1, bytes behind",
    latin=(ply(USUAL, FACES, head="comment grün\ncomment TextureFile no.png\n") + b"end", 9),
)
part(
    "ply",
    "other elements and properties",
    edges=(hostile_files.edges_ply(1, 3), 9),
    normals=(ply(USUAL, FACES, more=b"\1\2", after="property short flags\n"), 9),
    texture=(
        ply(USUAL, SQUARE, more=b"\2" + bytes(8), after="property list uchar float texcoord\n"),
        9,
    ),
)
part("ply", "points alone", none=(ply(USUAL, []), "points but no faces; make a mesh"))
part("ply", "range grids", grid=(ply(USUAL, [[0]], name="range_grid"), "a range grid"))


# OFF
def off(name, vertex, face="", rows=SQUARE):
    lines = [name, f"4 {len(rows)} 6 # of each", ""]
    lines += [" ".join(map(str, point)) + vertex for point in POINTS]
    lines += [f"{len(row)} {' '.join(map(str, row))}{face}" for row in rows]
    return "\n".join(lines).encode()


def binary_off(name, more):
    data = name + np.array([4, 3, 6], ">i4").tobytes()
    data += b"".join(point.astype(">f4").tobytes() + bytes(4 * more) for point in POINTS)
    for row in SQUARE:
        data += np.array([len(row), *row, 1], ">i4").tobytes() + bytes(4)
    return data


part(
    "off",
    "other colours, normals, texture coordinates, comments, polygons",
    plain=(off("OFF", ""), 9),
    colours=(off("COFF", " 9 9 9 255", " 255 0 0 # red"), 9),
    normals=(off("# mine\nNOFF", " 0 0 1"), 9),
    all=(off("STCNOFF", " 0 0 1 1 1 1 1 0 0").replace(b"\n", b"\r\n"), 9),
    together=(off("\ufeffOFF", "").replace(b"OFF\n", b"OFF "), 9),
    bare=(off("", ""), 9),
)
part(
    "off",
    "binary",
    plain=(binary_off(b"OFF BINARY\n", 0), 9),
    coloured=(binary_off(b"CNOFF BINARY\n", 7), 9),
    cut=(binary_off(b"OFF BINARY\n", 0)[:-20], "it is cut off or damaged"),
)
part(
    "off",
    "more than three dimensions",
    four=(off("4OFF", " 1"), "it is a 4OFF, not of three dimensions"),
    many=(off("nOFF", " 1"), "it is a nOFF"),
)


# Grids of voxels
GRID = (np.arange(24).reshape(2, 3, 4) % 3).astype(np.uint8)


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def npz(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def binvox(version, more, values, shape=(2, 2, 2)):
    head = f"#binvox {version}\ndim {' '.join(map(str, shape))}\n{more}data\n"
    return head.encode() + b"".join(bytes([value, 1]) for value in values)


part(
    "npy",
    "any order of bytes and axes; whole numbers, fractions, true and false",
    columns=(npy(np.asfortranarray(GRID)), GRID),
    big=(npy(GRID.astype(">i8"), (2, 0)), GRID),
    halves=(npy(GRID.astype("<f2") / 2), GRID > 1),
    truth=(npy(GRID > 0), GRID > 0),
)
part(
    "npy",
    "complex numbers, objects, structures, texts, other than three axes",
    complex=(npy(GRID * 1j), "it holds complex128"),
    objects=(hostile_files.pickled_npy(0), "it holds object"),
    structure=(npy(np.zeros(3, "i4,i4")), "a grid has three axes"),
    axes=(npy(GRID[None]), r"an array of \(1, 2, 3, 4\); a grid has three axes"),
    version=(npy(GRID, (3, 0)), r"its format is \(3, 0\); save it by numpy.save"),
)
part(
    "npz",
    "compressed or not; of several arrays `labels`, or the first",
    named=(npz(np.savez_compressed, other=GRID[:1], labels=GRID), GRID),
    first=(npz(np.savez, other=GRID, more=GRID[:1]), GRID),
)
part(
    "binvox",
    "scale and place",
    told=(binvox(1, "translate 3 4 5\nscale 6\n", [1] * 8), (np.ones((2, 2, 2)), 3.0, (3, 4, 5))),
    plain=(binvox(1, "", [0] * 7 + [1]), (np.arange(8).reshape(2, 2, 2) > 6, 0.5, (0, 0, 0))),
)
part(
    "binvox",
    "version 2, whose values are labels",
    two=(binvox(2, "", range(8)), np.arange(8).reshape(2, 2, 2).transpose(0, 2, 1)),
)
part(
    "binvox",
    "sides that differ",
    flat=(binvox(1, "", [1] * 4, (1, 2, 2)), "its voxels are no cubes"),
)
