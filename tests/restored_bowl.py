"""A restored bowl as a page shows it."""

import numpy as np
from turned_pots import bowl, sherd

from voxgan_jax.completion import mesh, missing, outputs, page, section

NAME = 'A <b>"pot"</b> & </script><script>boom()</script>'
STEP = 5.0


def restored() -> page.View:
    """A bowl of one sherd, with one hypothesis and a hostile name."""
    pot = np.flip(bowl(), 2)
    given = np.flip(sherd(bowl()), 2)
    labels = np.where(given, outputs.GIVEN, np.where(pot, outputs.INFERRED, 0)).astype(np.uint8)
    labels[(labels == outputs.INFERRED) & (np.indices(pot.shape)[2] > 16)] = outputs.UNCERTAIN
    matrix = mesh.frame(pot.shape, STEP, up="z")
    belief = pot.astype(np.float32)
    field = mesh.smooth(pot, belief, given)
    whole = mesh.surface(field, pot, matrix, mesh.find_level(field, pot))
    original = mesh.surface(mesh.smooth(given), given, matrix)
    piece = missing.missing_piece(whole, original, STEP)
    assert piece is not None
    wider = whole.copy()
    wider.vertices = (wider.vertices - wider.centroid) * [1.15, 1.15, 1.0] + wider.centroid
    profile = section.profile(labels, belief, STEP)
    counts = {label: int((labels == label).sum()) for label in outputs.NAMES}
    added = counts[outputs.INFERRED] + counts[outputs.UNCERTAIN]
    report = {
        "version": "9.8.7",
        "model": {"name": "revolve64", "trained_on": "<850> pots", "limits": ["No <handles>."]},
        "given_voxels": counts[outputs.GIVEN],
        "inferred_voxels": added,
        "uncertain_voxels": counts[outputs.UNCERTAIN],
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
        labels=mesh.face_labels(whole, labels, matrix),
        original=original,
        missing=piece.mesh,
        hypotheses=[wider],
        matrix=matrix,
        report=report,
        files=["a b_completed.stl", 'q"<i>.json', "javascript:alert(1)"],
        drawing=section.drawing(profile),
    )
