"""How well sherds are placed by their shape: known fragments in random poses and sizes."""

import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from scripts.lib.tables import table as markdown
from voxgan_jax.data import folder, fragments
from voxgan_jax.geometry import rings, surface
from voxgan_jax.inference import completer
from voxgan_jax.placement import place
from voxgan_jax.placement.candidate import Known
from voxgan_jax.scan import formats
from voxgan_jax.scan.pose import FAIR, HIGH, Placement

TOLD = (
    "nothing",
    "rim or base",
    "axis",
    "diameter",
    "height, diameter",
    "axis, diameter",
    "axis, both sizes",
)
_KEYS = ("angle", "aside", "scale", "height", "up", "iou", "lost")


class Case(NamedTuple):
    """A sherd as a scan, and the truth: `matrix` maps the cube's indices to its coordinates."""

    name: str
    share: float
    scan: Any
    matrix: Float[np.ndarray, "4 4"]
    pot: Bool[np.ndarray, "r r r"]
    given: Bool[np.ndarray, "r r r"]
    axis: Float[np.ndarray, "2"]


def score(
    model: completer.Completer, found: Iterator[Case], count: int, told: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Place each of so many cases with each of `told` known: errors, IoU, confidence.

    What cannot be placed is named on stderr and left out.
    """
    for case in tqdm(found, total=count, disable=None):
        best = overlap(case, case.given, case.matrix, case.matrix, model)
        for told_now in told:
            if told_now == "rim or base" and not any(ends(case)):
                continue
            try:
                made = place.place(model, case.scan, known(case, told_now))
            except ValueError as error:
                print(f"{case.name} ({told_now}): {error}", file=sys.stderr)
                continue
            labels = formats.in_cube(case.scan, made, model.resolution).labels > 0
            iou = overlap(case, labels, made.matrix, case.matrix, model)
            yield (
                {"name": case.name, "share": case.share, "told": told_now, "best": best}
                | errors(case, made)
                | {"iou": iou, "lost": best - iou, "confidence": made.share}
            )


def cases(
    pots: Iterator[folder.PotFile], rng: np.random.Generator, least_share: float, count: int
) -> Iterator[Case]:
    """The fixed fragment of one file of each pot, drawn from those where it is big enough, in a
    random pose."""
    drawn: dict[str, tuple[folder.PotFile, int, float]] = {}
    seen: dict[str, int] = {}
    for pot in pots:
        counts = fragments.voxel_counts(pot.labels)
        chosen = fragments.fixed_fragment(pot.name, fragments.fragment_ids(pot.labels))
        share = float(counts[chosen] / counts[1:].sum())
        if share >= least_share:
            seen[pot.pot] = seen.get(pot.pot, 0) + 1
            if rng.random() * seen[pot.pot] < 1:
                drawn[pot.pot] = (pot, chosen, share)
    for number in rng.permutation(len(drawn))[:count]:
        pot, chosen, share = list(drawn.values())[number]
        yield _case(pot, chosen, share, rng)


def _case(pot: folder.PotFile, chosen: int, share: float, rng: np.random.Generator) -> Case:
    given = pot.labels == chosen
    turn = np.eye(4)
    turn[:3, :3] = Rotation.random(rng=rng).as_matrix()
    turn[:3, 3] = rng.uniform(-100, 100, 3)
    matrix = turn @ surface.frame(given.shape, float(rng.uniform(1.5, 8)), up="z")
    field = surface.smooth(given)
    scan = surface.surface(field, given, matrix, surface.find_level(field, given))
    clay = jnp.asarray(pot.labels > 0, jnp.float32)[None, ..., None]
    axis = np.asarray(rings.round_axis(clay))[0].astype(float)
    return Case(pot.name, share, scan, matrix, pot.labels > 0, given, axis)


def ends(case: Case) -> tuple[bool, bool]:
    """Whether the sherd holds part of the rim, of the base: of the pot's first or last row."""
    pot, given = (np.flatnonzero(one.any(axis=(0, 1))) for one in (case.pot, case.given))
    return bool(given.min() == pot.min()), bool(given.max() == pot.max())


def known(case: Case, told: str) -> Known:
    """What is told of a case, of `TOLD`, as a user would know it."""
    step = float(np.linalg.norm(case.matrix[:3, 0]))
    d, h, w = (float(np.ptp(cells) + 1) for cells in np.nonzero(case.pot))
    up = -case.matrix[:3, 2] / step
    sizes = {"diameter": max(d, h) * step, "height": w * step}
    rim, base = ends(case) if "rim" in told else (False, False)
    return Known(
        rim=rim,
        base=base,
        direction=(up[0], up[1], up[2]) if "axis" in told else None,
        height=sizes["height"] if "height" in told or "both" in told else None,
        diameter=sizes["diameter"] if "diameter" in told or "both" in told else None,
    )


def errors(case: Case, made: Placement) -> dict[str, Any]:
    """How far a placement is from the truth; lengths in the true voxels."""
    step = np.linalg.norm(case.matrix[:3, 0])
    up = -case.matrix[:3, 2] / step
    cosine = float(made.direction @ up)
    # Where both axes are, at the height of the sherd's middle.
    middle = np.argwhere(case.given).mean(0)
    true = case.matrix[:3, :3] @ np.array([*case.axis, middle[2]]) + case.matrix[:3, 3]
    offset = true - made.point
    aside = np.linalg.norm(offset - (offset @ made.direction) * made.direction) / step
    at = case.matrix[:3, :3] @ middle + case.matrix[:3, 3]
    inside = np.linalg.inv(made.matrix) @ np.append(at, 1)
    row = len(case.given) - 1 - inside[2]
    return {
        "angle": float(np.degrees(np.arccos(min(abs(cosine), 1)))),
        "aside": float(aside),
        "scale": float(made.voxel_mm / step - 1),
        "height": float(abs(row - (len(case.given) - 1 - middle[2]))),
        "up": bool(cosine > 0),
    }


def overlap(
    case: Case,
    given: Bool[np.ndarray, "r r r"],
    matrix: Float[np.ndarray, "4 4"],
    truth: Float[np.ndarray, "4 4"],
    model: completer.Completer,
) -> float:
    """IoU with the true pot of what the model makes of a placed sherd, on the true grid."""
    row = jnp.asarray(given[None, ..., None], jnp.float32)
    answer = np.asarray(model.predict(row))[0, ..., 0]
    answer = np.where(given, 1.0, answer)
    if matrix is not truth:
        back = np.linalg.inv(matrix) @ truth
        cells = np.indices(given.shape).reshape(3, -1)
        where = back[:3, :3] @ cells + back[:3, 3:]
        answer = np.asarray(ndimage.map_coordinates(answer, where, order=1)).reshape(given.shape)
    pot = (answer > model.threshold) | case.given
    return float((pot & case.pot).sum() / (pot | case.pot).sum())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians of the errors and means of the IoU, a line for what was told; then by share."""
    heads = ["told", "sherds", "axis °", "axis voxels", "scale %", "height voxels"]
    heads += ["right end up", "IoU", "lost"]
    lines = []
    groups = [(told, [row for row in rows if row["told"] == told]) for told in TOLD]
    for low, high in ((0, 0.08), (0.08, 0.15), (0.15, 1)):
        part = [row for row in rows if row["told"] == "nothing" and low <= row["share"] < high]
        groups.append((f"nothing; {100 * low:.0f}–{100 * high:.0f} % of the pot", part))
    for told, part in groups:
        if not part:
            continue
        columns = {key: np.array([row[key] for row in part], float) for key in _KEYS}
        columns["scale"] = 100 * np.abs(columns["scale"])
        median = {key: float(np.median(values)) for key, values in columns.items()}
        errors = [f"{median[name]:.1f}" for name in ("angle", "aside", "scale", "height")]
        up = f"{100 * columns['up'].mean():.0f} %"
        means = [f"{columns[name].mean():.3f}" for name in ("iou", "lost")]
        lines.append([told, str(len(part)), *errors, up, *means])
    return markdown(heads, lines)


def calibration(rows: Sequence[Mapping[str, Any]]) -> str:
    """How often a placement is right, by how sure it is said to be."""
    lines = []
    for word, low, high in (("high", HIGH, 1.01), ("fair", FAIR, HIGH), ("low", 0, FAIR)):
        part = [row for row in rows if low <= row["confidence"] < high]
        if part:
            right = np.mean([abs(row["scale"]) < 0.1 and row["up"] for row in part])
            said = np.mean([row["confidence"] for row in part])
            lines.append([word, str(len(part)), f"{said:.2f}", f"{right:.2f}"])
    return markdown(["confidence", "placements", "mean", "right"], lines)


def figure(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> None:
    """The share of sherds below each error of the axis, and below each loss of IoU."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for told in TOLD:
        part = [row for row in rows if row["told"] == told]
        if not part:
            continue
        share = (np.arange(len(part)) + 1) / len(part)
        if "axis" not in told:
            left.step(np.sort([row["angle"] for row in part]), share, where="post", label=told)
        right.step(np.sort([row["lost"] for row in part]), share, where="post", label=told)
    left.set(xlabel="error of the axis (degrees)", ylabel="share of sherds", xlim=(0, 30))
    right.set(xlabel="IoU lost to the placement", xlim=(-0.1, 0.8))
    for axes in (left, right):
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(title="told", fontsize=8, frameon=False, loc="lower right")
    drawn.savefig(path, dpi=150)
    pyplot.close(drawn)
