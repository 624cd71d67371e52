"""What is asked of the model: a pot in its box, and which of its fragments are given."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from voxgan_jax.data import fragments, grid
from voxgan_jax.geometry import surface
from voxgan_jax.inference.answer import Request
from voxgan_jax.inference.completer import Completer
from voxgan_jax.inference.predict import given_voxels
from voxgan_jax.placement import locator, one_pot, place, propose
from voxgan_jax.placement.view import Sight
from voxgan_jax.restore import faults
from voxgan_jax.scan import formats, source
from voxgan_jax.scan.pose import Loose, PotSize, Sherd

_OF_A_SEARCH = ("axis", "rim", "base")
"""What only helps where a mesh's place is looked for."""
_OF_ONE_SHERD = (*_OF_A_SEARCH, "up", "as_is", "voxel_mm", "body", "fragment", "fixed_fragment")


class Seen(NamedTuple):
    """A scan of a sherd, and what is seen of it."""

    scan: formats.Scan
    sight: Sight


def see(path: pathlib.Path, unit: str | None, which: formats.Which) -> Seen:
    """A mesh, read as `formats.read_mesh` does, to be looked at."""
    scan = formats.read_mesh(path, unit, which)
    return Seen(scan, Sight(scan.mesh))


See = Callable[[pathlib.Path, str | None, formats.Which], Seen]


def read_request(
    completer: Completer,
    path: pathlib.Path,
    facts: Mapping[str, Any],
    *,
    ids: Sequence[int] = (),
    fixed_fragment: bool = False,
    others: Sequence[pathlib.Path] = (),
    see: See = see,
) -> Request:
    """What a file asks.

    Args:
        facts: what is known of a sherd's size and place: the options of `formats.read`, and `axis`,
            `rim`, `base`, `as_is` and `place`, which decide whether a mesh is placed by its shape
            (`is_placed`); `largest` or `body`, which say what of a mesh is taken.
        ids: the fragments that are given; all where none is named.
        fixed_fragment: give the one that evaluation gives, in place of `ids`.
        others: files of more loose sherds of the same pot, each in a place of its own; the request
            is in the coordinates of one of them (`require_loose`).
        see: what reads meshes; one that remembers them spares it for other facts.

    Raises:
        OSError, ValueError: why it cannot be completed; so one file's fault does not stop the batch
            of which it would be a part.
    """
    if others:
        which = {"fragment": ids or None, "fixed_fragment": fixed_fragment}
        return _read_one_pot(completer, [path, *others], {**facts, **which}, see)
    with source.told(path, "restored", "check that it is a scan of a sherd, and its unit"):
        sherd = _read(completer, path, facts, see)
    sherd = sherd._replace(told=PotSize(facts.get("height_mm"), facts.get("diameter_mm")))
    if fixed_fragment and sherd.labels.any():
        ids = [fragments.fixed_fragment(path.name, fragments.fragment_ids(sherd.labels))]
    request = Request((sherd._replace(ids=tuple(sorted(set(ids)))),))
    grid.region(given_voxels(request).shape, source=str(path), **completer.place)
    return request


def _read_one_pot(
    completer: Completer, paths: Sequence[pathlib.Path], facts: Mapping[str, Any], see: See
) -> Request:
    import trimesh

    require_loose(paths, facts)
    size = PotSize(facts.get("height_mm"), facts.get("diameter_mm"))
    known = place.Known(height=size.height, diameter=size.diameter)
    scans, guesses = [], []
    for path in paths:
        try:
            scan, sight = _scan(path, facts, see, several=True)
            scans.append(scan)
            guesses.append(propose.guess(sight, known, locator.load()))
        except Exception as error:
            raise faults.of_file(path, error) from None
    found = one_pot.gather(completer, guesses, known)
    moved = list(zip(scans, found.moves, strict=True))
    lying = [scan.mesh.copy().apply_transform(move) for scan, move in moved if move is not None]
    side, name = completer.resolution * completer.pool, str(paths[found.frame])
    whole: Any = trimesh.util.concatenate(lying)
    # A later run knows the results by the first file.
    about, contents = scans[0].input, scans[found.frame].contents
    sherd = formats.in_cube(whole, found.placement, side, name, about, contents)
    loose = tuple(_loose(*pair, n == found.frame) for n, pair in enumerate(moved))
    return Request((sherd._replace(told=size, loose=loose),))


def _loose(scan: formats.Scan, move: Float[np.ndarray, "4 4"] | None, frame: bool) -> Loose:
    """Where a sherd goes from its file's coordinates, which `scan.mesh` has about an origin. What
    is to be known of the one that stays, the report tells by itself."""
    rows: Any = None
    if move is not None:
        about = np.eye(4)
        about[:3, 3] = np.negative(scan.contents.origin)
        rows = tuple(map(tuple, np.round(move @ about, 12).tolist()))
    notes = () if frame else scan.contents._replace(origin=(0.0, 0.0, 0.0)).notes
    return Loose(scan.input["file"], scan.input["sha256"], rows, frame, notes)


