"""How far to trust a completion, from what the model itself says: for input of any kind.

The model answers everything, a chair too. Seven numbers tell a sherd that it understands from one
that it does not; none needs the training pots. A logistic rule of a few coefficients, fitted on
pots that were not trained on (scripts/calibrate_confidence.py), turns them into the IoU to
be expected, and bounds taken from the same pots tell what is unlike all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import skimage.measure
from jaxtyping import Bool, Float, Int
from scipy import ndimage, special

from voxgan_jax.geometry import wheel
from voxgan_jax.inference.bridge import Pieces
from voxgan_jax.scan.pose import Doubt, Placement, Word, word_of

Voxels = Bool[np.ndarray, "r r r"]
Volume = Float[np.ndarray, "r r r"]

HIGH, FAIR = 0.75, 0.55
"""From this expected IoU on, a completion is trusted: much, and somewhat."""

WORDS: tuple[Word, ...] = ("high", "fair", "low")

STRANGE = "low: this does not look like a sherd of the pots that the model knows"

_SECTORS = 64


class Features(NamedTuple):
    """What is measured about an answer.

    `own_iou`: the IoU that is to be expected if every probability is right. `log_share`: of the
    answer, how much was given, as a decimal logarithm. `support`: of the given voxels, how many the
    model believes in on their ring elsewhere. `filled`: of the voxels that the model sees in the
    sector of the sherd, how many the sherd has. `thickness`: twice the mean distance of a given
    voxel from empty ones, in voxels. `log_piece`: given voxels a connected piece, as a decimal
    logarithm. `branches`: in how many separate directions from the axis a piece lies at one height,
    a mean over heights: 1 for most sherds, more for what has legs.
    """

    own_iou: float
    log_share: float
    support: float
    filled: float
    thickness: float
    log_piece: float
    branches: float


SUSPICIONS: dict[str, tuple[str | None, str | None]] = {
    "support": ("turned about the axis it does not give the pot that the model sees", None),
    "filled": ("it lacks much of what a pot would have at its place", None),
    "thickness": ("it is thinner than a wall", "it is thicker than a wall"),
    "log_piece": ("it is in crumbs", None),
    "branches": (None, "it branches, as if it had legs"),
}
"""What it means when a feature lies below or above its bounds; None where that is no fault."""


class Rule(NamedTuple):
    """The fitted rule: expected IoU = sigmoid(intercept + Σ coefficient · feature), and bounds."""

    intercept: float
    coefficients: Mapping[str, float]
    bounds: Mapping[str, Sequence[float]]


class Confidence(NamedTuple):
    """`word` is high, fair or low; `sentence` says it in plain words, with the reason."""

    word: Word
    expected_iou: float
    sentence: str


def measure(partial: Voxels, probabilities: Volume, threshold: float = 0.5) -> Features:
    """The features of one answer, both grids in the model's cube, whose middle is the axis.

    Args:
        partial: the given voxels, at least one.
        probabilities: the model's answer in [0, 1].
        threshold: the one that turns it into voxels; what is given belongs to it anyway.
    """
    given = int(partial.sum())
    answer = partial | (probabilities > threshold)
    (box,) = ndimage.find_objects(partial.astype(np.uint8))
    sherd = np.pad(partial[box], 1)
    pieces = np.asarray(skimage.measure.label(sherd, connectivity=3))
    depth = np.asarray(ndimage.distance_transform_edt(sherd))
    hit, sector = _directions(partial)
    return Features(
        own_iou=own_iou(partial, probabilities, threshold),
        log_share=float(np.log10(given / answer.sum())),
        support=_support(partial, probabilities),
        filled=float(given / (answer & hit[sector]).sum()),
        thickness=float(2 * depth.sum() / given),
        log_piece=float(np.log10(given / pieces.max())),
        branches=_branches(hit[:, box[2]], pieces[..., 1:-1]),
    )


def own_iou(partial: Voxels, probabilities: Volume, threshold: float) -> float:
    """The IoU that is to be expected of an answer if every probability is right."""
    sure = np.where(partial, 1.0, probabilities)
    answer = partial | (probabilities > threshold)
    return float(sure[answer].sum() / (answer.sum() + sure[~answer].sum()))


def _directions(partial: Voxels) -> tuple[Bool[np.ndarray, "sectors r"], Int[np.ndarray, "r r"]]:
    """In which directions from the axis there is sherd at each height, and the columns' ones."""
    side = partial.shape[0]
    offset = np.arange(side) - (side - 1) / 2
    angle = np.arctan2(offset[:, None], offset) / (2 * np.pi) + 0.5
    sector = np.minimum((angle * _SECTORS).astype(int), _SECTORS - 1)
    hit = np.zeros((_SECTORS, side), bool)
    d, h, w = np.nonzero(partial)
    hit[sector[d, h], w] = True
    return hit, sector


