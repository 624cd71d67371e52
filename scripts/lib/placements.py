"""How well sherds are placed by their shape: errors of the axis, of sizes, of the restored pot."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from tqdm import tqdm

from scripts.lib.placement_cases import Case, ends, known
from voxgan_jax.inference import completer
from voxgan_jax.placement import place
from voxgan_jax.placement.view import Sight
from voxgan_jax.scan import formats
from voxgan_jax.scan.pose import Placement

_POINTS = 4000  # of a scan, at which radii are compared
_RIM = 1.0  # voxels from a pot's top within which a scan's points are the rim's


def score(
    model: completer.Completer, found: Iterator[Case], count: int, told: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Place each case with each of `told` known: what is measured of it, a row for each.

    What cannot be placed is named on stderr and has a row without measures.

    Args:
        count: of the cases, for the progress that is shown.
    """
    for case in tqdm(found, total=count, disable=None):
        best = overlap(case, restored(case, case.given, None, model))
        for now in told:
            if now == "rim or base" and not any(ends(case)):
                continue
            row = {"name": case.name, "kind": case.kind, "share": case.share, "told": now}
            row |= {"rim": ends(case)[0], "best": best}
            began = time.perf_counter()
            try:
                made = place.place(model, Sight(case.scan), known(case, now))
                seconds = time.perf_counter() - began
                labels = formats.in_cube(case.scan, made, model.resolution).labels > 0
            except ValueError as error:
                print(f"{case.name} ({case.kind}, {now}): {error}", file=sys.stderr)
                yield row
                continue
            pot = restored(case, labels, made, model)
            iou = overlap(case, pot)
            yield (
                row
                | errors(case, made)
                | aside(case, pot)
                | {"iou": iou, "lost": best - iou, "confidence": made.share, "seconds": seconds}
            )


def errors(case: Case, made: Placement) -> dict[str, Any]:
    """How far a placement is from the truth.

    `angle`: of the axis, in degrees. `aside`, `aside_mm`: how far the axis passes from the true one
    level with the sherd's middle, in voxels and in mm. `scale`: of the voxels' size. `height`: of
    the sherd's middle in the cube, in voxels. `up`: whether the right end is. `at_sherd`: of the
    pot's diameter where the sherd is, `at_rim` where the sherd has its rim (if it has), `tall` of
    the pot's height, as shares of the true ones.
    """
    cosine = float(made.direction @ case.up)
    middle = np.argwhere(case.given).mean(0)
    offset = case.on_axis(middle[2]) - made.point
    off = np.linalg.norm(offset - (offset @ made.direction) * made.direction)
    at = case.matrix[:3, :3] @ middle + case.matrix[:3, 3]
    inside = np.linalg.inv(made.matrix) @ np.append(at, 1)
    rows = np.flatnonzero(case.pot.any(axis=(0, 1)))
    points = np.asarray(case.scan.vertices)
    points = points[:: max(len(points) // _POINTS, 1)]
    away = points - case.on_axis(rows.min() - 0.5)
    wider = _radius(points - made.point, made.direction) / _radius(away, case.up)
    at_rim = -(away @ case.up) < _RIM * case.step
    return {
        "angle": float(np.degrees(np.arccos(min(abs(cosine), 1)))),
        "aside": float(off) / case.step,
        "aside_mm": float(off),
        "scale": made.voxel_mm / case.step - 1,
        "height": float(abs(inside[2] - middle[2])),
        "up": cosine > 0,
        "at_sherd": float(np.median(wider)) - 1,
        "at_rim": float(np.median(wider[at_rim])) - 1 if ends(case)[0] and at_rim.any() else None,
        "tall": made.height_mm / (len(rows) * case.step) - 1,
    }


def _radius(
    away: Float[np.ndarray, "n 3"], direction: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " n"]:
    return np.maximum(np.linalg.norm(np.cross(away, direction), axis=1), 1e-6)


def restored(
    case: Case,
    given: Bool[np.ndarray, "r r r"],
    made: Placement | None,
    model: completer.Completer,
) -> Bool[np.ndarray, "r r r"]:
    """The pot that the model makes of a sherd's voxels, on the grid of the true one.

    Args:
        made: the placement that these voxels come from; None: the true one.
    """
    row = jnp.asarray(given[None, ..., None], jnp.float32)
    answer = np.where(given, 1.0, np.asarray(model.predict(row))[0, ..., 0])
    if made is not None:
        back = np.linalg.inv(made.matrix) @ case.matrix
        cells = np.indices(given.shape).reshape(3, -1)
        where = back[:3, :3] @ cells + back[:3, 3:]
        answer = np.asarray(ndimage.map_coordinates(answer, where, order=1)).reshape(given.shape)
    return (answer > model.threshold) | case.given


def overlap(case: Case, pot: Bool[np.ndarray, "r r r"]) -> float:
    """Its IoU with the true pot."""
    return float((pot & case.pot).sum() / (pot | case.pot).sum())


def aside(case: Case, pot: Bool[np.ndarray, "r r r"]) -> dict[str, float]:
    """The mean distance between the walls of a restored pot and the true ones, either way, in
    shares of the pot's diameter: `wall` of all, `wall_near` within half the sherd's height of it.
    """
    diameter = max(float(np.ptp(cells) + 1) for cells in np.nonzero(case.pot)[:2])
    rows = np.flatnonzero(case.given.any(axis=(0, 1)))
    half = max((np.ptp(rows) + 1) / 2, 1)
    row = np.arange(pot.shape[2])
    near = (row >= rows.min() - half) & (row <= rows.max() + half)
    one, other = (
        wall & ~np.asarray(ndimage.binary_erosion(wall), bool) for wall in (pot, case.pot)
    )
    found = {}
    for name, part in (("wall", np.ones_like(near)), ("wall_near", near)):
        ways = [_way(a & part, b) for a, b in ((one, other), (other, one))]
        found[name] = float(np.mean(ways)) / diameter
    return found


def _way(start: Bool[np.ndarray, "r r r"], end: Bool[np.ndarray, "r r r"]) -> float:
    """The mean distance in voxels from one surface to another; a cube's side where one is empty."""
    if not (start.any() and end.any()):
        return float(len(start))
    away = np.asarray(ndimage.distance_transform_edt(~end))
    return float(away[start].mean())
