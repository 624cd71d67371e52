"""Pots that come in several pieces: joined where their wall is doubtful, and rid of loose bits.

Where the model is unsure how a wall runs, its probabilities spread over many places and pass the
threshold in none: the base floats below the body. There a bridge is laid: a ring about the pot's
axis, as thick as the walls that it joins, along the way on which clay is most probable. What hangs
inside the pot, thin and without a likely way to its wall, is dropped (the training pots have plates
in the plane of their mouths), and so are crumbs. What was given is never dropped.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, sparse, spatial

from voxgan_jax.geometry import wheel

Voxels = Bool[np.ndarray, "d h w"]
Volume = Float[np.ndarray, "d h w"]
Path = Int[np.ndarray, "n 2"]
Cells = Bool[np.ndarray, "rings w"]

CRUMB = 0.02
"""Pieces with a smaller share of the pot's voxels are dropped, if they hold nothing given. Of 31 on
1,120 validation answers that were no plates and had more than 8 voxels, 21 were mostly wrong."""

LIKELY = 0.03
"""Where clay is less probable somewhere on the best way to a piece, the way is not a likely one. On
the same answers it was 0.014 or less to all 96 plates, and 0.06 or more to all other pieces but the
bases of two pots."""

THIN = 2
"""Plates are no higher than this many voxels."""

BELIEF = 0.65
"""What is made of a bridge's voxels, where 0.5 is the threshold: a guess, but one to be drawn."""

_LEAST_WALL = 2.0  # voxels, of a bridge
_AROUND = 8.0  # voxels from a bridge's ends, where walls tell how thick it is
_AIR = 1e-3  # less probable clay than this costs a way no more
_POWER = 2.0
"""A way costs this power of what makes clay improbable: with less, ways are cut short."""
_SMOOTH = 1.5  # cells: sigma by which a way is smoothed
_FINE = 4  # points a voxel along a way, and rings
_MOST = 40  # pieces that are looked at


class Pieces(NamedTuple):
    """How many pieces the model's pot was `made` in and how many are `left`; pieces are those that
    share no face of a voxel. `added` counts the voxels of bridges, `dropped` those left out,
    `floor` those that close the floor, `plugs` those that fill tunnels through the wall; `is_open`
    tells that the floor has a hole all the same.
    """

    made: int
    left: int
    added: int = 0
    dropped: int = 0
    floor: int = 0
    plugs: int = 0
    is_open: bool = False


class Joined(NamedTuple):
    """A pot in one piece, if that could be had.

    `probabilities` are the model's but in the bridges and in what was dropped; `bridges` are the
    voxels that were added.
    """

    probabilities: Volume
    bridges: Voxels
    pieces: Pieces


class Profile(NamedTuple):
    """A grid seen over radius and height: in rings a voxel apart about an axis, whose `radius` each
    column has. `weights` share each column out between two rings, `mean` is how probable clay is.
    """

    radius: Float[np.ndarray, "d h"]
    weights: sparse.csr_array
    mean: Float[np.ndarray, "rings w"]


