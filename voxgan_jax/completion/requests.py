"""What is asked of the model: a pot in its box, and which of its fragments are given."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from voxgan_jax.completion import scans
from voxgan_jax.completion.model import Completer
from voxgan_jax.data import fragments, grid

if TYPE_CHECKING:
    import trimesh


class UnknownFragmentError(ValueError):
    """A fragment id that the file does not have."""


class Request(NamedTuple):
    """A pot to complete: which of its labels are given, and what the errors call it.

    `matrix` maps the indices of `labels` to the file's coordinates in mm (`mesh.frame`); None
    stands for voxels of 1 mm. `scan` is what was read, in mm, where that was a mesh.
    """

    labels: UInt8[np.ndarray, "_ _ _"]
    ids: Sequence[int] | None = None
    source: str = ""
    matrix: Float[np.ndarray, "4 4"] | None = None
    scan: "trimesh.Trimesh | None" = None


def given_labels(
    labels: UInt8[np.ndarray, "d h w"], ids: Sequence[int] | None, source: str = ""
) -> Bool[np.ndarray, "256"]:
    """Which labels of a file are given: those of the named fragments, or all where none is named.

    Raises:
        UnknownFragmentError: the file has no such fragment.
        ValueError: the file is empty.
    """
    present = fragments.fragment_ids(labels)
    if not present:
        raise ValueError(f"{source}: it holds no voxel")
    if not ids:
        return np.arange(256) > 0
    missing = sorted(set(ids) - set(present))
    if missing:
        raise UnknownFragmentError(
            f"{source}: no fragment {missing[0]}; it has {', '.join(map(str, present))}"
        )
    return fragments.given_table(ids)


def request_of(
    completer: Completer,
    path: pathlib.Path,
    ids: Sequence[int] | None,
    fixed_fragment: bool,
    placing: Mapping[str, Any],
) -> Request | OSError | ValueError:
    """A file's request, or why it cannot be completed."""
    try:
        scan = scans.read(path, longest=completer.resolution * completer.pool, **placing)
        labels = scan.labels
        if fixed_fragment and labels.any():
            ids = [fragments.fixed_fragment(path.name, fragments.fragment_ids(labels))]
        request = Request(labels, sorted(set(ids or ())), str(path), scan.matrix, scan.mesh)
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