def _branches(
    hit: Bool[np.ndarray, "sectors heights"], pieces: Int[np.ndarray, "d h heights"]
) -> float:
    """Runs of directions for each piece that there is at a height, a mean over heights."""
    # Coarse ones: near the axis there are fewer voxels than fine directions.
    hit = np.asarray(hit.reshape(_SECTORS // 4, 4, -1).any(axis=1))
    runs = np.maximum((hit & ~np.roll(hit, 1, axis=0)).sum(axis=0), hit.any(axis=0))
    present = [len(np.unique(level[level > 0])) for level in np.moveaxis(pieces, 2, 0)]
    used = runs > 0
    return float(np.mean(runs[used] / np.array(present)[used]))


def _support(partial: Voxels, probabilities: Volume) -> float:
    """The mean over given voxels of the probability of their ring where nothing is given.

    A voxel whose ring is given all round has none to ask; it is left out, and so are all in the
    whole pot, of which 1 is returned.
    """
    side = partial.shape[0]
    ring = wheel.nearest_rings(side).ravel()
    member = (np.arange(ring.max() + 1)[:, None] == ring).astype(np.float32)
    known = partial.reshape(-1, side)
    given = member @ known
    unknown = member.sum(1, keepdims=True) - given
    believed = member @ np.where(known, 0, probabilities.reshape(-1, side)).astype(np.float32)
    asked = unknown > 0.5
    mean = believed[asked] / unknown[asked]
    weight = given[asked].sum()
    return float((given[asked] * mean).sum() / weight) if weight else 1.0


def expected_iou(rule: Rule, features: Features) -> float:
    """The IoU that the rule expects of an answer with these features, in 0…1."""
    values = features._asdict()
    total = sum(slope * values[name] for name, slope in rule.coefficients.items())
    return float(special.expit(rule.intercept + total))


def judge(rule: Rule, features: Features) -> Confidence:
    """How far to trust an answer with these features."""
    expected = expected_iou(rule, features)
    reasons = []
    for name, words in SUSPICIONS.items():
        value, (low, high) = getattr(features, name), rule.bounds[name]
        reasons += [words[side] for side, out in enumerate((value < low, value > high)) if out]
    reasons = [reason for reason in reasons if reason]
    if reasons:
        return Confidence("low", expected, f"{STRANGE}: {'; '.join(reasons)}")
    word = "high" if expected >= HIGH else "fair" if expected >= FAIR else "low"
    return Confidence(word, expected, f"{word}: expected overlap with the true pot {expected:.2f}")


def of_pot(found: Confidence, pieces: Pieces | None) -> Confidence:
    """A confidence as that of a pot: never high where it is in pieces or its floor is open.

    `expected_iou`, which counts voxels, stays.
    """
    if pieces is None or found.word == "low" or not (pieces.left > 1 or pieces.is_open):
        return found
    why = [f"it is in {pieces.left} pieces"] if pieces.left > 1 else []
    why += ["its floor is open"] if pieces.is_open else []
    sentence = found.sentence.partition(": ")[2]
    return found._replace(word="fair", sentence=f"fair: {' and '.join(why)}; {sentence}")


def bounded(
    found: Confidence | None, placement: Placement | None, doubts: Sequence[Doubt] = ()
) -> Confidence | None:
    """A confidence as it is to be shown: no higher than that of the place of the sherd, nor than
    what speaks against it allows.

    `judge` takes the sherd to lie where it was placed. Where that is not sure, the lesser of the
    two words stands for both, and the sentence tells both; `expected_iou` stays that of a sherd
    which lay there.

    Args:
        placement: None where none was estimated.
    """
    if found is None:
        return None
    if doubts:
        words = [found.word, *(word_of(doubt.share) for doubt in doubts)]
        words += [placement.word] if placement else []
        word = max(words, key=WORDS.index)
        sentence = f"{word}: {doubts[0].text}; but for that it would be {found.sentence}"
        return found._replace(word=word, sentence=sentence)
    if placement is None or placement.word == "high":
        return found
    place, share = placement.word, round(placement.share, 3)
    word = max(found.word, place, key=WORDS.index)
    sentence = (
        f"{word}: the confidence of its place is {place} ({share:.2f}); if it lay there as"
        f" placed, that of the pot is {found.sentence}"
    )
    return found._replace(word=word, sentence=sentence)


def from_card(card: Mapping[str, Any]) -> Rule | None:
    """The rule that a model's card holds (`confidence`); None where there is none for `Features`.

    A rule that was fitted by another version, for other features, counts as none.
    """
    held = card.get("confidence", {})
    if not all(name in held for name in Rule._fields):
        return None
    rule = Rule(*(held[name] for name in Rule._fields))
    known = set(rule.coefficients) == set(Features._fields) and set(rule.bounds) == set(SUSPICIONS)
    return rule if known else None
