"""Made-up pots, broken into made-up fragments, in the layout of the real data set.

A pot is a wall drawn in the half-plane (radius, height) along a smooth curve through control
points drawn from its category's ranges (`recipes`), then turned about the axis and slightly out of
true. The ranges were set so that sizes, wall thickness, occupancy and fragment shares come near
those of IberianVoxel (doi 10.24963/ijcai.2023/647); no real pot is copied. Lengths inside this file
are shares of the pot's longest side, so a pot is the same at every resolution.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import interpolate, ndimage
from skimage import measure

from voxgan_jax.data import folder, vox
from voxgan_jax.pottery.fracture import fracture
from voxgan_jax.pottery.recipes import CATEGORIES, FREQUENCY, RECIPES, Recipe

HANDLED = 0.17  # of the pots that can have handles; dishes have none
_PLAY = (0.08, 0.025)  # how far a recipe's points move, in radius and height
_HALF_STEP = 0.07
_OUT_OF_TRUE = 0.012  # mean stretch and lean, in voxels of a pot 64 voxels long

Wall = Float[np.ndarray, "n 3"]
"""Discs, rows of (radius, height, half thickness)."""
Handles = Float[np.ndarray, "m 4"]
"""Balls, rows of (x, y, height, half thickness)."""


def make_pot(
    rng: np.random.Generator | int,
    category: str | None = None,
    resolution: int = 64,
    handled: float = HANDLED,
) -> Bool[np.ndarray, "d h w"]:
    """Draw a whole pot; the same seed gives the same pot at every resolution.

    Args:
        rng: a generator, which is advanced, or a seed.
        category: one of `CATEGORIES`; drawn as often as in the data set if None.
        resolution: voxels along the longest side, 16 or more.
        handled: share of the pots with handles, of those that can have any.

    Returns:
        The pot's tight box, as a `.vox` file holds it: height last, base at the high end, mouth at
        the low one; one 26-connected piece.

    Raises:
        ValueError: an unknown category or too low a resolution.
    """
    if resolution < 16:
        raise ValueError(f"resolution {resolution}: walls need 16 voxels or more to hold together")
    rng = np.random.default_rng(rng)
    drawn = CATEGORIES[rng.choice(len(CATEGORIES), p=FREQUENCY)]
    if category is not None and category not in RECIPES:
        raise ValueError(f"no category {category!r}; known: {', '.join(CATEGORIES)}")
    recipes = RECIPES[category or drawn]
    recipe = recipes[rng.integers(len(recipes))]
    wall = _draw_wall(rng, recipe)
    handles = np.zeros((0, 4))
    if rng.random() < handled and recipe.handles:
        handles = _draw_handles(rng, recipe.handles[rng.integers(len(recipe.handles))], wall)
    return _voxelise(rng, *_fit(wall, handles, 1 + 0.1 / resolution), resolution)


def _draw_wall(rng: np.random.Generator, recipe: Recipe) -> Wall:
    """The wall along its middle line, from the base's centre to the lip, then the foot; heights
    start near 0 at the base."""
    aspect = rng.uniform(*recipe.aspect)
    points = np.array(recipe.points, float)
    loose = (points > 0) & (points < 1)
    points += loose * rng.uniform(-1.0, 1.0, points.shape) * _PLAY
    width = min(1.0, 1.0 / aspect)
    radii, heights = (points * [width / 2, width * aspect]).T
    half = np.clip(rng.lognormal(np.log(2.7), 0.22), 2.2, 5.0) / 64 / 2
    foot = recipe.feet[rng.integers(len(recipe.feet))]
    depth = rng.uniform(0.03, 0.07)
    base = {"umbo": (depth, 0.7 * depth), "pointed": (-depth, -0.8 * depth)}.get(foot, (0.0, 0.0))
    radii = np.concatenate([[0.0, 0.4 * radii[0]], radii])
    heights = np.concatenate([base, heights])

    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(radii), np.diff(heights)))])
    line = interpolate.PchipInterpolator(along, np.stack([radii, heights], 1))
    steps = np.linspace(0.0, along[-1], 300)
    lip = rng.uniform(0.0, 0.6) * np.exp(-(((along[-1] - steps) / (1.5 * half)) ** 2))
    base_swell = rng.uniform(0.0, 0.5) * np.exp(-((steps / (along[2] + half)) ** 2))
    wall = np.column_stack([line(steps), half * (1.0 + lip + base_swell)])
    if foot != "ring":
        return wall
    downs = np.linspace(0.0, 1.0, 20)
    ring = np.column_stack(
        [
            radii[2] * (0.85 + rng.uniform(0.0, 0.2) * downs),
            -depth * downs,
            np.full(20, half * rng.uniform(0.8, 1.1)),
        ]
    )
    return np.concatenate([wall, ring])


def _draw_handles(rng: np.random.Generator, kind: str, wall: Wall) -> Handles:
    """Handles along their middle line.

    `loops`: two vertical loops from shoulder to neck; `jug`: one, from belly to lip; `lugs`: two
    horizontal loops on the shoulder.
    """
    rise = wall[wall[:, 1] > wall[0, 1] + 0.02]
    top, half = wall[:, 1].max(), rng.uniform(0.022, 0.032)
    out = rng.uniform(0.07, 0.11)
    t = np.linspace(0.0, 1.0, 60)
    if kind == "lugs":
        height = rng.uniform(0.58, 0.78) * top
        spread = rng.uniform(0.09, 0.14) * (2 * t - 1)
        reach = np.interp(height, rise[:, 1], rise[:, 0]) + out * (1 - (2 * t - 1) ** 4)
        line = np.column_stack([reach, spread, height + 0.03 * (1 - (2 * t - 1) ** 2)])
    else:
        low, high = rng.uniform(0.48, 0.62) * top, rng.uniform(0.86, 0.93) * top
        start, end = np.interp([low, high], rise[:, 1], rise[:, 0])
        widest = max(start, end) + 1.3 * out
        ends = np.array([[start, low], [widest, low], [widest + 0.02, high], [end, high]])
        bend = np.column_stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
        r, z = (bend @ ends).T
        line = np.column_stack([r, np.zeros_like(r), z])
    turn = rng.integers(4) * np.pi / 2 + rng.normal(0.0, 0.05)
    pieces = []
    for angle in (turn,) if kind == "jug" else (turn, turn + np.pi):
        c, s = np.cos(angle), np.sin(angle)
        pieces.append(line @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
    balls = np.concatenate(pieces)
    return np.column_stack([balls, np.full(len(balls), half)])


def _bounds(wall: Wall, handles: Handles) -> Float[np.ndarray, "2 3"]:
    """The box of a pot: its low and high corner in x, y and height."""
    r, z, half = wall.T
    reach = (r + half).max()
    low = np.array([-reach, -reach, (z - half).min()])
    high = np.array([reach, reach, (z + half).max()])
    if len(handles):
        low = np.minimum(low, (handles[:, :3] - handles[:, 3:]).min(0))
        high = np.maximum(high, (handles[:, :3] + handles[:, 3:]).max(0))
    return np.stack([low, high])


def _fit(wall: Wall, handles: Handles, longest: float) -> tuple[Wall, Handles]:
    """Scale the middle lines, not the thickness, until the longest side is `longest`."""
    for _ in range(20):
        s = longest / np.ptp(_bounds(wall, handles), axis=0).max()
        wall, handles = wall * [s, s, 1.0], handles * [s, s, s, 1.0]
    return wall, handles


def _voxelise(
    rng: np.random.Generator, wall: Wall, handles: Handles, resolution: int
) -> Bool[np.ndarray, "d h w"]:
    """The voxels whose centres lie in the wall or a handle, out of true as the real pots are."""
    low, high = _bounds(wall, handles) * resolution
    counts = np.minimum(np.ceil(high - low - 1e-6).astype(int), resolution)
    # In some real pots the axis falls on a voxel in one direction, between two in the other: it
    # alone takes the IoU with the pot's own quarter turn well below 0.9.
    short = rng.integers(2)
    if rng.random() < _HALF_STEP and np.delete(counts, short).max() == resolution:
        counts[short] -= 1
    x, y, z = (
        (np.arange(n) + 0.5 - n / 2 + (a + b) / 2).astype(np.float32)
        for n, a, b in zip(counts, low, high, strict=True)
    )
    stretch, lean = rng.exponential(_OUT_OF_TRUE, 2) / 64 * resolution
    turn_stretch, turn_lean = rng.uniform(0.0, 2 * np.pi, 2)
    tilt = lean * (z / resolution - 0.5)
    x3 = x[:, None, None] - np.float32(np.cos(turn_lean)) * tilt
    y3 = y[None, :, None] - np.float32(np.sin(turn_lean)) * tilt
    c, s = np.cos(turn_stretch), np.sin(turn_stretch)
    radius = np.hypot(x3, y3)
    radius += stretch * ((x3**2 - y3**2) * c + 2 * x3 * y3 * s) / np.maximum(radius, 1.0) ** 2

    # Distance to the wall on rings half a voxel apart, one row per height, then along the row.
    rings = np.arange(0.0, radius.max() + 1.0, 0.5)
    r, level, half = (wall * resolution).T
    across = (rings[:, None, None] - r) ** 2 + (z[None, :, None] - level) ** 2
    depth = (np.sqrt(across) - half).min(-1)
    position = np.clip(2 * radius, 0, len(rings) - 2)
    below = position.astype(np.intp)
    part = position - below
    rows = np.arange(len(z))
    solid = depth[below, rows] * (1 - part) + depth[below + 1, rows] * part < 0
    for cx, cy, cz, half in handles * resolution:
        near = [np.flatnonzero(np.abs(a - b) < half) for a, b in ((x, cx), (y, cy), (z, cz))]
        bx, by, bz = np.ix_(x[near[0]] - cx, y[near[1]] - cy, z[near[2]] - cz)
        solid[np.ix_(*near)] |= bx**2 + by**2 + bz**2 < half**2

    pieces = np.asarray(measure.label(solid, connectivity=3))
    solid = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    (box,) = ndimage.find_objects(solid.astype(np.uint8))
    return np.ascontiguousarray(solid[box][:, :, ::-1])


def write_dataset(
    out_dir: str | pathlib.Path,
    *,
    pots: int,
    seed: int,
    resolution: int = 64,
    fragments: Sequence[int] = range(3, 19),
    fracturings: int | None = None,
    test_share: float = folder.TEST_SHARE,
    categories: Sequence[str] | None = None,
    handled: float = HANDLED,
) -> list[pathlib.Path]:
    """Write broken pots as `<split>/<class 1..11>/<POT>-nNNN-tSTAMP.vox`, split by pot.

    Every byte follows from the arguments; a pot does not depend on how many others are made.

    Args:
        out_dir: made if need be.
        pots: how many pots, 1 or more.
        resolution: voxels along a pot's longest side.
        fragments: the numbers of fragments a pot may be broken into.
        fracturings: how many of them each pot gets, drawn anew for each; None: all.
        test_share: share of the pots, at least one of two or more, that go to `test`.
        categories: the classes in turn; None: drawn as often as in the data set.
        handled: as in `make_pot`.

    Returns:
        The files in the order made: pot by pot, by rising number of fragments.

    Raises:
        ValueError: fewer than one pot, more `fracturings` than `fragments`, an unknown category, a
            share outside 0…1.
        FileExistsError: the folder holds `.vox` files: two data sets in one would share names.
    """
    if pots < 1:
        raise ValueError(f"{pots} pots: at least one is needed")
    for name, share in (("test_share", test_share), ("handled", handled)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} {share} outside 0…1")
    if any(pathlib.Path(out_dir).rglob("*.vox")):
        raise FileExistsError(f"{out_dir}: it holds .vox files already; name another folder")
    fragments = sorted(set(fragments))
    per_pot = len(fragments) if fracturings is None else fracturings
    if not 1 <= per_pot <= len(fragments):
        raise ValueError(f"{per_pot} fracturings of {len(fragments)} numbers of fragments")
    drawn = [
        str(np.random.default_rng([seed, k, 0]).choice(CATEGORIES, p=FREQUENCY))
        if categories is None
        else categories[k % len(categories)]
        for k in range(pots)
    ]
    names = [f"SY_{k + 1:04d}" for k in range(pots)]
    held_out = folder.split_pots(list(zip(drawn, names, strict=True)), test_share, seed)
    written = []
    for k, (category, name) in enumerate(zip(drawn, names, strict=True)):
        rng = np.random.default_rng([seed, k, 1])
        occupancy = make_pot(rng, category, resolution, handled)
        split = "test" if (category, name) in held_out else "train"
        target = pathlib.Path(out_dir) / split / str(CATEGORIES.index(category) + 1)
        target.mkdir(parents=True, exist_ok=True)
        stamp = 1_600_000_000 + int(rng.integers(10**8))
        for j, n in enumerate(sorted(rng.choice(fragments, per_pot, replace=False).tolist())):
            path = target / f"{name}-n{n:03d}-t{stamp + j}.vox"
            vox.write(path, fracture(rng, occupancy, n))
            written.append(path)
    return written
