"""Scans as scanners leave them: specks, turntables, two sherds, faces the wrong way, far off."""

import numpy as np
import pytest
import trimesh
from trimesh.exchange.obj import export_obj
from turned_sherds import bellied

from voxgan_jax.geometry import connections
from voxgan_jax.scan import bodies, formats, mesh_files, origin, ply
from voxgan_jax.scan.source import Fault, ScanError


@pytest.fixture(scope="module")
def scan():
    return bellied(80)


def at(mesh, *place):
    moved = mesh.copy()
    moved.apply_translation(place)
    return moved


def joined(*meshes) -> trimesh.Trimesh:
    made = trimesh.util.concatenate(meshes)
    assert isinstance(made, trimesh.Trimesh)
    return made


def ball(radius=1.0):
    return trimesh.creation.icosphere(1, radius)


def cleaned(mesh, which=None):
    vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces, int)
    vertices, faces, known = bodies.cleaned(*mesh_files._merged(vertices, faces), which)
    return trimesh.Trimesh(vertices, faces, process=False), known


def specks(scan, count):
    """Balls around a scan, none nearer to it than 5 mm."""
    points = np.random.default_rng(1).uniform(-250, 250, (10 * count, 3))
    low, high = scan.bounds
    far = ((points < low - 6) | (points > high + 6)).any(axis=1)
    return [at(ball(0.7), *point) for point in points[far][:count]]


def test_a_whole_scan_stays_as_it_is(scan):
    made, known = cleaned(scan)
    assert len(made.faces) == len(scan.faces) and (made.triangles == scan.triangles).all()
    assert len(known.bodies) == 1 and known.notes == () and known.outward and not known.turned


@pytest.mark.parametrize(
    "kind", ["speck", "triangle", "long triangle", "200 specks", "triangle km"]
)
def test_dust_is_left_out_and_told_of(scan, kind):
    x, y, z = (scan.bounds[1] + 300).tolist()
    dust = {
        "speck": [at(ball(), x, y, z)],
        "triangle": [trimesh.Trimesh([[x, y, z], [x + 5, y, z], [x, y + 5, z]], [[0, 1, 2]])],
        # Of more than a hundredth of the area; but nothing of so few faces is a sherd.
        "long triangle": [trimesh.Trimesh([[x, y, z], [x + 400, y, z], [x, y, 0]], [[0, 1, 2]])],
        "200 specks": specks(scan, 200),
        "triangle km": [trimesh.Trimesh([[x, y, z], [1e6, y, z], [x, 1e6, z]], [[0, 1, 2]])],
    }[kind]
    made, known = cleaned(joined(scan, *dust))
    assert (made.triangles == scan.triangles).all()
    assert known.dust == len(dust) and len(known.bodies) == 1
    (note,) = known.notes
    assert note.startswith("left out as dust: ") and "of the area" in note


def test_what_touches_is_no_dust(scan):
    middle = scan.triangles_center[100]
    made, known = cleaned(joined(scan, at(ball(0.5), *middle)))
    assert known.dust == 0 and len(made.faces) == len(scan.faces) + 80 and len(known.bodies) == 1
    # What hangs on that is none either.
    made, known = cleaned(
        joined(scan, at(ball(0.5), *middle), at(ball(0.5), *(middle + 1)), at(ball(), 300, 0, 0))
    )
    assert known.dust == 1 and len(made.faces) == len(scan.faces) + 160


def soup(scan, error):
    """Triangles that share no corner, each corner moved by so much."""
    corners = np.asarray(scan.triangles).reshape(-1, 3)
    corners = corners + np.random.default_rng(2).normal(0, error, corners.shape)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def patches(scan, gap):
    """A scan in 150 shells, each moved by so much."""
    rng = np.random.default_rng(3)
    seeds = scan.triangles_center[rng.choice(len(scan.faces), 150, replace=False)]
    apart = np.linalg.norm(scan.triangles_center[:, None] - seeds, axis=2).argmin(axis=1)
    found = [scan.submesh([np.flatnonzero(apart == n)], append=True) for n in range(150)]
    return joined(*(at(shell, *rng.normal(0, gap, 3)) for shell in found if len(shell.faces)))