def require_loose(paths: Sequence[pathlib.Path], facts: Mapping[str, Any]) -> None:
    """Raise ValueError where files cannot be loose sherds of one pot, or where something is told
    that holds for one sherd alone."""
    told = [name for name in _OF_ONE_SHERD if facts.get(name) not in (None, False)]
    if told:
        raise ValueError(
            f"--{told[0].replace('_', '-')} tells of one sherd, and --one-pot takes several: leave"
            " one of the two out"
        )
    if not 2 <= len(paths) <= one_pot.MOST:
        raise ValueError(f"--one-pot takes 2 to {one_pot.MOST} sherds; here are {len(paths)}")
    voxels = [path for path in paths if not formats.is_mesh(path)]
    if voxels:
        raise ValueError(
            f"{voxels[0]}: --one-pot takes meshes, as a file of voxels is its pot's box already"
        )


def is_placed(path: pathlib.Path, facts: Mapping[str, Any]) -> bool:
    """Whether a mesh's place in its pot is looked for, and not that of the file.

    The file's is taken with `as_is`, with `voxel_mm`, and where both sizes of the pot are given,
    which tell its box; but not with `place`, nor with what only a search can use.
    """
    if facts.get("as_is") or not formats.is_mesh(path):
        return False
    if any(facts.get(name) for name in ("place", *_OF_A_SEARCH)):
        return True
    boxed = facts.get("height_mm") and facts.get("diameter_mm")
    return not (facts.get("voxel_mm") or boxed)


def _read(completer: Completer, path: pathlib.Path, facts: Mapping[str, Any], see: See) -> Sherd:
    """The sherd of a file, in its pot's box."""
    useless = [name for name in _OF_A_SEARCH if facts.get(name)]
    is_mesh = formats.is_mesh(path)
    which = 1 if facts.get("largest") else facts.get("body")
    if which and not is_mesh:
        raise ValueError(
            f"{path}: --{'largest' if facts.get('largest') else 'body'} is for a mesh; of a file of"
            " voxels --fragment says which part is given"
        )
    if useless and (facts.get("as_is") or not is_mesh):
        why = "with --as-is" if is_mesh else "for a file of voxels, which is the pot's box"
        raise ValueError(f"{path}: --{useless[0]} has no use {why}; leave it out")
    if facts.get("axis") is not None and facts.get("up") is not None:
        raise ValueError(f"{path}: --axis and --up both say where the rim is; give one")
    side = completer.resolution * completer.pool
    if not is_placed(path, facts):
        others = {*_OF_A_SEARCH, "as_is", "place", "largest", "body"}
        told = {name: value for name, value in facts.items() if name not in others}
        return formats.read(path, longest=side, which=which, **told)
    (mesh, about, contents), sight = _scan(path, facts, see)
    axis = _axis(facts)
    height, width, voxel = (facts.get(name) for name in ("height_mm", "diameter_mm", "voxel_mm"))
    formats.check_sizes(path, voxel_mm=voxel, height_mm=height, diameter_mm=width)
    known = place.Known(
        direction=axis and axis[:3],
        height=height,
        diameter=width,
        voxel=(voxel or 0) * side / locator.CUBE or None,
        rim=bool(facts.get("rim")),
        base=bool(facts.get("base")),
        point=tuple(np.subtract(axis[3:], contents.origin).tolist()) if axis and axis[3:] else None,
    )
    try:
        found = place.place(completer, sight, known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return formats.in_cube(mesh, found, side, str(path), about, contents)


def _scan(path: pathlib.Path, facts: Mapping[str, Any], see: See, several: bool = False) -> Seen:
    """The mesh of a file that holds one body, or of which it is said which is the sherd; with
    `several` sherds of one pot only the largest can be meant."""
    which = 1 if facts.get("largest") else facts.get("body")
    seen = see(path, facts.get("unit"), which)
    contents = seen.scan.contents
    if (count := len(contents.bodies)) > 1 and not which:
        one = f"it holds {count} bodies; give --largest to take the largest of each file"
        raise source.ScanError(f"{path}: {one if several else contents.several}")
    return seen


def _axis(facts: Mapping[str, Any]) -> Any:
    """From base to rim, where that is known, and a point of the axis, where one is told."""
    up = facts.get("up")
    if up is None:
        return facts.get("axis")
    towards = [0.0, 0.0, 0.0]
    towards[surface.axes(up)[0]] = -1.0 if up.startswith("-") else 1.0
    return towards[0], towards[1], towards[2]
