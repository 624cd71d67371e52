"""A restored bowl as a page shows it."""

import numpy as np
from turned_pots import bowl, sherd

from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import GIVEN, INFERRED, UNCERTAIN
from voxgan_jax.report import missing_piece, page, volumes
from voxgan_jax.report import profile as section

NAME = 'A <b>"pot"</b> & </script><script>boom()</script>'
STEP = 5.0


def restored() -> page.View:
    """A bowl of one sherd, with one hypothesis and a hostile name."""
    pot = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2)
    labels = np.where(given, GIVEN, np.where(pot, INFERRED, 0)).astype(np.uint8)
    labels[(labels == INFERRED) & (np.indices(pot.shape)[2] > 16)] = UNCERTAIN
    matrix = surface.frame(pot.shape, STEP, up="z")
    belief = pot.astype(np.float32)
    field = surface.smooth(pot, belief, given)
    whole = surface.surface(field, pot, matrix, surface.find_level(field, pot))
    original = surface.surface(surface.smooth(given), given, matrix)
    piece = missing_piece.missing_piece(whole, original, STEP)
    assert piece is not None
    wider = whole.copy()
    wider.vertices = (wider.vertices - wider.centroid) * [1.15, 1.15, 1.0] + wider.centroid
    profile = section.profile(labels, belief, STEP)
    counts = {label: int((labels == label).sum()) for label in volumes.NAMES}
    added = counts[INFERRED] + counts[UNCERTAIN]
    report = {
        "version": "9.8.7",
        "model": {"name": "revolve64", "trained_on": "<850> pots", "limits": ["No <handles>."]},
        "given_voxels": counts[GIVEN],
        "inferred_voxels": added,
        "uncertain_voxels": counts[UNCERTAIN],
        "share_inferred": added / sum(counts.values()),
        "voxel_mm": STEP,
        "scale": "given",
        "measures": section.measures(profile),
        "confidence": {"word": "fair", "expected_iou": 0.64, "sentence": "fair: it is in crumbs"},
        "placement": {"sentence": "Rim up.", "confidence": 0.8, "runner_ups": [{"sentence": "Ha"}]},
        "missing": {"volume_mm3": 1234.0, "gap_mm": 0.31, "pieces": 2, "clearance_mm": 0.2},
        "hypotheses": [{"share": 0.25, "measures": {"height_mm": 111.0}}],
        "input": {"file": "a.VOX"},
        "options": {"threshold": None, "formats": ["stl", "html"], "deep": {"er": True}},
    }
    return page.View(
        name=NAME,
        pot=whole,
        labels=surface.face_labels(whole, labels, matrix),
        original=original,
        missing=piece.mesh,
        hypotheses=[wider],
        matrix=matrix,
        report=report,
        files=["a b_completed.stl", 'q"<i>.json', "javascript:alert(1)"],
        drawing=section.drawing(profile),
    )
