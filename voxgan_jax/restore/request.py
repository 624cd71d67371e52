"""What is asked of the model: a pot in its box, and which of its fragments are given."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from voxgan_jax.data import fragments, grid
from voxgan_jax.geometry import surface as meshes
from voxgan_jax.inference.answer import Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.predict import given_labels
from voxgan_jax.placement import place
from voxgan_jax.scan import formats

_SCALELESS = (".vox", ".npy", ".npz")
"""Files of these formats do not say how big a voxel is."""


def request_of(
    completer: Completer,
    path: pathlib.Path,
    ids: Sequence[int] | None,
    fixed_fragment: bool,
    placing: Mapping[str, Any],
) -> Request | OSError | ValueError:
    """A file's request, or why it cannot be completed.

    Args:
        placing: what is known, as `cli_placing.placing` gives it: the options of `scans.read`, and
            `axis`, `rim`, `base`, `as_is` and `place`, which decide whether a mesh is placed by
            its shape (`estimated`).
    """
    try:
        scan = _read(completer, path, placing)
        labels = scan.labels
        if fixed_fragment and labels.any():
            ids = [fragments.fixed_fragment(path.name, fragments.fragment_ids(labels))]
        known = bool(placing.get("voxel_mm")) or path.suffix.lower() not in _SCALELESS
        request = Request(
            labels, sorted(set(ids or ())), str(path), scan.matrix, scan.mesh, scan.placement, known
        )
        # Found here, so that one file's fault does not stop the whole batch.
        given_labels(*request[:3])
        grid.region(
            labels.shape,
            completer.resolution,
            pool=completer.pool,
            placement=completer.placement,
            source=str(path),
        )
        return request
    except (OSError, ValueError) as error:
        return error


def estimated(placing: Mapping[str, Any]) -> bool:
    """Whether a mesh's place in its pot is looked for, and not that of the file.

    The file's is taken with `as_is`, with `voxel_mm`, and where both sizes of the pot are given,
    which tell its box; but not with `place`, nor with what only a search can use.
    """
    if placing.get("as_is"):
        return False
    if any(placing.get(name) for name in ("place", "axis", "rim", "base")):
        return True
    boxed = placing.get("height_mm") and placing.get("diameter_mm")
    return not (placing.get("voxel_mm") or boxed)


def _read(completer: Completer, path: pathlib.Path, placing: Mapping[str, Any]) -> formats.Scan:
    """The scan of a file, placed.

    Raises:
        OSError, ValueError: see `scans.read` and `placement.place`; or options that do not go
            together.
    """
    ours = ("axis", "rim", "base", "as_is", "place")
    told = {name: value for name, value in placing.items() if name not in ours}
    is_mesh = path.suffix.lower() in formats.MESHES
    lost = [name for name in ("axis", "rim", "base") if placing.get(name)]
    if lost and (placing.get("as_is") or not is_mesh):
        why = "with --as-is" if is_mesh else "for a file of voxels, which is the pot's box"
        raise ValueError(f"{path}: --{lost[0]} has no use {why}; leave it out")
    if placing.get("axis") is not None and told.get("up") is not None:
        raise ValueError(f"{path}: --axis and --up both say where the rim is; give one")
    side = completer.resolution * completer.pool
    if not is_mesh or not estimated(placing):
        return formats.read(path, longest=side, **told)
    mesh = formats.read_mesh(path, told.get("unit"))
    formats.check_sizes(path, told)
    known = place.Known(
        direction=_direction(placing),
        height=told.get("height_mm"),
        diameter=told.get("diameter_mm"),
        voxel=(told.get("voxel_mm") or 0) * side / place.CUBE or None,
        rim=bool(placing.get("rim")),
        base=bool(placing.get("base")),
    )
    try:
        found = place.place(completer, mesh, known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return formats.placed(mesh, found, side)


def _direction(placing: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """From base to rim, where that is known."""
    if placing.get("axis") is not None:
        x, y, z = placing["axis"]
        return float(x), float(y), float(z)
    up = placing.get("up")
    if up is None:
        return None
    made = [0.0, 0.0, 0.0]
    made[meshes.axes(up)[0]] = -1.0 if up.startswith("-") else 1.0
    return made[0], made[1], made[2]
