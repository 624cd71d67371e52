"""Breaking a pot into connected fragments of uneven size, with ragged cracks and some crumbs."""

import itertools

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.spatial import distance
from skimage import measure

from voxgan_jax.pottery import CRUMBS

Pot = Bool[np.ndarray, "d h w"]
Labels = UInt8[np.ndarray, "d h w"]
Values = Float[np.ndarray, " voxels"]
_CRUMBLED = 0.18  # of the files, as in the data set
_DRAWS = 3  # of starting points; those farthest apart are taken, so few fragments are tiny


def fracture(rng: np.random.Generator | int, occupancy: Pot, n: int) -> Labels:
    """Break a pot into `n` fragments; about one time in six some crumbs are left over.

    Cracks run where growth from `n` random voxels meets; growth is slowed by noise, so the cracks
    are ragged. Every fragment is one 26-connected piece by construction: each voxel joins the
    fragment that its shortest path comes from.

    Returns:
        0 outside the pot, 2 to n + 1 for the fragments, 1 for crumbs.

    Raises:
        ValueError: `n` outside 1..254, more than the voxels, or the pot is not one piece.
    """
    rng = np.random.default_rng(rng)
    size = int(occupancy.sum())
    if not 1 <= n <= min(254, size):
        raise ValueError(f"cannot break {size} voxels into {n} fragments; 1 to 254 are possible")
    toughness = _toughness(rng, occupancy)
    graph = _neighbours(occupancy, toughness)
    voxels = np.argwhere(occupancy)
    draws = [rng.choice(size, n, replace=False) for _ in range(_DRAWS)]
    seeds = max(draws, key=lambda draw: distance.pdist(voxels[draw]).min(initial=np.inf))
    if csgraph.connected_components(graph, directed=False, return_labels=False) > 1:
        raise ValueError("the pot is not one 26-connected piece")
    _, _, nearest = csgraph.dijkstra(
        graph, directed=False, indices=seeds, min_only=True, return_predecessors=True
    )
    fragment = np.zeros(size, np.uint8)
    fragment[seeds] = np.arange(2, n + 2)
    labels = np.zeros(occupancy.shape, np.uint8)
    labels[occupancy] = fragment[nearest]
    return _crumble(rng, labels) if rng.random() < _CRUMBLED else labels


def _toughness(rng: np.random.Generator, occupancy: Pot) -> Values:
    """What a step through each voxel costs: smooth patches and grain, both log-normal."""
    patches = ndimage.gaussian_filter(rng.standard_normal(occupancy.shape, np.float32), 2.0)
    grain = rng.standard_normal(occupancy.shape, np.float32)
    return np.exp(0.45 * patches / patches.std() + 0.35 * grain)[occupancy].astype(np.float64)


def _neighbours(occupancy: Pot, cost: Values) -> sparse.csr_array:
    """The graph of 26 neighbours, each pair once; an edge weighs its length times its mean cost."""
    index = np.full([n + 2 for n in occupancy.shape], -1, np.int32)
    inner = index[1:-1, 1:-1, 1:-1]
    inner[occupancy] = np.arange(len(cost), dtype=np.int32)
    flat = index.ravel()
    here = np.flatnonzero(flat >= 0)
    strides = np.array(index.strides) // index.itemsize
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
    # Of 32 bits, as the graph holds them: 64 would take twice the time.
    own = np.arange(len(cost), dtype=np.int32)
    rows, columns, weights = [], [], []
    for step in steps:
        there = flat[here + int(strides @ step)]
        inside = there >= 0
        a, b = own[inside], there[inside]
        rows.append(a)
        columns.append(b)
        weights.append((cost[a] + cost[b]) / 2 * np.linalg.norm(step))
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array(entries, shape=(len(cost), len(cost)))


def _crumble(rng: np.random.Generator, labels: Labels) -> Labels:
    """Turn bits along the cracks, about 1 % of the pot, into crumbs, id 1.

    What a bit cuts off its fragment is crumbs as well. A fragment never loses more than half of
    its voxels; where it would, all its voxels stay.
    """
    inside = labels > 0
    low = ndimage.minimum_filter(np.where(inside, labels, 255), 3)
    cracks = np.flatnonzero(inside & (low != ndimage.maximum_filter(labels, 3)))
    if not len(cracks):
        return labels
    share = min(rng.lognormal(np.log(0.009), 0.8), 0.1)
    patches = ndimage.gaussian_filter(rng.standard_normal(labels.shape, np.float32), 1.5)
    order = np.argsort(-patches.ravel()[cracks])
    crumbled = labels.copy()
    crumbled.ravel()[cracks[order[: max(1, round(share * int(inside.sum())))]]] = CRUMBS
    for k, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        whole = labels[box] == k
        pieces = np.asarray(measure.label(whole & (crumbled[box] == k), connectivity=3))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        lost = whole & (pieces != sizes.argmax())
        keep = 2 * sizes.max() >= whole.sum()
        crumbled[box][lost if keep else whole] = CRUMBS if keep else k
    return crumbled
