"""Pots of anywhere: throwable, exact, each form drawn, broken as sherds are."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure

from voxgan_jax.geometry import half_section, profile_targets
from voxgan_jax.pottery import forms, rims_and_feet, sherds, world

SET_ON = ("bead", "outward", "inward", "bar", "collar")
BENT = ("everted", "inverted", "brim", "hook", "seat")
MANY = [world.draw(np.random.default_rng([7, k])) for k in range(40)]


def pieces(clay):
    """How many bodies, touching by corners or not."""
    return int(np.asarray(measure.label(clay, connectivity=3)).max())


def crossings(line):
    """How often a line crosses itself: pairs of its segments that do."""
    a, b = line[:-1], line[1:]

    def side(p, q, x):
        return np.sign((q[0] - p[0]) * (x[1] - p[1]) - (q[1] - p[1]) * (x[0] - p[0]))

    p, q = (part.T[:, :, None] for part in (a, b))
    r, s = (part.T[:, None, :] for part in (a, b))
    meet = (side(p, q, r) * side(p, q, s) < 0) & (side(r, s, p) * side(r, s, q) < 0)
    return int(meet.sum())


def test_every_outline_runs_once_from_the_axis_to_the_axis():
    for pot in MANY:
        line = pot.outline
        assert (line[[0, -1], 1] == 0).all() and (line[1:-1, 1] > 0).all(), pot.form
        assert crossings(line) == 0, pot.form
        low, high = line.min(0), line.max(0)
        assert max(high[0] - low[0], 2 * high[1]) == pytest.approx(64, abs=0.05)
        assert low[0] + high[0] == pytest.approx(63, abs=0.05)


def test_walls_hold_together_and_differ_much():
    shares, occupied = [], []
    for seed, pot in enumerate(MANY):
        clay = world.voxels(seed, pot)
        assert pieces(clay) == 1, pot.form
        # The cavity is open: all air is one but for a furrow that voxels close.
        air = np.pad(~clay, 1, constant_values=True)
        sizes = np.sort(np.bincount(np.asarray(measure.label(air, connectivity=1)).ravel())[1:])
        assert sizes[:-1].sum() < 20, pot.form
        occupied.append(clay.mean())
        wall = np.median(-2 * _ridge(pot.distance))
        assert wall > 0.8 * world.LEAST_WALL, pot.form
        shares.append(wall / (2 * pot.outline[:, 1].max()))
    assert 0.01 < min(occupied) < 0.04 and 0.12 < max(occupied) < 0.25
    assert min(shares) < 0.05 and max(shares) > 0.08


def _ridge(distance):
    """The distance where no cell beside is deeper in the clay: halfway through the wall."""
    ridge = distance == ndimage.minimum_filter(distance, (3, 3))
    return distance[ridge & (distance < -0.4)]


def test_forms_feet_and_rims_are_all_drawn():
    assert {pot.form for pot in MANY} >= {"bowl", "jar", "bottle", "free", "necked jar"}
    aspects = [np.ptp(pot.outline[:, 0]) / 2 / pot.outline[:, 1].max() for pot in MANY]
    assert min(aspects) < 0.3 and max(aspects) > 2
    feet = {foot for form in forms.FORMS.values() for foot in form.feet.split()}
    assert feet == {"flat", "round", "pointed", "umbo", "ring", "disc", "pedestal", "toe"}
    rims = {rim for form in forms.FORMS.values() for rim in form.rims.split()}
    assert rims == {"plain", "flat", "tapered", *SET_ON, *BENT}
    assert forms.POINTS["dish"][0] == forms.Point((0.2, 0.75), (0.0, 0.0), 0.3)
    assert forms.POINTS["bowl"][3] == forms.Point((0.85, 1.0), (1.0, 1.0), 0.1)
    for name in forms.FORMS:
        assert world.draw(3, name).form == name
    with pytest.raises(ValueError, match="no form 'teapot'; known: dish, bowl"):
        world.draw(0, "teapot")


@pytest.mark.parametrize("foot", ["ring", "disc", "pedestal", "toe"])
def test_a_foot_reaches_below_the_base(foot):
    line = np.stack([np.linspace(0, 15, 16), np.linspace(0, 15, 16) ** 2 / 20], axis=1)
    parts = rims_and_feet.under(np.random.default_rng(0), foot, line, 1.5, 8.0, 40.0)
    assert rims_and_feet.union(parts).bounds()[1] < -1.5 - 1


@pytest.mark.parametrize("rim", SET_ON)
def test_a_rim_is_thicker_than_its_wall(rim):
    line = np.stack([np.full(30, 20.0), np.linspace(0, 29, 30)], axis=1)
    lip = rims_and_feet.union(rims_and_feet.on_lip(np.random.default_rng(1), rim, line, 1.5))
    left, low, right, high = lip.bounds()
    assert high > 26 and low > 10
    assert (left < 18.5) if rim == "inward" else (right > 21.5)


@pytest.mark.parametrize("rim", BENT)
def test_a_bent_rim_lengthens_the_wall(rim):
    points = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 30.0]])
    rng = np.random.default_rng(2)
    longer, angles = rims_and_feet.lengthened(rng, rim, points, np.zeros(3, bool), 1.5)
    assert len(longer) == len(angles) == (5 if rim in ("hook", "seat") else 4)
    assert (longer[3, 0] < 20) == (rim == "inverted")
    np.testing.assert_array_equal(longer[:3], points)


def test_the_distance_is_exact_and_what_voxels_show():
    """The distance of the outline, and nearly that which is found from voxels of it."""
    errors = []
    for seed, pot in enumerate(MANY[:12]):
        h, r = half_section.heights(128), np.arange(72) / 2
        fine = np.concatenate(
            [np.linspace(a, b, 40) for a, b in zip(pot.outline[:-1], pot.outline[1:], strict=True)]
        )
        for row, ring in ((20, 30), (64, 40), (100, 10), (110, 20), (64, 62)):
            nearest = np.hypot(*(fine - [h[row], r[ring]]).T).min()
            assert abs(pot.distance[row, ring]) == pytest.approx(min(nearest, 3), abs=0.02)
        found = profile_targets.target(world.voxels(seed, pot)).distance
        errors.append(np.abs(found - pot.distance)[np.abs(pot.distance) < 3].mean())
    assert np.median(errors) < 0.1


def test_the_same_seed_gives_the_same_pot_at_any_resolution():
    pot, again, fine = world.draw(4), world.draw(4), world.draw(4, resolution=128)
    np.testing.assert_array_equal(pot.distance, again.distance)
    assert fine.distance.shape == (256, 136) and fine.form == pot.form
    np.testing.assert_allclose(fine.outline[:, 1], 2 * pot.outline[:, 1], atol=1e-6)
    coarse = fine.distance.reshape(128, 2, -1)[..., ::2].mean(1)[:, :68] / 2
    near = np.abs(pot.distance[:, :68]) < 1
    assert np.abs(coarse - pot.distance[:, :68])[near].mean() < 0.02
    assert not np.array_equal(pot.distance, world.draw(5).distance)
    a, b = world.voxels(1, pot), world.voxels(1, pot, 128)
    pooled = b.reshape(64, 2, 64, 2, 64, 2).mean((1, 3, 5)) > 0.5
    assert (a & pooled).sum() / (a | pooled).sum() > 0.85


def test_sherds_are_one_piece_of_their_pot_of_any_size():
    shares = []
    for seed, pot in enumerate(MANY[:20]):
        partial, complete = sherds.sherd(seed, pot)
        assert not (partial & ~complete).any()
        assert pieces(partial) == 1
        shares.append(partial.sum() / complete.sum())
    assert 0.005 < min(shares) < 0.06 and 0.35 < max(shares) < 0.6
    few = [sherds.sherd(k, MANY[k], (0.2, 0.21)) for k in range(8)]
    assert np.median([a.sum() / b.sum() for a, b in few]) == pytest.approx(0.2, abs=0.05)
    again = sherds.sherd(3, MANY[3], (0.2, 0.21))
    np.testing.assert_array_equal(again[0], few[3][0])