@pytest.mark.parametrize("made", [(soup, 0.0), (soup, 1e-4), (patches, 1e-3), (patches, 0.1)])
def test_triangles_and_shells_that_touch_are_one_body(scan, made):
    way, error = made
    whole = way(scan, error)
    kept, known = cleaned(whole)
    assert known.dust == 0 and len(known.bodies) == 1 and len(kept.faces) == len(whole.faces)
    kept, known = cleaned(joined(whole, at(ball(), 400, 0, 0)))
    assert known.dust == 1 and len(kept.faces) == len(whole.faces)


def test_two_walls_scanned_each_are_one_body(scan):
    facing = scan.face_normals @ (scan.centroid * [1, 1, 0])
    walls = [scan.submesh([np.flatnonzero(side > 30)], append=True) for side in (facing, -facing)]
    made, known = cleaned(joined(*walls))
    assert len(known.bodies) == 1 and known.dust == 0 and known.outward
    assert len(made.faces) == sum(len(wall.faces) for wall in walls)


def test_big_bodies_are_named_and_one_of_them_is_taken(scan):
    table = trimesh.creation.cylinder(200, 6)
    both = joined(scan, at(table, 0, 0, float(scan.bounds[0][2]) - 3.0))
    made, known = cleaned(both)
    assert len(made.faces) == len(both.faces) and [body.faces for body in known.bodies] == [
        len(table.faces),
        len(scan.faces),
    ]
    assert "2 bodies (1: 400 × 400 × 6 mm" in known.several and "--largest" in known.several
    assert known.bodies[0].share + known.bodies[1].share == pytest.approx(1)
    made, known = cleaned(both, 2)
    assert (made.triangles == scan.triangles).all() and known.taken == 2
    assert cleaned(both, 1)[0].volume == pytest.approx(table.volume)
    with pytest.raises(Fault, match="--body 3: it holds 2 bodies"):
        cleaned(both, 3)
    # A second sherd, and dust: what is big is counted without it.
    made, known = cleaned(joined(scan, at(scan, 200, 0, 0), *specks(scan, 5)), "all")
    assert len(known.bodies) == 2 and known.dust == 5 and known.taken is None


def turned_some(mesh, which):
    faces = np.array(mesh.faces)
    faces[which] = faces[which][:, ::-1]
    return trimesh.Trimesh(mesh.vertices, faces, process=False)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.8])
def test_faces_are_turned_outward_however_they_came(scan, share):
    which = np.random.default_rng(4).random(len(scan.faces)) < share
    made, known = cleaned(turned_some(scan, which))
    assert (made.triangles == scan.triangles).all()
    assert known.turned == which.sum() and known.outward
    # With a hole that does not hide on which side the clay is.
    hole = np.linalg.norm(scan.triangles_center - scan.triangles_center[0], axis=1) > 12
    leaky = trimesh.Trimesh(scan.vertices, scan.faces[hole], process=False)
    made, known = cleaned(turned_some(leaky, which[hole]))
    assert not leaky.is_watertight and known.outward
    assert (made.triangles == leaky.triangles).all()


def test_an_open_shell_comes_out_alike_and_is_said_to_be_unsure(scan):
    facing = scan.face_normals @ (scan.centroid * [1, 1, 0]) > 30
    shell = trimesh.Trimesh(scan.vertices, scan.faces[facing], process=False)
    made = [cleaned(mesh) for mesh in (shell, turned_some(shell, slice(None)))]
    assert (made[0][0].triangles == made[1][0].triangles).all()
    assert [known.outward for _, known in made] == [False, False]


