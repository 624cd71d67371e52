"""Sherds as a scanner has them: of a pot whose walls are known."""

import functools

import numpy as np
import pytest
import trimesh

from scripts.lib import scans
from scripts.lib.scans import Faults
from voxgan_jax.geometry import surface

STEP = 2.0
INNER, OUTER, SIDE = 10.0, 13.0, 32
MATRIX = surface.frame((SIDE,) * 3, STEP, up="z")


@functools.cache
def labels():
    """A beaker of 26 voxels, its floor 3 thick, broken into two unequal halves."""
    d, h, w = np.indices((SIDE,) * 3)
    radius = np.hypot(d - 15.5, h - 15.5)
    clay = (radius < OUTER) & (w < 27) & ((radius > INNER) | (w > 23))
    return np.where(clay, np.where(d + 0.3 * h < 16, 1, 2), 0).astype(np.uint8)


@functools.cache
def scan(faults=Faults(), seed=0):  # noqa: B008 - it cannot change
    return scans.scan(labels(), 1, MATRIX, faults, np.random.default_rng(seed), faces=20_000)


def radii(mesh):
    """Of its vertices on the walls, in voxels: away from floor, lip and breaks."""
    place = (mesh.vertices - MATRIX[:3, 3]) @ np.linalg.inv(MATRIX[:3, :3]).T
    d, h, w = place.T
    kept = (w > 3) & (w < 20) & (d + 0.3 * h < 14)
    return np.hypot(d - 15.5, h - 15.5)[kept]


def test_walls_are_as_turned_and_the_sherd_is_that_fragment():
    sherd = scan()
    assert sherd.is_watertight and np.median(sherd.edges_unique_length) < 1.5
    found = radii(sherd)
    off = np.minimum(np.abs(found - INNER), np.abs(found - OUTER))
    # Voxels would stand off by half of one; a disc of them is a sixth wider than was asked.
    assert np.quantile(off, 0.95) < 0.2
    clay = (labels() == 1).sum() * STEP**3
    assert abs(sherd.volume) == pytest.approx(clay, rel=0.06)
    # What is nearer to the other half is not in it.
    place = (sherd.vertices - MATRIX[:3, 3]) @ np.linalg.inv(MATRIX[:3, :3]).T
    beyond = place[:, 0] + 0.3 * place[:, 1] - 15.9
    assert beyond.max() < 1.5 and np.quantile(beyond, 0.9) < 0.3


def test_breaks_are_rough_and_no_two_alike():
    one, other = scan(seed=1), scan(seed=2)
    assert abs(one.volume - other.volume) > 1.0
    place = (one.vertices - MATRIX[:3, 3]) @ np.linalg.inv(MATRIX[:3, :3]).T
    between = np.hypot(place[:, 0] - 15.5, place[:, 1] - 15.5)
    broken = (between > INNER + 0.7) & (between < OUTER - 0.7) & (place[:, 2] < 20)
    broken &= (place[:, 2] > 3) & (place[:, 1] > 15.5)
    across = (place[:, 0] + 0.3 * place[:, 1])[broken]
    assert 0.05 < np.std(across) < 0.6


@pytest.mark.parametrize(("noise", "least", "most"), [(0.1, 0.08, 0.12), (0.2, 0.16, 0.24)])
def test_noise_stands_off_the_walls_and_is_alike_nearby(noise, least, most):
    clean, noisy = scan(), scan(Faults(noise=noise))
    away = np.einsum("ij,ij->i", noisy.vertices - clean.vertices, clean.vertex_normals)
    assert least < np.std(away) < most
    first, second = clean.edges_unique.T
    assert np.corrcoef(away[first], away[second])[0, 1] > 0.25


def test_an_oval_pot_is_wider_one_way_than_across():
    round_, oval = radii(scan()), radii(scan(Faults(oval=0.04)))
    outer = oval > (INNER + OUTER) / 2
    spread = np.ptp(np.quantile(oval[outer], [0.02, 0.98])) / OUTER
    assert 0.015 < spread < 0.045
    still = round_[round_ > (INNER + OUTER) / 2]
    assert np.ptp(np.quantile(still, [0.02, 0.98])) / OUTER < 0.01


def test_worn_edges_are_round_and_walls_stay():
    sharp, worn = scan(), scan(Faults(wear=1.5))
    assert sharp.volume * 0.9 < worn.volume < sharp.volume * 0.998
    steep = [(mesh.face_adjacency_angles > np.radians(50)).sum() for mesh in (sharp, worn)]
    assert steep[1] < 0.3 * steep[0]
    off = np.minimum(np.abs(radii(worn) - INNER), np.abs(radii(worn) - OUTER))
    assert np.quantile(off, 0.9) < 0.2


def test_a_scan_from_outside_shows_no_inner_wall():
    seen = scan(Faults(one_sided=True))
    assert not seen.is_watertight
    assert radii(seen).min() > (INNER + OUTER) / 2
    whole = scan()
    assert 0.2 * whole.area < seen.area < 0.6 * whole.area


def test_what_is_drawn_lies_within_the_bounds_that_are_told():
    drawn = [scans.draw_faults(np.random.default_rng(seed)) for seed in range(300)]
    noise, oval, wear, one_sided = np.array(drawn, float).T
    assert 0.05 <= noise.min() < 0.06 and 0.19 < noise.max() <= 0.2
    assert oval.min() >= 0.01 and oval.max() <= 0.02
    assert wear.min() >= 0.3 and wear.max() <= 1.5
    assert 0.05 < one_sided.mean() < 0.16


def test_a_fragment_that_is_not_there():
    with pytest.raises(ValueError, match="no fragment 7"):
        scans.scan(labels(), 7, MATRIX, Faults(), np.random.default_rng(0))


def test_the_same_seed_gives_the_same_scan():
    one, other = (scan.__wrapped__(Faults(0.1, 0.01, 0.5), seed=3) for _ in range(2))
    assert isinstance(one, trimesh.Trimesh)
    np.testing.assert_array_equal(one.vertices, other.vertices)
