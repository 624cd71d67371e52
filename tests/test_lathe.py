"""Half sections turned: voxels at any resolution, and meshes that are exact, sharp and closed."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage
from turned_solids import BOWL, ball, polygon, sampled, shell, voxels

from voxgan_jax.geometry import half_section, lathe, surface

STEP = 5.0
FRAME = surface.frame((64, 64, 64), STEP, up="z")
SOLIDS = {
    "bowl": polygon(*BOWL),
    "shell": shell(31.7, 21.3, 2.1),
    "ring": ball(31.3, 6.3, 17.2),
    "thin ring": ball(31.3, 2.3, 17.2),
}


def height_radius(mesh):
    """A mesh's vertices as heights in the grid and radii, in voxels."""
    indices = np.c_[mesh.vertices, np.ones(len(mesh.vertices))] @ np.linalg.inv(FRAME).T
    return indices[:, 2], np.hypot(indices[:, 0] - 31.5, indices[:, 1] - 31.5)


def middles(mesh, parts=6):
    """Points on all of a mesh's facets."""
    share = np.stack(np.meshgrid(*[np.arange(parts + 1) / parts] * 2), -1).reshape(-1, 2)
    share = share[share.sum(1) <= 1]
    corners = mesh.vertices[mesh.faces]
    weights = np.c_[1 - share.sum(1), share]
    return np.einsum("pk,fkc->fpc", weights, corners).reshape(-1, 3)


@pytest.mark.parametrize("name", SOLIDS)
def test_a_mesh_is_closed_and_lies_on_the_surface(name):
    mesh = lathe.mesh(sampled(SOLIDS[name]), FRAME)
    assert mesh.is_volume and mesh.is_winding_consistent and mesh.volume > 0
    assert len(np.unique(mesh.vertices.round(6), axis=0)) == len(mesh.vertices)
    height, radius = height_radius(mesh)
    assert np.abs(SOLIDS[name](height, radius)).max() < 0.03


@pytest.mark.parametrize("chord", [0.4, 0.1, 0.05])
def test_facets_keep_to_the_chord_error(chord):
    """Of a shell with radii of 117 and 96 mm, but for what the distances' grid leaves (0.02)."""
    mesh = lathe.mesh(sampled(SOLIDS["shell"]), FRAME, chord_mm=chord)
    points = middles(mesh)
    off = np.abs(SOLIDS["shell"](*_indices(points))) * STEP
    assert off.max() < chord + 0.02
    assert off.max() > 0.5 * chord


def _indices(points):
    found = np.c_[points, np.ones(len(points))] @ np.linalg.inv(FRAME).T
    return found[:, 2], np.hypot(found[:, 0] - 31.5, found[:, 1] - 31.5)


def test_a_finer_mesh_has_more_facets():
    shell = sampled(SOLIDS["shell"])
    coarse, fine = (len(lathe.mesh(shell, FRAME, chord_mm=c).faces) for c in (1.0, 0.05))
    assert 8 * coarse < fine < 200_000


def test_a_pot_the_size_of_a_house_has_no_more_facets_than_a_big_one():
    """As of a scan whose unit was taken for metres."""
    shell = sampled(SOLIDS["shell"])
    counts = [
        len(lathe.mesh(shell, surface.frame((64, 64, 64), step, up="z")).faces)
        for step in (2.0, 10.0, 1000.0)
    ]
    assert counts[0] < counts[1] == counts[2]


def test_rim_and_foot_are_sharp_and_level():
    mesh = lathe.mesh(sampled(SOLIDS["bowl"]), FRAME)
    height, radius = height_radius(mesh)
    # Every corner of the half section is one of the mesh's rings, to 0.15 mm.
    for corner_height, corner_radius in BOWL:
        off = np.hypot(height - corner_height, radius - corner_radius) * STEP
        assert off.min() < 0.15
    rim = mesh.vertices[:, 2][height > 50.3]
    assert np.ptp(rim) < 0.1 and len(rim) > 100
    around = np.hypot(*(mesh.vertices[:, :2] - mesh.bounds.mean(0)[:2]).T)
    outer = around[(height > 50.3) & (radius > 23)]
    assert np.ptp(outer) < 0.1