def test_a_strip_that_has_one_side_alone_does_no_harm():
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rings = [
        np.stack([(9 + w * np.cos(turn / 2)) * f(turn) for f in (np.cos, np.sin)], 1)
        for w in (-1, 1)
    ]
    points = np.concatenate(
        [
            np.column_stack([ring, w * np.sin(turn / 2)])
            for ring, w in zip(rings, (-1, 1), strict=True)
        ]
    )
    a = np.arange(40)
    b = np.where(a < 39, a + 1, 40)
    c = np.where(a < 39, a + 41, 0)
    faces = np.concatenate([np.stack([a, b, a + 40], 1), np.stack([b, c, a + 40], 1)])
    strip = trimesh.Trimesh(points, faces, process=False)
    assert len(cleaned(strip)[0].faces) == 80


@pytest.mark.parametrize(
    "place", [(5e8, 4.649776e9, 0.0), (12e6, 0, 0), (0, 0, 1e6), (500_000, 4_649_776, 12)]
)
def test_far_from_the_origin_a_round_one_of_its_own_is_taken(scan, place):
    made, known = cleaned(at(scan, *place))
    assert any(known.origin) and np.abs(made.bounds).max() < 1000
    assert made.vertices + known.origin == pytest.approx(scan.vertices + place, abs=1e-5)
    assert np.abs(made.vertices.astype(np.float32) - made.vertices).max() < 1e-4
    assert known.notes[0].startswith("all coordinates of the results are about a local origin")
    near, known = cleaned(at(scan, 900, -5000, 40))
    assert not any(known.origin) and near.bounds[1][2] > 40


def test_what_single_precision_has_lost_so_far_off_is_told(scan):
    far = at(scan, 500_000, 4_649_776, 0)
    rough = trimesh.Trimesh(far.vertices.astype(np.float32), far.faces, process=False)
    assert "on steps of 0.5 mm" in cleaned(rough)[1].notes[-1]
    assert cleaned(far)[1].steps == 0 and origin.steps(scan.vertices) == 0


def test_files_far_off_are_read_about_their_origin_in_every_unit(scan, tmp_path):
    far = at(scan, 500_000, 4_649_776, 120)
    (tmp_path / "a.ply").write_bytes(ply.as_ply(far.vertices, far.faces))
    (tmp_path / "a.obj").write_text(export_obj(far, digits=6))
    for name in ("a.ply", "a.obj"):
        for unit, factor in (("mm", 1), ("m", 1000)):
            mesh, _, known = formats.read_mesh(tmp_path / name, unit)
            whole = mesh.vertices[mesh.faces] + known.origin
            assert whole == pytest.approx(factor * far.triangles, abs=1e-5 * factor)
            assert mesh.is_volume and mesh.volume == pytest.approx(
                scan.volume * factor**3, rel=1e-4
            )
    # The box of a pot that is told stands about the file's own origin.
    with pytest.raises(ScanError, match="out of the pot's box"):
        formats.read(tmp_path / "a.ply", height_mm=200.0, diameter_mm=180.0)
    found = formats.read(tmp_path / "a.ply", longest=40)
    assert found.labels.any() and found.contents.origin == (500_000.0, 4_650_000.0, 0.0)
    assert np.abs(found.to_mm[:3, 3]).max() < 1000


def test_voxels_far_off_lie_about_a_local_origin_too(tmp_path):
    head = b"#binvox 1\ndim 4 4 4\ntranslate 500000 4649776 0\nscale 3\ndata\n"
    (tmp_path / "a.binvox").write_bytes(head + bytes([1, 64]))
    found = formats.read(tmp_path / "a.binvox")
    assert found.contents.origin == (500_000.0, 4_649_780.0, 0.0)
    corner = found.to_mm[:3] @ [0, 0, 0, 1] + found.contents.origin
    assert np.abs(corner - [500_001.5, 4_649_777.5, 1.5]).max() < 4


def test_edges_with_one_two_and_three_faces():
    faces = np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6], [5, 6, 7], [5, 6, 8]])
    found = connections.edges(faces)
    assert found.pairs.tolist() == [[0, 1]] and found.alike.tolist() == [False]
    assert len(found.border) == 4 + 6
