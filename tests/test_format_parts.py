"""What each format may hold beside plain triangles: read wholly, or refused by name.

Each row of the table in docs/formats.md has its cases here, under the same words.
"""

import io
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import vox_bytes

from scripts.lib import hostile_files, hostile_glb
from scripts.lib.hostile_files import ITS_FACES, MESH_3MF, TETRAHEDRON
from voxgan_jax.scan import formats, mesh_files, threemf

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
    "colours and weights behind coordinates, points, lines, groups, materials",
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
    "comments in Latin-1, textures that are not there, bytes behind",
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


# GLB
def glb(points, parts=((4, FACES),), *, head=(), accessor=(), node=(), sparse=None):
    """A tetrahedron; `parts` have the modes of their corners. The rest changes its tables."""
    corners = [np.array(some, "<u2").ravel() for _, some in parts]
    few = [np.array(sparse[0], "<u2"), np.array(sparse[1], "<f4")] if sparse else []
    data, views = b"", []
    for array in [points, *corners, *few]:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
        data += array.tobytes() + bytes(-array.nbytes % 4)
    kinds = {"f4": 5126, "i2": 5122, "u2": 5123, "i1": 5120, "u1": 5121}
    place = {"bufferView": 0, "componentType": kinds[points.dtype.str[1:]], "type": "VEC3"}
    place |= {"count": len(points), **dict(accessor)}
    if sparse:
        indices = {"bufferView": len(views) - 2, "componentType": 5123}
        values = {"bufferView": len(views) - 1}
        place["sparse"] = {"count": len(few[0]), "indices": indices, "values": values}
    orders = [
        {"bufferView": 1 + n, "componentType": 5123, "count": some.size, "type": "SCALAR"}
        for n, some in enumerate(corners)
    ]
    primitives = [
        {"attributes": {"POSITION": 0}, "indices": 1 + n, "mode": mode}
        for n, (mode, _) in enumerate(parts)
    ]
    tables = {
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": views,
        "accessors": [{name: told for name, told in place.items() if told is not None}, *orders],
        "meshes": [{"primitives": primitives}],
        "nodes": [{"mesh": 0, **dict(node)}],
        "scenes": [{"nodes": [0]}],
    }
    return hostile_glb.glb({**tables, **dict(head)}, data)


METRES = (POINTS / 1000).astype("<f4")
NEEDED = "extensionsRequired"


def nodes(*told, **more):
    return glb(METRES, head={"nodes": told, "scenes": [{"nodes": [0]}], **more})


