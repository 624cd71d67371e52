"""Pots of named forms, drawn by hand as outlines: a test of how well a model travels.

They share nothing with what models are trained on: no recipe of `pottery`, only points read
off what such vessels look like, and a smooth curve through them. Each drawing of a form differs: it
is stretched, bent and thicker or thinner.
"""

import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import interpolate

from voxgan_jax.data import vox
from voxgan_jax.geometry import half_section, lathe
from voxgan_jax.pottery.fracture import fracture

Points = Sequence[tuple[float, float]]
SIDE = 64
FRAGMENTS = (4, 14)
_THIN = 2.2  # the least wall in voxels


class Outline(NamedTuple):
    """Half a section, in units of its own; points are (radius, height).

    `foot` are corners from the axis along the underside; `wall` is the outside from there to the
    lip, smooth but at the indices in `corners`; `thick` is the wall at stations evenly along it,
    `floor` how high the inside begins above the wall's start.
    """

    foot: Points
    wall: Points
    thick: Sequence[float]
    floor: float
    corners: Sequence[int] = ()


FORMS = {
    "neck amphora": Outline(
        ((0, 3), (9, 2), (11, 0), (15, 0), (15, 3), (11, 5)),
        (
            (11, 5),
            (22, 22),
            (30, 45),
            (28, 62),
            (14, 72),
            (11.5, 76),
            (11, 88),
            (17, 96),
            (17, 100),
        ),
        (5, 4, 4, 4, 4, 4.5),
        5,
        (5, 7),
    ),
    "transport amphora": Outline(
        ((0, 0), (2.5, 0), (3.5, 3), (3, 9)),
        ((3, 9), (11, 26), (18, 48), (20, 64), (18, 74), (8.5, 82), (8, 96), (10, 97), (10, 101)),
        (6, 4, 3.4, 3.4, 3.4, 4),
        9,
        (7,),
    ),
    "kylix": Outline(
        ((0, 10), (3, 8), (12, 0), (19, 0), (19, 2.5), (6, 8), (4.5, 18)),
        ((4.5, 18), (20, 20), (36, 27), (45, 36), (50, 40)),
        (4.5, 4, 3.6, 3.4, 3),
        4.5,
    ),
    "skyphos": Outline(
        ((0, 3), (13, 3), (14, 0), (18, 0), (18.5, 5), (17, 7)),
        ((17, 7), (27, 18), (33, 34), (34, 48), (33, 60)),
        (4, 3.6, 3.4, 3.2, 3),
        5,
    ),
    "tea bowl": Outline(
        ((0, 2), (8, 2), (9, 0), (12, 0), (12, 4)),
        ((12, 4), (22, 7), (28, 14), (31, 26), (30, 36), (32, 44)),
        (5, 4.5, 4, 4, 3.4),
        5,
    ),
    "albarello": Outline(
        ((0, 1), (14, 1), (16, 0), (19, 0), (18, 5), (24, 10)),
        ((24, 10), (21, 22), (19.5, 40), (21, 58), (24, 70), (17, 76), (16.5, 80), (21, 86)),
        (4.5, 4, 3.8, 3.8, 3.6, 4),
        5,
        (4,),
    ),
    "olla": Outline(
        ((0, 0), (13, 0)),
        ((13, 0), (28, 13), (37, 32), (34, 52), (24, 62), (22, 64), (30, 71), (32, 71)),
        (4.5, 4, 3.6, 3.6, 4, 4),
        5,
        (5,),
    ),
    "dinos": Outline(
        ((0, 0),),
        ((0, 0), (16, 3), (32, 16), (38, 36), (32, 54), (22, 61), (21, 64), (30, 66)),
        (5, 4.4, 4, 4, 4, 4.6),
        4.5,
        (6,),
    ),
    "column krater": Outline(
        ((0, 5), (14, 4), (18, 0), (23, 0), (23, 4), (15, 8)),
        ((15, 8), (32, 28), (38, 48), (33, 62), (25, 67), (24, 80), (36, 81), (36, 86)),
        (5, 4.2, 4, 4, 4, 5),
        5,
        (4, 5, 6),
    ),
    "calyx krater": Outline(
        ((0, 6), (10, 5), (18, 0), (24, 0), (24, 5), (14, 9), (13, 12)),
        ((13, 12), (24, 14), (32, 22), (33, 30), (34, 54), (42, 76), (46, 78)),
        (5, 4.4, 4, 4, 4),
        5,
        (3,),
    ),
    "hydria": Outline(
        ((0, 4), (9, 3), (12, 0), (16, 0), (16, 3), (10, 7)),
        ((10, 7), (22, 28), (30, 52), (28, 62), (12, 69), (10, 72), (10.5, 86), (19, 92), (20, 95)),
        (5, 4, 4, 4, 4, 4),
        5,
        (3, 5),
    ),
    "unguentarium": Outline(
        ((0, 0), (7, 0), (7.5, 4)),
        ((7.5, 4), (5, 16), (8, 30), (15, 46), (11, 60), (6.3, 70), (6, 88), (9, 98)),
        (4, 4, 3.6, 3.6, 3.4, 3.4),
        16,
    ),
    "mortarium": Outline(
        ((0, 0), (20, 0), (21, 3)),
        ((21, 3), (34, 15), (43, 29), (44, 31), (57, 27), (58, 31), (48, 37)),
        (7, 6, 6, 6, 5),
        6,
        (3, 4, 5),
    ),
    "storage jar": Outline(
        ((0, 1.5), (17, 1), (20, 0)),
        ((20, 0), (31, 22), (36, 46), (33, 64), (25, 73), (24, 75), (24, 84), (28, 84), (28, 88)),
        (5.5, 4.4, 4.2, 4.2, 4.4, 4.6),
        6,
        (5, 6, 7),
    ),
    "long-necked flask": Outline(
        ((0, 2), (10, 2), (12, 0), (15, 0), (15, 3)),
        ((15, 3), (26, 16), (28, 30), (19, 44), (8.5, 52), (7, 60), (7, 86), (10, 95), (12, 96)),
        (4.6, 4, 4, 3.8, 3.6, 3.6),
        5,
    ),
    "indented beaker": Outline(
        ((0, 0), (9, 0), (10, 2), (9, 6)),
        ((9, 6), (18, 20), (24, 42), (23, 60), (18, 70), (18, 73), (22, 79)),
        (4, 3.4, 3.2, 3.2, 3.2),
        5,
        (4,),
    ),
    "pithos": Outline(
        ((0, 0), (12, 0)),
        ((12, 0), (25, 26), (38, 58), (39, 74), (30, 88), (25, 92), (25, 95), (33, 96), (33, 102)),
        (7, 5, 4.8, 4.8, 5, 5.5),
        7,
        (5, 6, 7),
    ),
    "lekythos": Outline(
        ((0, 3), (11, 3), (13, 0), (18, 0), (18, 5), (10, 9)),
        (
            (10, 9),
            (18, 24),
            (20, 48),
            (19.5, 62),
            (7.5, 70),
            (6.5, 74),
            (6.5, 86),
            (12, 90),
            (14, 101),
        ),
        (4.2, 3.8, 3.6, 3.6, 3.6, 4),
        5,
        (3, 6),
    ),
    "alabastron": Outline(
        ((0, 0),),
        ((0, 0), (11, 4), (17, 22), (16, 44), (12, 64), (7.6, 78), (7.4, 83), (17, 85), (17, 88)),
        (5, 4, 3.8, 3.8, 3.8, 4),
        5,
        (6, 7),
    ),
    "footed plate": Outline(
        ((0, 3), (20, 3), (21, 0), (25, 0), (25, 4)),
        ((25, 4), (38, 7), (45, 13), (47, 14), (59, 16)),
        (4.2, 4, 3.8, 3.8, 3.4),
        4.4,
        (3,),
    ),
}