def join(probabilities: Volume, given: Voxels, threshold: float) -> Joined:
    """Join the pieces of a pot to the biggest one.

    A pot in one piece comes back as it is. Where no likely way leads to a piece, it stays apart if
    it holds given voxels, is dropped if it is a plate, and is joined all the same if it is neither:
    a base, say, without which there is no pot.

    Args:
        probabilities: of clay; the pot's axis lies along w.
        given: voxels that are there whatever their probability.
        threshold: probability above which a voxel is there.
    """
    made = (probabilities > threshold) | given
    places, number = _pieces(made)
    nothing = np.zeros(given.shape, bool)
    if number < 2:
        return Joined(probabilities, nothing, Pieces(number, number))
    found, apart, hung, profile = probabilities, nothing, nothing, None
    for _ in range(_MOST):
        sizes, crumbs = _sizes(places, given)
        main = sizes.argmax()
        body = places == main
        sizes[crumbs] = sizes[main] = 0
        sizes[places[apart]] = 0
        if not sizes.any():
            break
        part = places == sizes.argmax()
        bridge = np.where(_seam(body, part), probability(BELIEF, threshold), np.float32(0))
        if not bridge.any():
            profile = profile or profile_of(probabilities, given, threshold)
            path, least = way_between(profile, body, part)
            holds = bool((part & given).any())
            if least >= LIKELY or not (holds or is_plate(part, body)):
                bridge = ring(profile, path, body | part, threshold)
            elif not holds:
                hung = hung | part
        tried = np.maximum(found, bridge)
        after, _ = _pieces((tried > threshold) | made)
        if after[part][0] == after[body][0]:
            found, places = tried, after
        else:
            apart = apart | part
    sizes, crumbs = _sizes(places, given)
    dropped = (hung & (places != sizes.argmax())) | crumbs[places]
    bridges = (found > threshold) & ~made
    # By so much that no surface is drawn there.
    found = np.where(dropped, np.minimum(found, threshold / 2), found).astype(np.float32)
    left = count((found > threshold) | given)
    pieces = Pieces(number, left, int(bridges.sum()), int((dropped & made).sum()))
    return Joined(found, bridges & ~dropped, pieces)


def count(occupied: Voxels) -> int:
    """How many pieces a pot has."""
    return _pieces(occupied)[1]


def _pieces(occupied: Voxels) -> tuple[Int[np.ndarray, "d h w"], int]:
    places, number = ndimage.label(occupied)  # pyright: ignore
    return places, int(number)


def _sizes(
    places: Int[np.ndarray, "d h w"], given: Voxels
) -> tuple[Int[np.ndarray, "numbers"], Bool[np.ndarray, "numbers"]]:
    """How many voxels each piece has, 0 for the air's number, and which of them are crumbs."""
    sizes = np.bincount(places.ravel())
    sizes[0] = 0
    small = sizes < CRUMB * sizes.sum()
    small[places[given]] = False
    small[0] = False
    return sizes, small


def _seam(body: Voxels, part: Voxels) -> Voxels:
    """The voxels that join two pieces which touch by edges or corners, or are a voxel apart."""
    faces = [_grown(each) for each in (body, part)]
    seam = faces[0] & faces[1]
    if not seam.any():
        whole = [_grown(each, corners=True) for each in (body, part)]
        if (whole[0] & part).any():
            seam = (faces[0] & whole[1]) | (whole[0] & faces[1])
    return seam & ~body & ~part


def _grown(piece: Voxels, *, corners: bool = False) -> Voxels:
    """A piece with all voxels that share a face with it, or even a corner."""
    touching = ndimage.generate_binary_structure(3, 3 if corners else 1)
    return np.asarray(ndimage.binary_dilation(piece, touching), bool)


def is_plate(part: Voxels, body: Voxels) -> bool:
    """Whether a piece is thin and lies between the ends of another, or a voxel beyond."""
    rows, ends = (np.flatnonzero(each.any(axis=(0, 1))) for each in (part, body))
    within = ends[0] - 1 <= rows[0] and rows[-1] <= ends[-1] + 1
    return bool(within and rows[-1] - rows[0] < THIN)


def profile_of(probabilities: Volume, given: Voxels, threshold: float) -> Profile:
    """The mean of each ring's voxels that are not given, about the axis where rings differ most.

    Tried are the cube's middle and the axes of what is there, and of what is likely.
    """
    d, h, w = given.shape
    axes = [((d - 1) / 2, (h - 1) / 2)]
    for occupied in ((probabilities > threshold) | given, probabilities > threshold / 4):
        if occupied.any():
            axes.append(wheel.find_axis(occupied))
    free = ~given.reshape(-1, w)
    clay = np.where(free, probabilities.reshape(-1, w), np.float32(0))
    found = []
    for radius in wheel.radii((d, h), np.array(axes)):
        shares = wheel.ring_shares(radius.ravel(), int(radius.max()) + 2)
        weights = sparse.csr_array(shares.T.astype(np.float32))
        total, size = weights @ clay, np.maximum(weights @ free.astype(np.float32), 1e-3)
        # The sum of squares that the means account for.
        found.append((float((total**2 / size).sum()), Profile(radius, weights, total / size)))
    profile = max(found, key=lambda each: each[0])[1]
    # There may be no column so near the axis.
    profile.mean[0] = np.maximum(profile.mean[0], profile.mean[1])
    return profile