part(
    "glb",
    "whole numbers for coordinates, as they are or normalized",
    shorts=(glb(POINTS.astype("<i2"), node={"scale": [1e-3] * 3}), 9),
    normalized=(
        glb(
            (POINTS * 7281).astype("<u2"),
            accessor={"normalized": True},
            node={"scale": [0.009 * 65535 / 65529] * 3},
            head={NEEDED: ["KHR_mesh_quantization"]},
        ),
        9,
    ),
    signed=(
        glb(
            (POINTS * 14).astype("<i1"),
            accessor={"normalized": True},
            node={"scale": [0.009 * 127 / 126] * 3},
        ),
        9,
    ),
)
part(
    "glb",
    "sparse accessors",
    few=(glb(METRES * np.float32([1, 1, 0]), sparse=([3], METRES[3:])), 9),
    all=(glb(METRES, accessor={"bufferView": None}, sparse=([1, 2, 3], METRES[1:])), 9),
)
part(
    "glb",
    "strips and fans; points and lines are left out",
    strip=(glb(METRES, [(5, [0, 2, 1, 3, 0, 2])]), 9),
    fan=(glb(METRES, [(6, [0, 2, 1, 3, 2]), (4, [1, 2, 3]), (3, [0, 1, 2]), (0, [3])]), 9),
    lines=(glb(METRES, [(3, [0, 1, 2])]), "no mesh can be read of it"),
)
HALF = 0.5**0.5
part(
    "glb",
    "nodes in nodes, moved by a matrix or by translation, rotation and scale",
    matrix=(
        nodes(
            {"children": [1], "matrix": [2, 0, 0, 0, *[0, 2, 0, 0], *[0, 0, 2, 0], *[1, 1, 1, 1]]},
            {"mesh": 0, "translation": [5, 6, 7], "rotation": [HALF, 0, 0, HALF]},
        ),
        18,
    ),
    mirror=(nodes({"mesh": 0, "scale": [-1, 1, 1]}), 9),
)
TWICE, SCENES = {"mesh": 0, "scale": [2, 2, 2]}, [{"nodes": [0]}, {"nodes": [1]}]
part(
    "glb",
    "several scenes: the one that it shows, or the first",
    second=(nodes(TWICE, {"mesh": 0}, scene=1, scenes=SCENES), 9),
    first=(nodes({"mesh": 0}, TWICE, scenes=SCENES), 9),
    none=(nodes(TWICE, scenes=[]), 18),
)
part(
    "glb",
    "compression by Draco or meshopt",
    draco=(hostile_glb.compressed_glb(1), 'KHR_draco_mesh_compression; .*"npx @gltf-transform/cli'),
    meshopt=(glb(METRES, head={NEEDED: ["EXT_meshopt_compression"]}), "by EXT_meshopt_compression"),
)
part(
    "glb",
    "other extensions that it requires, or copies by `EXT_mesh_gpu_instancing`",
    looks=(glb(METRES, head={NEEDED: ["KHR_materials_unlit", "KHR_texture_transform"]}), 9),
    unknown=(glb(METRES, head={NEEDED: ["ACME_gaussians"]}), "it needs ACME_gaussians, which is"),
    copies=(
        glb(METRES, head={"extensionsUsed": ["EXT_mesh_gpu_instancing"]}),
        "needs EXT_mesh_gpu_instancing",
    ),
)
part(
    "glb",
    "skeletons and morph targets that are in effect",
    skin=(glb(METRES, node={"skin": 0}), "bent by a skeleton or morph targets"),
    morph=(glb(METRES, node={"weights": [0.5]}), "bent by a skeleton or morph targets"),
    rest=(glb(METRES, node={"weights": [0.0]}), 9),
)
part(
    "glb",
    "data outside of the file, or in text",
    outside=(glb(METRES, head={"buffers": [{"byteLength": 9, "uri": "a.bin"}]}), "lie elsewhere"),
)
part(
    "glb",
    "glTF 1.0",
    old=(b"glTF\1\0\0\0" + glb(METRES)[8:], "version 1; export it as glTF 2.0"),
)


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
    "colours, normals, texture coordinates, comments, polygons",
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


# 3MF
MAIN = "3D/3dmodel.model"
ITEM = "<build><item objectid='1'/></build>"


def three_mf(text=ITEM, mesh=MESH_3MF, given="", name=MAIN, kind="model", **more):
    model = f"<model {given}><resources><object id='1' type='{kind}'>{mesh}</object></resources>"
    files = {name: [f"{model}{text}</model>".encode()], **more}
    return hostile_files.zipped(**files)


def item(more):
    return f"<build><item objectid='1' {more}/></build>"


MOVED = "<component objectid='1' transform='0 1 0 1 0 0 0 0 1 5 5 5'/>"
OTHER = [f"<model><resources><object id='7'>{MESH_3MF}</object></resources></model>".encode()]
SCHEMA = "http://schemas.microsoft.com/3dmanufacturing"
RELS = f"<a><Relationship Target='/3D/pot.mod' Type='{SCHEMA}/2013/01/3dmodel'/></a>".encode()


def whole(component, more=""):
    """A build of an object that is made of a component."""
    made = f"<resources><object id='2'><components>{component}</components></object></resources>"
    return f"{made}<build><item objectid='2' {more}/></build>"


def needs(**prefixes):
    names = " ".join(f"xmlns:{key}='{SCHEMA}/{name}/2015/02'" for key, name in prefixes.items())
    return three_mf(given=f"requiredextensions='{' '.join(prefixes)}' {names}")


