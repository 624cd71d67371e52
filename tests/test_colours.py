"""Colours of scans: read of each format, and kept through all that is done with a scan."""

import base64
import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from restored_bowl import restored
from scipy.spatial import KDTree
from test_scene import unpacked
from trimesh.visual import TextureVisuals, color
from trimesh.visual.material import PBRMaterial
from turned_sherds import cone

from voxgan_jax.inference.answer import GIVEN
from voxgan_jax.report import meshes, page
from voxgan_jax.scan import colours, formats

SIDE = 64
"""Pixels of a picture."""


def dyed(points):
    """The colours that these tests give to points of `cone`, whatever happens to the mesh."""
    shares = (np.asarray(points) - [40, -45, 20]) / [45, 90, 60]
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)


def assert_dyed(found, points, most=1):
    """Numbers are rounded on their way into a file."""
    assert np.abs(found[:, :3].astype(int) - dyed(points)).max() <= most


def picture():
    """The red of each pixel is its column, the green its row; and no two are alike."""
    row, column = np.indices((SIDE, SIDE))
    return np.stack([4 * column, 4 * row, np.full_like(row, 7)], axis=-1).astype(np.uint8)


def mapped(mesh):
    """Where in the picture each vertex lies, in its middle; and what is there."""
    cell = np.stack([np.arange(len(mesh.vertices)) % SIDE, np.arange(len(mesh.vertices)) % 61], 1)
    uv = np.stack([cell[:, 0], SIDE - 1 - cell[:, 1]], axis=1) / (SIDE - 1)
    return uv, picture()[cell[:, 1], cell[:, 0]]


def png():
    made = io.BytesIO()
    Image.fromarray(picture()).save(made, "PNG")
    return made.getvalue()


def written(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def ply(mesh, kind="uchar", scale=1.0):
    """A PLY file in text."""
    head = ["ply", "format ascii 1.0", f"element vertex {len(mesh.vertices)}"]
    head += [f"property double {axis}" for axis in "xyz"]
    head += [f"property {kind} {name}" for name in ("red", "green", "blue")]
    head += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices"]
    rows = np.column_stack([mesh.vertices, dyed(mesh.vertices) * float(scale)]).tolist()
    lines = [" ".join(f"{value:.12g}" for value in row) for row in rows]
    lines += [f"3 {a} {b} {c}" for a, b, c in mesh.faces]
    return "\n".join([*head, "end_header", *lines, ""])


def obj(mesh, uv, library="sherd.mtl"):
    """An OBJ file with a picture."""
    lines = [f"mtllib {library}", *(f"v {x} {y} {z}" for x, y, z in mesh.vertices)]
    lines += [f"vt {u:.9f} {v:.9f}" for u, v in uv]
    lines += ["usemtl clay", *(f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in mesh.faces + 1)]
    return "\n".join(lines) + "\n"


def look(mesh) -> Any:
    """What a mesh of any kind shows."""
    return mesh.visual


def colours_of(path, **options) -> Any:
    """What was read: its vertices in the file's coordinates, their colours, and notes."""
    mesh, _, contents = formats.read_mesh(path, **options)
    found = np.asarray(look(mesh).vertex_colors) if look(mesh).kind == "vertex" else None
    return mesh.vertices / mesh.metadata["unit_mm"] + contents.origin, found, contents.notes


@pytest.mark.parametrize(("kind", "scale"), [("uchar", 1), ("ushort", 257), ("float", 1 / 255)])
def test_of_vertices_in_ply(tmp_path, kind, scale):
    points, found, notes = colours_of(written(tmp_path / "a.PLY", ply(cone(), kind, scale)))
    assert notes == ()
    assert_dyed(found, points)


def test_of_faces_in_ply(tmp_path):
    mesh = cone()
    look(mesh).face_colors = dyed(mesh.triangles_center)
    points, found, _ = colours_of(written(tmp_path / "a.ply", mesh.export(file_type="ply")))
    # The mean of the faces at a vertex, so nearly its own.
    assert_dyed(found, points, 11)


def test_of_vertices_in_obj_and_off(tmp_path):
    mesh = cone()
    rows = np.column_stack([mesh.vertices, dyed(mesh.vertices)])
    faces = [f"{a} {b} {c}" for a, b, c in mesh.faces + 1]
    text = [f"v {x} {y} {z} {r / 255} {g / 255} {b / 255}" for x, y, z, r, g, b in rows.tolist()]
    points, found, _ = colours_of(
        written(tmp_path / "a.obj", "\n".join([*text, *(f"f {face}" for face in faces)]))
    )
    assert_dyed(found, points)
    text = ["COFF", f"{len(rows)} {len(faces)} 0"]
    text += [f"{x} {y} {z} {r:.0f} {g:.0f} {b:.0f} 255" for x, y, z, r, g, b in rows.tolist()]
    text += [f"3 {a} {b} {c}" for a, b, c in mesh.faces]
    points, found, _ = colours_of(written(tmp_path / "a.off", "\n".join(text)))
    assert_dyed(found, points)


def place_of(points, mesh):
    """Which vertex of a mesh each point is."""
    away, number = KDTree(mesh.vertices).query(points)
    assert away.max() < 1e-6
    return number


@pytest.mark.parametrize(
    "named", ["clay.png", r"C:\scans 2026\clay.png", "/home/other/clay.png", "-bm 1.0 clay.png"]
)
def test_of_a_picture_beside_an_obj(tmp_path, named):
    mesh = cone()
    uv, wanted = mapped(mesh)
    written(tmp_path / "sherd.mtl", f"newmtl clay\nKd 1 1 1\nmap_Kd {named}\n")
    written(tmp_path / "clay.png", png())
    points, found, notes = colours_of(written(tmp_path / "sherd.obj", obj(mesh, uv)))
    assert notes == ()
    np.testing.assert_array_equal(found[:, :3], wanted[place_of(points, mesh)])


def test_a_picture_in_a_folder_below_is_found_and_none_outside(tmp_path):
    mesh = cone()
    uv, wanted = mapped(mesh)
    folder = tmp_path / "scan"
    (folder / "pictures").mkdir(parents=True)
    written(folder / "sherd.mtl", "newmtl clay\nmap_Kd pictures\\clay.png\n")
    written(folder / "pictures" / "clay.png", png())
    path = written(folder / "sherd.obj", obj(mesh, uv))
    points, found, notes = colours_of(path)
    np.testing.assert_array_equal(found[:, :3], wanted[place_of(points, mesh)])
    (folder / "pictures" / "clay.png").rename(tmp_path / "clay.png")
    for named in ("../clay.png", tmp_path / "clay.png", "link.png"):
        (folder / "link.png").unlink(missing_ok=True)
        (folder / "link.png").symlink_to(tmp_path / "clay.png")
        written(folder / "sherd.mtl", f"newmtl clay\nmap_Kd {named}\n")
        _, found, notes = colours_of(path)
        assert found is None
        (note,) = notes
        assert f"no {str(named).rpartition('/')[2]} beside it" in note


def test_what_is_not_beside_an_obj_or_is_no_picture_is_a_note(tmp_path):
    mesh = cone()
    path = written(tmp_path / "sherd.obj", obj(mesh, mapped(mesh)[0]))
    points, found, notes = colours_of(path)
    assert len(points) == len(mesh.vertices) and found is None
    assert notes == ("its colours are not all there: no sherd.mtl beside it that can be read",)
    written(tmp_path / "sherd.mtl", "newmtl clay\nmap_Kd clay.png\n")
    huge = b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    )
    for data, said in [
        (b"no picture", "no clay.png beside it that can be read"),
        (huge + _chunk(b"IDAT", b"") + _chunk(b"IEND", b""), "no clay.png beside it"),
        (png()[:-40], "its colours are left out, as they cannot be read ("),
    ]:
        written(tmp_path / "clay.png", data)
        points, found, (note,) = colours_of(path)
        assert len(points) == len(mesh.vertices) and found is None and said in note