def draw(name: str, rng: np.random.Generator) -> Float[np.ndarray, "n 2"]:
    """A drawing of a form: (height index, radius) from the axis to the axis, as big as the cube."""
    form = FORMS[name]
    tall, stout = np.exp(rng.normal(0, (0.1, 0.15)))
    wave, phase, bend = rng.uniform(0.5, 1.5), rng.uniform(0, 2 * np.pi), rng.normal(0, 0.05)
    top = form.wall[-1][1]

    def varied(points: Points) -> Float[np.ndarray, "n 2"]:
        r, z = np.array(points, float).T
        return np.stack([r * (1 + bend * np.sin(wave * np.pi * z / top + phase)), tall * z], axis=1)

    foot, wall = varied(form.foot), _smooth(varied(form.wall), form.corners)
    # So that no wall is too thin when the pot is as big as the cube.
    size = max(np.ptp(wall[:, 1]), 2 * wall[:, 0].max())
    stations = np.maximum(np.array(form.thick) * stout, _THIN * size / SIDE)
    outline = np.concatenate([foot, wall[1 if np.allclose(foot[-1], wall[0]) else 0 :]])
    outline = np.concatenate([outline, _inside(wall, stations, form.floor * stout)])
    low, high = outline.min(0), outline.max(0)
    scale = SIDE / max(high[1] - low[1], 2 * high[0])
    r, z = (outline * scale).T
    middle = (SIDE - 1) / 2
    return np.stack([middle - (z - (low[1] + high[1]) / 2 * scale), r], axis=1)