def way_between(profile: Profile, body: Voxels, part: Voxels) -> tuple[Path, float]:
    """The cells from one piece to another where clay is most probable, and the least of these."""
    starts, ends = (
        profile.weights @ each.reshape(-1, each.shape[2]).astype(np.float32) > 0.49
        for each in (body, part)
    )
    path = way(profile.mean, starts, ends)
    between = path[~(starts | ends)[tuple(path.T)]]
    return path, float(profile.mean[tuple(between.T)].min()) if len(between) else 1.0


def way(clay: Float[np.ndarray, "rings w"], starts: Cells, ends: Cells) -> Path:
    """The cells from some to others where clay is most probable."""
    from skimage import graph

    ways = graph.MCP_Geometric(np.clip(clay, _AIR, 1) ** -_POWER)
    reached, _ = ways.find_costs(np.argwhere(starts), np.argwhere(ends))
    places = np.argwhere(ends)
    return np.array(ways.traceback(places[reached[ends].argmin()]))


def ring(profile: Profile, path: Path, clay: Voxels, threshold: float) -> Volume:
    """Probabilities of a ring along a path, as thick as the wall at its ends."""
    w = clay.shape[2]
    share = profile.weights @ clay.reshape(-1, w).astype(np.float32)
    walls = share > 0.5 * profile.weights.sum(axis=1)[:, None]
    half = max(_wall(walls, path), _LEAST_WALL) / 2
    line = ndimage.gaussian_filter1d(path.astype(float), _SMOOTH, axis=0, mode="nearest")
    line = np.concatenate([path[:1], line, path[-1:]])
    knots = np.arange(len(line))
    fine = np.linspace(0, knots[-1], _FINE * len(line))
    line = np.stack([np.interp(fine, knots, side) for side in line.T], axis=1)
    low = max(int(line[:, 1].min() - half) - 2, 0)
    rows = np.arange(low, min(int(line[:, 1].max() + half) + 3, w))
    radii = np.arange(_FINE * len(profile.mean)) / _FINE
    cells = np.stack(np.meshgrid(radii, rows, indexing="ij"), axis=-1)
    away = np.asarray(spatial.KDTree(line).query(cells, distance_upper_bound=half + 2)[0])
    belief = np.clip(0.5 + 0.5 * (half - away), 0, BELIEF)
    turned = np.zeros(clay.shape, np.float32)
    nearest = np.rint(profile.radius * _FINE).astype(int)
    turned[:, :, rows] = probability(belief, threshold)[nearest]
    return turned


def _wall(walls: Cells, path: Path) -> float:
    """How thick walls are near the ends of a path: four times the mean depth of their cells."""
    depth = np.asarray(ndimage.distance_transform_edt(walls)) - 0.5
    cells = np.argwhere(walls)
    near = [np.hypot(*(cells - end).T) < _AROUND for end in (path[0], path[-1])]
    near = cells[near[0] | near[1]]
    return 4 * float(depth[tuple(near.T)].mean()) if len(near) else 0.0


def probability(
    belief: float | Float[np.ndarray, "..."], threshold: float
) -> Float[np.ndarray, "..."]:
    """Beliefs, with the threshold at 0.5, as the model's probabilities."""
    return np.asarray(np.interp(belief, [0, 0.5, 1], [0, threshold, 1]), np.float32)
