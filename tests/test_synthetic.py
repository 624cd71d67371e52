"""Synthetic pots hold water, come in connected pieces, and have the real ones' measures."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure

from voxgan_jax.data import folder, vox
from voxgan_jax.data.synthetic import pots as synthetic
from voxgan_jax.pottery import fracture, recipes


def pieces(mask):
    return int(np.asarray(measure.label(mask, connectivity=3)).max())


def thickness(pot):
    """Twice the depth below the surface that a twentieth of the voxels exceed, in voxels."""
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(pot, 1)))
    return 2 * np.percentile(depth[depth > 0], 95)


def quarter_turn_iou(pot):
    """The best IoU of a pot with itself turned by 90 degrees, over where its axis may lie."""
    depth, height, _ = pot.shape
    best = 0.0
    for side in (max(depth, height), max(depth, height) + 1):
        for a in {(side - depth) // 2, (side - depth + 1) // 2}:
            for b in {(side - height) // 2, (side - height + 1) // 2}:
                square = np.zeros((side, side, pot.shape[2]), bool)
                square[a : a + depth, b : b + height] = pot
                turned = np.rot90(square)
                best = max(best, (square & turned).sum() / (square | turned).sum())
    return best


@pytest.mark.parametrize("category", recipes.CATEGORIES)
@pytest.mark.parametrize("resolution", [32, 64])
def test_pot_is_a_vessel(category, resolution):
    for seed in range(3):
        pot = synthetic.make_pot(seed, category, resolution=resolution)
        assert max(pot.shape) == resolution
        assert pieces(pot) == 1
        assert all(
            np.any(pot[end]) and np.any(pot[:, end]) and np.any(pot[..., end]) for end in (0, -1)
        )

        # The base closes the axis near the high end of the heights; the mouth leaves it free.
        axis = np.flatnonzero(pot[pot.shape[0] // 2, pot.shape[1] // 2])
        assert axis[0] > 0.4 * pot.shape[2]

        # Closed below the rim, it holds water: the cavity does not open to the outside.
        closed = np.pad(~pot, 1, constant_values=True)
        closed[:, :, : 1 + max(1, round(0.1 * pot.shape[2]))] = False
        air = np.asarray(measure.label(closed, connectivity=1))
        cavity = air[pot.shape[0] // 2 + 1, pot.shape[1] // 2 + 1, axis[0]]
        assert cavity != air[0, 0, -1]
        assert (air == cavity).sum() > 0.8 * pot.sum()


def test_categories_have_their_proportions():
    # Medians of height over width of the real classes 10, 11, 6 and 8: 0.33, 0.24, 1.36, 0.91.
    for category, low, high in [
        ("bowl", 0.25, 0.48),
        ("dish", 0.15, 0.32),
        ("amphora", 1.15, 1.7),
        ("globular jar", 0.78, 1.12),
    ]:
        shapes = [synthetic.make_pot(k, category, resolution=32).shape for k in range(9)]
        ratio = np.median([shape[2] / max(shape[:2]) for shape in shapes])
        assert low < ratio < high, category
    assert len(recipes.CATEGORIES) == 11


def test_same_seed_gives_the_same_pot_at_every_resolution():
    small, large = (synthetic.make_pot(4, "urn", resolution=r) for r in (32, 64))
    assert np.array_equal(small, synthetic.make_pot(4, "urn", resolution=32))
    assert np.abs(2 * np.array(small.shape) - large.shape).max() <= 2
    assert small.sum() * 8 == pytest.approx(large.sum(), rel=0.1)
    assert not np.array_equal(small, synthetic.make_pot(5, "urn", resolution=32))


def test_handles_are_met_and_break_the_symmetry():
    pots = [synthetic.make_pot(k, "globular jar", resolution=64) for k in range(28)]
    low = [k for k, pot in enumerate(pots) if quarter_turn_iou(pot) < 0.9]
    assert 1 <= len(low) <= 10
    assert np.median([quarter_turn_iou(pot) for pot in pots]) > 0.98


def test_measures_are_near_those_of_the_data_set():
    pots = [synthetic.make_pot(k, resolution=64) for k in range(32)]
    occupancy = np.array([pot.sum() / 64**3 for pot in pots])
    assert 0.065 < occupancy.mean() < 0.095  # real: 0.079
    assert occupancy.min() > 0.018 and occupancy.max() < 0.21
    assert 2.8 < np.median([thickness(pot) for pot in pots]) < 4.5  # real: 4
    turned = np.array([quarter_turn_iou(pot) for pot in pots])
    assert np.median(turned) > 0.985  # real: 0.996
    assert 0.02 < (turned < 0.9).mean() < 0.35  # real: 0.14

    shares, crumbs = [], []
    small = [synthetic.make_pot(k, resolution=32) for k in range(32)]
    for k in range(320):
        n = 3 + k % 16
        labels = fracture.fracture(k, small[k % 32], n)
        counts = np.bincount(labels.ravel(), minlength=n + 2)[1:]
        shares += list(counts[1:] / counts.sum())
        crumbs.append(counts[0] / counts.sum())
    low, median, high = np.percentile(shares, [5, 50, 95])
    assert 0.012 < low < 0.026  # real: 0.019
    assert 0.065 < median < 0.085  # real: 0.075
    assert 0.21 < high < 0.29  # real: 0.24
    crumbs = np.array(crumbs)
    assert 0.12 < (crumbs > 0).mean() < 0.24  # real: 0.18
    assert 0.004 < np.median(crumbs[crumbs > 0]) < 0.016 and crumbs.max() < 0.15


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("n", [1, 3, 18])
def test_fragments_are_connected_and_make_up_the_pot(n, resolution):
    pot = synthetic.make_pot(11, "amphora", resolution=resolution)
    crumbled = 0
    for seed in range(6):
        labels = fracture.fracture(seed, pot, n)
        assert np.array_equal(labels > 0, pot)
        assert np.array_equal(np.unique(labels[labels > 1]), np.arange(2, n + 2))
        assert all(pieces(labels == k) == 1 for k in range(2, n + 2))
        crumbled += (labels == 1).any()
    assert crumbled < 6
    assert np.array_equal(fracture.fracture(3, pot, n), fracture.fracture(3, pot, n))
    if n > 1:
        assert (fracture.fracture(3, pot, n) != fracture.fracture(4, pot, n)).any()


def test_cracks_are_ragged():
    """A straight cut of a plate 60 wide is 60 long; a ragged one touches clearly more voxels."""
    plate = np.ones((60, 60, 1), bool)
    lengths = []
    for seed in range(8):
        labels = fracture.fracture(seed, plate, 2)[:, :, 0]
        lengths.append((labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum())
    assert 70 < np.median(lengths) < 260


def test_impossible_fractures():
    bar = np.ones((5, 1, 1), bool)
    assert sorted(fracture.fracture(0, bar, 5)[fracture.fracture(0, bar, 5) > 1]) == [2, 3, 4, 5, 6]
    for n in (0, 6, 255):
        with pytest.raises(ValueError, match="cannot break 5 voxels"):
            fracture.fracture(0, bar, n)
    bar[2] = False
    with pytest.raises(ValueError, match="not one 26-connected piece"):
        fracture.fracture(0, bar, 2)


def test_unknown_category_and_resolution():
    with pytest.raises(ValueError, match="no category 'teapot'; known: ovoid jar"):
        synthetic.make_pot(0, "teapot")
    with pytest.raises(ValueError, match="16 voxels"):
        synthetic.make_pot(0, resolution=8)


def test_dataset_has_the_real_layout(tmp_path):
    paths = synthetic.write_dataset(tmp_path, pots=10, seed=3, resolution=32, fracturings=2)
    assert len(paths) == len(set(paths)) == 20
    items = folder.scan(tmp_path)
    assert sorted(item.path for item in items) == sorted(paths)
    test_pots = {item.pot for item in items if item.split == "test"}
    assert len(test_pots) == 2
    assert not test_pots & {item.pot for item in items if item.split == "train"}
    assert {item.category for item in items} <= {str(k) for k in range(1, 12)}
    for first, second in zip(paths[::2], paths[1::2], strict=True):
        one, two = vox.read(first), vox.read(second)
        assert np.array_equal(one > 0, two > 0)
        assert max(one.shape) == 32
        n = int(first.name.split("-n")[1][:3])
        assert 3 <= n <= 18 and one.max() == n + 1
        assert folder.pot_of(first.name) == folder.pot_of(second.name)


def test_dataset_is_deterministic_and_pots_are_independent(tmp_path):
    def digests(name, pots, seed):
        paths = synthetic.write_dataset(
            tmp_path / name, pots=pots, seed=seed, resolution=32, fragments=(3, 7)
        )
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    first = digests("a", 3, 0)
    assert len(first) == 6
    assert digests("b", 3, 0) == first
    assert first.items() <= digests("c", 5, 0).items()
    assert not set(first.values()) & set(digests("d", 3, 1).values())


def test_dataset_of_chosen_categories(tmp_path):
    paths = synthetic.write_dataset(
        tmp_path, pots=4, seed=0, resolution=32, fragments=[5], categories=["bowl", "dish"]
    )
    assert [path.parent.name for path in paths] == ["10", "11", "10", "11"]
    with pytest.raises(ValueError, match="at least one"):
        synthetic.write_dataset(tmp_path, pots=0, seed=0)
    with pytest.raises(ValueError, match="3 fracturings of 2"):
        synthetic.write_dataset(tmp_path / "b", pots=1, seed=0, fragments=[3, 4], fracturings=3)
    with pytest.raises(ValueError, match="no category 'teapot'"):
        synthetic.write_dataset(tmp_path / "b", pots=1, seed=0, categories=["teapot"])
    with pytest.raises(FileExistsError, match=r"it holds \.vox files already"):
        synthetic.write_dataset(tmp_path, pots=1, seed=0)
    with pytest.raises(ValueError, match=r"handled 2\.0 outside 0…1"):
        synthetic.write_dataset(tmp_path / "b", pots=1, seed=0, handled=2.0)


def test_all_pots_of_a_dataset_may_have_handles_or_none(tmp_path):
    how = {"pots": 2, "seed": 1, "resolution": 32, "fragments": [3], "categories": ["amphora"]}
    plain, handled = (
        synthetic.write_dataset(tmp_path / str(share), handled=share, **how) for share in (0.0, 1.0)
    )
    for one, other in zip(plain, handled, strict=True):
        # The same pot, but for what stands off its wall.
        assert (vox.read(other) > 0).sum() > 1.02 * (vox.read(one) > 0).sum()
