"""Sherds whose pots' axes are known, and lines about them: what the locator learns from.

Of each sherd several lines are shown, one near its axis (and the same upside down, all that there
is with 2 lines), others wrong in many ways; all placements about all of them share one softmax, and
the target is shared out by how near a line is to the axis.
"""

import itertools
import math
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from voxgan_jax.data import feed
from voxgan_jax.devices import parallel
from voxgan_jax.placement import axis_lines, axis_maps, axis_search, locator
from voxgan_jax.placement.axis_maps import Fill, Lines
from voxgan_jax.scan.walls import Wall

_NEAR_DEGREES, _NEAR_VOXELS, _NEAR_SHARE = 2.5, 0.8, 0.06
"""Lines within so much of the axis (voxels, or share of its distance) are nearly as good."""

_WRONG = ((0.7, 0.08, 3.5), (1.0, 0.15, 8.0), (1.0, 0.15, 8.0), (2.0, 0.3, 16.0), (1.0, 0.5, 2.0))
"""Wrong lines: shift in voxels, logarithm of the distance, degrees; standard deviations."""
_FITTED = 3


class Sherd(NamedTuple):
    """A fragment as scripts/cut_sherds.py makes it, in voxels, and the side of its maps' cells."""

    fill: Fill
    surface: Wall
    unit: float
    axis: Float[np.ndarray, "2 3"]
    bottom: float
    fitted: Float[np.ndarray, "k 2 3"]