def test_a_round_lip_stays_round():
    line = lathe.smooth_outline(sampled(SOLIDS["thin ring"]))[0]
    off = np.hypot(line[:, 0] - 31.3, line[:, 1] - 17.2)
    assert np.abs(off - 2.3).max() < 0.03


def test_ripples_of_a_network_are_smoothed_by_a_fifth_of_a_voxel_at_most():
    exact = sampled(SOLIDS["shell"])
    rng = np.random.default_rng(0)
    rough = exact + rng.normal(0, 0.08, exact.shape).astype(np.float32)
    raw, smooth = (
        np.concatenate(lines)
        for lines in (half_section.outline(rough), lathe.smooth_outline(rough))
    )
    before, after = (SOLIDS["shell"](*points.T).std() for points in (raw, smooth))
    assert after < 0.7 * before
    near = np.linalg.norm(smooth[:, None] - raw[None], axis=2).min(1)
    assert near.max() < lathe.SMOOTHED + 0.25


@pytest.mark.parametrize("blur", [2.0, 4.0])
def test_whatever_a_half_section_holds_its_mesh_is_closed(blur):
    for seed in range(2):
        noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(128, 72)), blur)
        mesh = lathe.mesh((noise / noise.std()).astype(np.float32), FRAME)
        assert mesh.is_volume and mesh.volume > 0


def test_a_pot_off_the_middle_and_in_another_frame():
    frame = surface.frame((64, 64, 64), 2.0, (10.0, 20.0, 30.0), up="-x")
    distance = sampled(SOLIDS["bowl"])
    mesh = lathe.mesh(distance, frame, axis=(30.25, 33.0))
    assert mesh.is_volume and mesh.volume > 0
    middle = (frame @ [30.25, 33.0, 30.5, 1.0])[:3]
    np.testing.assert_allclose(mesh.bounds.mean(0), middle, atol=0.05)
    size = mesh.volume / 8
    assert size == pytest.approx((lathe.field(distance, 256) < 0).sum() / 64, rel=0.01)


@pytest.mark.parametrize("value", [3.0, -3.0])
def test_without_an_outline_there_is_no_mesh(value):
    distance = np.full((128, 72), value, np.float32)
    if value > 0:
        with pytest.raises(ValueError, match="no outline"):
            lathe.mesh(distance, FRAME)
    else:
        # All clay is a cylinder as big as the grid.
        assert lathe.mesh(distance, FRAME).is_volume


@pytest.mark.parametrize("resolution", [32, 64, 128])
@pytest.mark.parametrize("axis", [(31.5, 31.5), (30.25, 33.0)])
def test_the_field_is_the_distance_at_each_voxel(resolution, axis):
    solid = SOLIDS["bowl"]
    found = lathe.field(sampled(solid), resolution, axis)
    assert found.shape == (resolution,) * 3 and found.dtype == np.float32
    at = (np.arange(resolution) + 0.5) * 64 / resolution - 0.5
    radius = np.hypot(at[:, None] - axis[0], at[None] - axis[1])
    exact = np.clip(solid(at, radius[..., None]), -3, 3)
    inside = radius < 35
    error = np.abs(found - exact)[inside]
    assert error.mean() < 0.01 and error.max() < 0.3
    near = np.abs(exact[inside]) < 0.1
    assert error[near].max() < 0.2


def test_at_64_voxels_a_turned_solid_is_itself():
    solid = SOLIDS["shell"]
    pot = voxels(solid)
    again = lathe.field(sampled(solid), 64) < 0
    assert (pot != again).sum() <= 0.002 * pot.sum()


def test_256_voxels_take_the_memory_of_the_answer():
    distance = sampled(SOLIDS["bowl"])
    tracemalloc.start()
    found = lathe.field(distance, 256)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.nbytes == 64 << 20
    assert most < 1.1 * found.nbytes