def _chunk(name, data):
    """Of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_of_a_picture_in_glb_and_where_its_scene_puts_it(tmp_path):
    mesh = cone()
    uv, wanted = mapped(mesh)
    material = PBRMaterial(baseColorTexture=Image.fromarray(picture()))
    part = trimesh.Trimesh(mesh.vertices / 1000, mesh.faces, process=False)
    part.visual = TextureVisuals(uv=uv, material=material)
    scene = trimesh.Scene()
    turned: Any = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3], [0.1, 0, 0])
    scene.add_geometry(part, transform=turned)
    path = written(tmp_path / "a.glb", scene.export(file_type="glb"))
    points, found, notes = colours_of(path)
    assert notes == ()
    there = trimesh.Trimesh(part.vertices, process=False).apply_transform(turned)
    np.testing.assert_array_equal(found[:, :3], wanted[place_of(points, there)])


def wide(data, rows):
    """A GLB file whose COLOR_0 is of 16 bits, as Blender writes it, in place of 8."""
    size = struct.unpack("<I", data[12:16])[0]
    head, body = json.loads(data[20 : 20 + size]), data[28 + size :]
    number = head["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]
    body += b"\0" * (-len(body) % 4)
    view = {"buffer": 0, "byteOffset": len(body), "byteLength": rows.nbytes}
    head["bufferViews"].append(view)
    told = head["accessors"][number]
    told.update(componentType=5123, bufferView=len(head["bufferViews"]) - 1)
    del told["min"], told["max"]
    body += rows.astype("<u2").tobytes()
    head["buffers"][0]["byteLength"] = len(body)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I", len(text)) + b"JSON" + text + struct.pack("<I", len(body)) + b"BIN\0"
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks) + len(body)) + chunks + body


@pytest.mark.parametrize("bits", [8, 16])
def test_of_vertices_in_glb_are_linear(tmp_path, bits):
    mesh = cone()
    linear = color.srgb_to_linear(dyed(mesh.vertices) / 255)
    part = trimesh.Trimesh(mesh.vertices / 1000, mesh.faces, process=False)
    look(part).vertex_colors = np.rint(255 * linear).astype(np.uint8)
    data = part.export(file_type="glb")
    if bits == 16:
        rows = np.column_stack([linear, np.ones(len(linear))])
        data = wide(data, np.rint(65_535 * rows).astype(np.uint16))
    points, found, notes = colours_of(written(tmp_path / "a.glb", data))
    assert notes == ()
    off = np.abs(found[:, :3].astype(int) - dyed(1000 * points))
    # Dark colours lie far apart in 8 linear bits.
    assert off.max() <= (1 if bits == 16 else 7) and off.mean() < 1


def test_they_survive_dust_double_corners_and_a_far_origin(tmp_path):
    mesh = cone()
    soup = trimesh.Trimesh(
        mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3), process=False
    )
    speck = trimesh.creation.icosphere(subdivisions=0, radius=1.0)
    speck.apply_translation([300, 0, 0])
    both = trimesh.util.concatenate([soup, speck])
    points, found, notes = colours_of(written(tmp_path / "a.ply", ply(both)))
    assert len(points) == len(mesh.vertices) and len(notes) == 1 and "dust" in notes[0]
    assert_dyed(found, points)
    data = ply(mesh).split("\n")
    first = data.index("end_header") + 1
    for number in range(len(mesh.vertices)):
        x, *rest = data[first + number].split()
        data[first + number] = " ".join([f"{float(x) + 500_000:.12g}", *rest])
    points, found, notes = colours_of(written(tmp_path / "b.ply", "\n".join(data)))
    assert "local origin" in notes[0]
    assert_dyed(found, points - [500_000, 0, 0])


def test_a_scan_of_one_colour_has_none(tmp_path):
    mesh = cone()
    look(mesh).vertex_colors = np.full((len(mesh.vertices), 4), 200, np.uint8)
    _, found, notes = colours_of(written(tmp_path / "a.ply", mesh.export(file_type="ply")))
    assert found is None and notes == ()


def test_without_colours_trimesh_is_not_asked(tmp_path, monkeypatch):
    mesh = cone()
    monkeypatch.setattr(colours, "read", None)
    for ending in ("ply", "obj", "stl", "off", "glb"):
        path = written(tmp_path / f"a.{ending}", mesh.export(file_type=ending))
        assert colours_of(path)[1:] == (None, ())


def green(points):
    """Green that grows with x, as no label has it."""
    share = np.clip(np.asarray(points)[:, 0] / 120, 0, 1)
    return np.stack([20 + 0 * share, 120 + 130 * share, 40 + 0 * share], 1).astype(np.uint8)


@pytest.fixture(scope="module")
def bowl():
    return restored(green)


def dyes(group):
    return np.frombuffer(base64.b64decode(group["colours"]), np.uint8).reshape(-1, 3).astype(int)


def test_the_view_has_them_where_the_sherd_is_and_only_there(bowl):
    told = page.scene_of(bowl)
    parts = {part["id"]: part for part in told["parts"]}
    for name in ("pot", "original"):
        corners, faces = unpacked(parts[name])
        of_sherd = np.unique(faces[0])
        found = dyes(parts[name]["groups"][0])
        assert len(found) == len(corners)
        # The nearest vertex of the scan lies within half a voxel or so.
        assert np.abs(found - green(corners))[of_sherd].max() <= 8
    assert parts["pot"]["groups"][0]["label"] == GIVEN
    others = [*parts["pot"]["groups"][1:], *parts["missing"]["groups"]]
    others += parts["hypothesis-1"]["groups"]
    assert len(others) == 4 and not any("colours" in group for group in others)
    assert "Colours of the scan" in page.page(bowl)


def test_a_view_without_them_is_what_it_was():
    plain = restored()
    assert '"colours"' not in json.dumps(page.scene_of(plain))
    assert "Colours of the scan" not in page.page(plain)


def test_the_glb_of_the_pot_has_them_on_the_sherd(bowl, tmp_path):
    (path,) = meshes.write(tmp_path / "a", ["glb"], np.zeros((1, 1, 1), np.uint8), bowl.surfaces)
    found = trimesh.load_scene(path, process=False).geometry
    assert set(found) == set(meshes.NAMES.values())
    given = found["given"]
    assert given.visual.material.main_color.tolist() == [255] * 4
    linear = given.visual.vertex_attributes["color"][:, :3]
    shown = np.rint(255 * color.linear_to_srgb(linear / 255))
    off = np.abs(shown - green(1000 * given.vertices))
    # The nearest vertex of the scan, in 8 linear bits.
    assert off.max() <= 10 and off.mean() < 3
    for name in ("inferred", "uncertain"):
        assert "color" not in found[name].visual.vertex_attributes


def test_several_loose_sherds_keep_theirs(bowl):
    one, other = bowl.surfaces.original, bowl.surfaces.original.copy()
    both = trimesh.util.concatenate([one, other.apply_translation([0, 0, 500])])
    assert len(look(both).vertex_colors) == 2 * len(one.vertices)
    np.testing.assert_array_equal(look(both).vertex_colors[-5:], look(one).vertex_colors[-5:])