def open_feed(config: Any, mesh: jax.sharding.Mesh) -> feed.Feed:
    """Batches of `maps` and `targets`, see `draw`, of `config.data.lines` lines about each sherd.

    Row r of a step follows from (seed, step, r) alone, whichever process draws it.

    Raises:
        FileNotFoundError: see `read`.
        ValueError: a batch size that does not divide among the devices.
    """
    path, batch_size = pathlib.Path(config.data.dir), config.train.batch_size
    sherds, rows = read(path), parallel.batch_sharding(mesh)
    feed.check_batch_size(batch_size, mesh.size * config.train.accumulate_steps)
    share = batch_size // jax.process_count()
    own = range(jax.process_index() * share, (jax.process_index() + 1) * share)

    def batch(step: int) -> dict[str, np.ndarray]:
        drawn = []
        for row in own:
            rng = np.random.default_rng([config.seed, step, row])
            sherd = sherds[int(rng.integers(len(sherds)))]
            drawn.append(draw(sherd, config.data.lines, rng)[:2])
        maps, targets = zip(*drawn, strict=True)
        return {"maps": np.stack(maps), "targets": np.stack(targets)}

    def items(step: int) -> Iterator[dict[str, jax.Array]]:
        return (parallel.divide(batch(later), rows) for later in itertools.count(step))

    plan = feed.EpochPlan(-(-len(sherds) // batch_size), len(sherds))
    return feed.Feed(plan, f"{len(sherds)}:{zlib.crc32(path.read_bytes()):08x}", items)


def read(path: pathlib.Path) -> list[Sherd]:
    """The sherds of a file that scripts/cut_sherds.py wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is another file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; scripts/cut_sherds.py makes one")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as packed:
            return _sherds({name: packed[name] for name in packed.files})
    except Exception as error:  # zipfile and NumPy raise whatever the bytes lead them to.
        raise ValueError(
            f"{path}: no file of sherds that can be read ({error or type(error).__name__});"
            " scripts/cut_sherds.py makes one"
        ) from error


def _sherds(arrays: dict[str, np.ndarray]) -> list[Sherd]:
    made = []
    for row in range(len(arrays["points"])):
        one = {name: values[row] for name, values in arrays.items()}
        thickness = float(one["thickness"]) or None
        made.append(
            Sherd(
                Fill(one["points"], float(one["volume"])),
                Wall(one["wall"], one["normals"], one["anchors"], thickness),
                (thickness or float(one["usual"])) / locator.USUAL_WALL,
                one["axis"],
                float(one["bottom"]),
                one["fitted"],
            )
        )
    return made


def draw(
    sherd: Sherd, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "k h r 2"], Float[np.ndarray, "k s p"], Float[np.ndarray, "k"]]:
    """Maps of a sherd about so many lines at a unit a little wrong, the shares of the placements
    about each, and by how many degrees each line misses the axis."""
    lines = lines_of(sherd, count, rng)
    unit = sherd.unit * float(np.exp(rng.normal(0, rng.choice([0.05, 0.3], p=[0.8, 0.2]))))
    share, degrees = nearness(sherd, lines)
    height = (sherd.fill.points - sherd.axis[0]) @ sherd.axis[1]
    place = float((height.max() + height.min()) / 2) - sherd.bottom
    target = np.outer(_spread(-math.log(unit), locator.SCALES), _spread(place, locator.PLACES))
    maps = axis_maps.maps(sherd.fill, sherd.surface, lines, unit)
    return maps, (share[:, None, None] * target).astype(np.float32), degrees


def lines_of(sherd: Sherd, count: int, rng: np.random.Generator) -> Lines:
    """The axis, nearly; the same upside down; and wrong lines, if more are asked for."""
    middle = sherd.fill.points.mean(0)
    point, up = sherd.axis

    def near(aside: float, share: float, degrees: float) -> Lines:
        return axis_search.varied(rng, point, up, middle, degrees, aside, share, 1)

    first = near(0.4, 0.02, 1.3)
    several = [first, Lines(first.points, -first.directions)]
    if count > 2:
        several += [near(*wrong) for wrong in _WRONG]
        fitted = sherd.fitted[rng.permutation(len(sherd.fitted))[:_FITTED]]
        shifted = fitted[:, 0] + rng.normal(0, 0.2, (len(fitted), 3))
        several.append(Lines(shifted, fitted[:, 1]))
        several.append(
            _anywhere(sherd, middle, count - sum(len(one.points) for one in several), rng)
        )
    points, directions = (np.concatenate(part)[:count] for part in zip(*several, strict=True))
    # Those near the axis keep the rim's end up.
    flip = (np.abs(directions @ up) < 0.8) & (rng.random(len(directions)) < 0.5)
    return Lines(points, np.where(flip[:, None], -directions, directions))


def _anywhere(
    sherd: Sherd, middle: Float[np.ndarray, "3"], count: int, rng: np.random.Generator
) -> Lines:
    """In random directions the lines that the normals meet best, shifted a little."""
    directions = rng.normal(size=(max(count, 0), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    some = rng.permutation(len(sherd.surface.points))[:120]
    anchors, normals = (part[some] for part in (sherd.surface.anchors, sherd.surface.normals))
    points = axis_lines.nearest_lines(directions, anchors, normals)[1]
    moved = [
        axis_search.varied(rng, point, direction, middle, 0.0, 0.5, 0.25, 1).points
        for point, direction in zip(points, directions, strict=True)
    ]
    return Lines(np.concatenate([*moved, np.empty((0, 3))]), directions)


def nearness(sherd: Sherd, lines: Lines) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """How good each line is as the axis, in shares of 1, and by how many degrees it misses it."""
    middle, (point, up) = sherd.fill.points.mean(0), sherd.axis
    level = point + ((middle - point) @ up) * up
    degrees = np.degrees(np.arccos(np.clip(lines.directions @ up, -1, 1)))
    offset = level - lines.points
    offset = offset - (offset * lines.directions).sum(1, keepdims=True) * lines.directions
    allowed = max(_NEAR_VOXELS, _NEAR_SHARE * float(np.linalg.norm(level - middle)))
    far = (degrees / _NEAR_DEGREES) ** 2 + (np.linalg.norm(offset, axis=1) / allowed) ** 2
    share = np.exp(-0.5 * (far - far.min()))
    return share / share.sum(), degrees


def _spread(value: float, bins: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    width = bins[1] - bins[0]
    near = np.exp(-0.5 * ((bins - np.clip(value, bins[0], bins[-1])) / (0.6 * width)) ** 2)
    return near / near.sum()
