"""How a missing piece is put in: as it is, by its bodies, or split into parts."""

from typing import Any

import manifold3d
import numpy as np
import pytest
import trimesh

from voxgan_jax.geometry import solids
from voxgan_jax.report import splits

STEP = 4.0
FRAME: Any = trimesh.transformations.rotation_matrix(0.7, (1.0, 2.0, 0.5), (10.0, 0.0, 5.0))


def mesh(body):
    return trimesh.Trimesh(*solids.arrays(body), process=False)


def jar(turn):
    """The missing piece and the sherd of a hollow ball: a belt broken square to its wall, 30° up
    and down, round the axis by `turn` degrees; anywhere in space."""
    ball = manifold3d.Manifold.sphere(50, 64) - manifold3d.Manifold.sphere(40, 64)
    reach = 100 * np.tan(np.pi / 6)
    wedge = manifold3d.CrossSection([np.array([[0, 0], [100, -reach], [100, reach]])]).revolve(
        64, turn
    )
    place = np.linalg.inv(FRAME)[:3]
    return (ball - wedge).transform(place), (ball ^ wedge).transform(place)


def found(turn):
    piece, sherd = jar(turn)
    return splits.put_in(mesh(piece), mesh(sherd), FRAME, STEP)


def slides(parts, sherd):
    """The greatest share of a part that anything is in the way of, on its way out from the last."""
    bodies = [solids.solid(part.mesh.vertices, part.mesh.faces) for part in parts]
    worst = 0.0
    for number, (part, body) in enumerate(zip(parts, bodies, strict=True)):
        fixed = sum(bodies[:number], sherd)
        for far in (3, 10, 25, 50, 90):
            met = body.translate(tuple(-far * part.way)) ^ fixed
            worst = max(worst, met.volume() / body.volume())
    return worst


def test_a_piece_that_slides_in_stays_whole():
    piece, sherd = jar(120)
    share, parts = found(120)
    assert share == 0 and len(parts) == 1
    assert parts[0].mesh.volume == pytest.approx(piece.volume(), rel=1e-6)
    assert slides(parts, sherd) < 0.005
    # Along the sherd's middle, 60° round the axis from x.
    middle = np.array([0.5, np.sqrt(0.75), 0.0]) @ FRAME[:3, :3]
    assert parts[0].way @ middle > np.cos(np.deg2rad(30))


def test_round_more_than_half_of_the_pot_it_is_split_in_two():
    piece, sherd = jar(270)
    share, parts = found(270)
    assert share > 0.1 and len(parts) == 2
    assert all(part.mesh.is_volume and part.mesh.body_count == 1 for part in parts)
    volumes = [part.mesh.volume for part in parts]
    assert sum(volumes) == pytest.approx(piece.volume(), rel=1e-4) and min(volumes) > 1e4
    assert slides(parts, sherd) < 0.01
    # The check sees a wrong way.
    assert slides([part._replace(way=-part.way) for part in parts], sherd) > 0.05


def test_separate_bodies_are_put_in_one_by_one():
    share, parts = found(360)
    assert share == 0 and len(parts) == 2
    ups = sorted(float(part.way @ FRAME[2, :3]) for part in parts)
    assert ups == pytest.approx([-1, 1], abs=0.1)


def test_what_is_shut_in_has_no_parts():
    core = trimesh.creation.box((40.0, 40.0, 40.0))
    shell: Any = trimesh.util.concatenate([trimesh.creation.box((60.0,) * 3), core])
    core.apply_scale(0.95)
    share, parts = splits.put_in(core, shell, np.eye(4), STEP)
    assert share > 0.5 and parts == ()


def test_points_are_barred_by_what_lies_ahead():
    x, y = np.mgrid[:41, :41].reshape(2, -1).astype(float)
    points = np.stack([x, y, 0 * x], 1)
    fixed = points[x > 20] + [0.0, 0.0, 30.0]
    up = np.array([0.0, 0.0, 1.0])
    met = splits.barred(points, fixed, up, 4.0)
    assert met[(x > 23) & (x < 37) & (y > 3) & (y < 37)].all() and not met[x < 20].any()
    assert not splits.barred(points, fixed, -up, 4.0).any()