for unit, mm in (("micron", 1e-3), ("millimeter", 1), ("centimeter", 10), ("inch", 25.4)):
    PARTS.setdefault(("3mf", "units"), {})[unit] = (three_mf(given=f"unit='{unit}'"), 9 * mm)
PARTS["3mf", "units"] |= {
    "foot": (three_mf(given="unit='foot'"), 9 * 304.8),
    "meter": (three_mf(given="unit='meter'"), 9000),
    "none": (three_mf(given="unit='cubit'"), "its unit 'cubit' is none of micron"),
}
part(
    "3mf",
    "objects made of objects, moved and mirrored",
    moved=(three_mf(whole(MOVED, "transform='2 0 0 0 2 0 0 0 2 0 0 0'")), 18),
    none=(three_mf("<build><item objectid='3'/></build>"), "an object '3' that it does not have"),
)
THERE = "objectid='7' p:path='/3D/Objects/A.model'/>"
part(
    "3mf",
    "items and components in other parts of the file, a model of another name",
    item=(three_mf(f"<build><item {THERE}</build>", **{"3D/Objects/a.model": OTHER}), 9),
    component=(three_mf(whole(f"<component {THERE}"), **{"3D/Objects/a.model": OTHER}), 9),
    name=(three_mf(name="3D/pot.mod", **{"_rels/.rels": [RELS]}), 9),
)
part(
    "3mf",
    "supports for the printer",
    support=(three_mf(kind="support"), "no mesh can be read of it"),
)
part(
    "3mf",
    "extensions that it requires",
    known=(needs(p="production", m="material"), 9),
    lattice=(needs(b="beamlattice"), "it needs the extension http.*/beamlattice/"),
    unknown=(three_mf(given="requiredextensions='zz'"), "it needs the extension zz"),
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
SCENE = np.zeros((6, 2, 3), np.uint8)
SCENE[[0, 1, 5, 5], [0, 1, 0, 0], [0, 1, 0, 2]] = 7, 8, 9, 10
part(
    "vox",
    "several models, turned and moved by a scene, hidden ones, too",
    scene=(vox_bytes.scene(), SCENE),
    broken=(vox_bytes.scene()[:-1], "byte "),
)


@pytest.mark.parametrize(
    ("suffix", "words", "name"),
    [(*key, name) for key, cases in PARTS.items() for name in cases],
    ids=lambda value: str(value)[:30],
)
def test_a_part_of_a_format_is_read_or_refused_by_name(suffix, words, name, tmp_path):
    data, expected = PARTS[suffix, words][name]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    known = formats.FORMATS[f".{suffix}"]

    def read():
        return (
            mesh_files.read(known.parse, str(path), path) if known.is_mesh else formats.read(path)
        )

    if not isinstance(expected, str) and not known.is_mesh:
        grid, *place = expected if isinstance(expected, tuple) else (expected,)
        found = known.parse(data)
        np.testing.assert_array_equal(found[0], grid)
        assert found[0].dtype == np.uint8
        for told, wanted in zip(found[1:], place, strict=False):
            np.testing.assert_allclose(told, wanted)
        return
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=rf"a\.{suffix}: .*{expected}"):
            read()
        return
    vertices, faces, unit = read()[:3]
    vertices = vertices * (known.unit or threemf.UNITS[unit])
    a, b, c = (vertices - vertices.mean(0))[faces].transpose(1, 0, 2)
    assert len(vertices) == len(faces) == 4
    np.testing.assert_allclose(np.ptp(vertices, axis=0), expected, rtol=1e-4)
    # All turned outwards.
    volume = (np.cross(b - a, c - a) * a).sum() / 6
    np.testing.assert_allclose(volume, expected**3 / 6, rtol=1e-4)


def test_the_table_in_the_docs_has_these_rows():
    text = (pathlib.Path(__file__).parents[1] / "docs/formats.md").read_text("utf-8")
    rows = re.findall(r"^\| `\.(\w+)` \| (.*?) \| (?:read|left out|refused)", text, re.MULTILINE)
    assert sorted(rows) == sorted(PARTS)