def _smooth(points: Float[np.ndarray, "n 2"], corners: Sequence[int]) -> Float[np.ndarray, "m 2"]:
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) ** 0.7)])
    pieces = []
    for a, b in itertools.pairwise([0, *corners, len(points) - 1]):
        steps = np.linspace(along[a], along[b], 14 * (b - a) + 1)
        if b - a == 1:
            pieces.append(np.linspace(points[a], points[b], 8)[1 if a else 0 :])
            continue
        curve = interpolate.CubicSpline(along[a : b + 1], points[a : b + 1], bc_type="natural")
        pieces.append(curve(steps)[1 if a else 0 :])
    return np.concatenate(pieces)


def _inside(
    wall: Float[np.ndarray, "n 2"], stations: Float[np.ndarray, "k"], floor: float
) -> Float[np.ndarray, "m 2"]:
    """From the lip down the inside to the axis: the wall's inner side, without folds."""
    step = np.gradient(wall, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(wall, axis=0), axis=1))])
    thick = np.interp(place / place[-1], np.linspace(0, 1, len(stations)), stations)
    inner = wall + thick[:, None] * np.stack([-step[:, 1], step[:, 0]], axis=1)
    # Nearer to the outside than the wall is thick: in a fold of a corner.
    off = np.linalg.norm(inner[:, None] - wall[None], axis=2).min(1)
    level = wall[0, 1] + floor
    kept = (off > 0.995 * thick) & (inner[:, 1] > level) & (inner[:, 0] > 0.5 * stations.min())
    inner = inner[kept][::-1]
    # A lip that is a half circle.
    a, b = wall[-1], wall[-1] + thick[-1] * np.array([-step[-1, 1], step[-1, 0]])
    turn = np.linspace(0, np.pi, 9)[1:-1, None]
    lip = (a + b) / 2 + (a - b) / 2 * np.cos(turn) + thick[-1] / 2 * step[-1] * np.sin(turn)
    return np.concatenate([lip, inner, [[inner[-1, 0], level], [0.0, level]]])


def voxels(outline: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "d h w"]:
    """A drawing turned, in its box."""
    clay = lathe.field(half_section.signed_distance([outline], SIDE), SIDE) < 0
    low, high = np.argwhere(clay).min(0), np.argwhere(clay).max(0) + 1
    return clay[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]


def write(out_dir: pathlib.Path, *, seed: int = 0, each: int = 3) -> list[pathlib.Path]:
    """Write so many drawings of every form, broken, as `.vox` files of a test split.

    Raises:
        FileExistsError: the folder holds `.vox` files already.
    """
    if any(out_dir.rglob("*.vox")):
        raise FileExistsError(f"{out_dir}: it holds .vox files already; name another folder")
    written = []
    for number, (name, outline, rng) in enumerate(drawings(seed, each)):
        pieces = int(rng.integers(FRAGMENTS[0], FRAGMENTS[1] + 1))
        folder = out_dir / "test" / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        pot = f"{name.replace(' ', '-')}_{number % each + 1}"
        path = folder / f"{pot}-n{pieces:03d}-t{seed}.vox"
        vox.write(path, fracture(rng, voxels(outline), pieces))
        written.append(path)
    return written


def drawings(
    seed: int, each: int
) -> Iterator[tuple[str, Float[np.ndarray, "n 2"], np.random.Generator]]:
    """So many drawings of every form, with the form's name and the chance that is left of it."""
    for number, name in enumerate(FORMS):
        for k in range(each):
            rng = np.random.default_rng([seed, number, k])
            yield name, draw(name, rng), rng
