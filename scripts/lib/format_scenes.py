"""What GLB and 3MF may hold, added to `format_parts.PARTS`."""

import numpy as np

from scripts.lib import hostile_files, hostile_glb
from scripts.lib.format_parts import FACES, PARTS, POINTS, part
from scripts.lib.hostile_files import MESH_3MF


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
    few=(glb(METRES * np.array([1, 1, 0], "<f4"), sparse=([3], METRES[3:])), 9),
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


# 3MF
NONE: dict[str, list[bytes]] = {}
MAIN = "3D/3dmodel.model"
ITEM = "<build><item objectid='1'/></build>"


def three_mf(text=ITEM, mesh=MESH_3MF, given="", name=MAIN, kind="model", others=NONE):
    model = f"<model {given}><resources><object id='1' type='{kind}'>{mesh}</object></resources>"
    files = {name: [f"{model}{text}</model>".encode()], **others}
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
    item=(three_mf(f"<build><item {THERE}</build>", others={"3D/Objects/a.model": OTHER}), 9),
    component=(three_mf(whole(f"<component {THERE}"), others={"3D/Objects/a.model": OTHER}), 9),
    name=(three_mf(name="3D/pot.mod", others={"_rels/.rels": [RELS]}), 9),
)
part(
    "3mf",
    "supports for the printer, colours",
    support=(three_mf(kind="support"), "no mesh can be read of it"),
)
part(
    "3mf",
    "extensions that it requires",
    known=(needs(p="production", m="material"), 9),
    lattice=(needs(b="beamlattice"), "it needs the extension http.*/beamlattice/"),
    unknown=(three_mf(given="requiredextensions='zz'"), "it needs the extension zz"),
)
