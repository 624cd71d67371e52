"""`voxgan_jax.complete`: what `voxgan complete` does, for Python."""

import functools
import itertools
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from jaxtyping import Shaped

from voxgan_jax import ledger
from voxgan_jax.devices import accelerator
from voxgan_jax.inference import completer, predict
from voxgan_jax.inference.answer import Request
from voxgan_jax.restore import arguments, files, naming, pot
from voxgan_jax.restore.request import read_request, require_loose
from voxgan_jax.scan import ply

if TYPE_CHECKING:
    import trimesh

_One: TypeAlias = "str | pathlib.Path | Shaped[np.ndarray, 'x y z'] | trimesh.Trimesh"
_Checked: TypeAlias = "pathlib.Path | Shaped[np.ndarray, 'x y z'] | trimesh.Trimesh"


def complete(
    sherd: "_One | Sequence[_One]",
    *,
    unit: str | None = None,
    voxel_mm: float | None = None,
    up: str | None = None,
    axis: Sequence[float] | Shaped[np.ndarray, "_"] | None = None,
    height_mm: float | None = None,
    diameter_mm: float | None = None,
    rim: bool = False,
    base: bool = False,
    as_is: bool = False,
    place: bool = False,
    largest: bool = False,
    body: int | str | None = None,
    fragments: int | Sequence[int] | Shaped[np.ndarray, "_"] | None = None,
    hypotheses: int = 0,
    threshold: float | None = None,
    whole_cube: bool = False,
    resolution: int | None = None,
    clearance_mm: float = 0.2,
    mirrored: bool = False,
    scale: str | None = None,
    lang: str = "en",
    name: str = "sherd",
    weights: str | pathlib.Path | None = None,
    workdir: str | pathlib.Path | None = None,
) -> pot.Completion:
    """Restore the pot of a sherd.

        import voxgan_jax

        pot = voxgan_jax.complete("sherd.stl", unit="cm")
        print(pot.report.measures.height_mm, pot.confidence.sentence)
        pot.missing.export("missing.stl")
        pot.write("restored")

    The first call loads the model and compiles it; later ones with the same weights do not.

    Args:
        sherd: a file, as `voxgan complete` takes it; or a grid with axes (x, y, z) whose values
            are 0 or a fragment's id, in the pot's box; or a mesh. Files or meshes in a list are
            loose sherds of one pot (`--one-pot`).
        unit: of a mesh's coordinates: mm, cm, m or in; None takes the file's, m in GLB, else mm.
        voxel_mm: side of a voxel; None: 1 for a grid; for a mesh, as fits the model's cube.
        up: where the rim is, seen from the base: x, y, z, -x, -y or -z.
        axis: the same as three numbers, for a mesh placed by its shape; then a point's, too, in mm.
        height_mm, diameter_mm: of the whole pot. rim, base: a mesh holds part of its rim, or base.
        as_is, place: a mesh lies as it did in its pot, or does not, whatever else is given.
        largest, body: of several bodies in a mesh the largest is the sherd, or that of a number,
            the largest 1, or "all", which lie as in one pot.
        fragments: which ids of a grid are given, 1…255; None takes all.
        hypotheses: how many other pots are wanted besides, 0…16.
        threshold: probability above which a voxel is added; None takes the model's own.
        whole_cube: the result fills the model's cube instead of the input's own box.
        resolution: of the `.vox` file: 64, 128 or 256 voxels along the model's cube; None: its own.
        clearance_mm: how far the missing piece stays from the original.
        scale: of the drawing in print, "1:1" to "1:5" or "1:10"; None: as big as the pot.
        mirrored, lang: the section is drawn right; page and drawings are in en, de, es or zh.
        name: what the files of `Completion.write` are called where `sherd` is no file: "sherd", or
            "folder/sherd" in a folder below the results'.
        weights, workdir: a weights file or a run's folder, in place of the package's model.

    Raises:
        FileNotFoundError, ScanError, VoxError: no such file, or one that cannot be read.
        ValueError: an argument or name that cannot be, an empty grid, a pot too big for the model.
        TypeError: an argument of another kind.
    """
    given = dict(locals())
    told = arguments.checked({name: value for name, value in given.items() if name != "sherd"})
    several = isinstance(sherd, (list, tuple))
    return _complete(list(map(_checked, sherd)) if several else _checked(sherd), **told)


def _complete(
    sherd: "_Checked | list[_Checked]",
    *,
    name: str,
    weights: str | None,
    workdir: str | None,
    fragments: tuple[int, ...] | None,
    **told: Any,
) -> pot.Completion:
    """As `complete`, of what is checked."""
    naming.checked(name)
    model = _load(weights=weights, workdir=workdir, hypotheses=told["hypotheses"])
    fineness = arguments.fineness(told["resolution"], model.resolution * model.pool)
    facts = {fact: told[fact] for fact in arguments.FACTS}
    request = _read(model, sherd, fragments or (), facts)
    asked = {option: told[option] for option in ("threshold", "whole_cube")}
    (answer,) = predict.complete_batch(model, [request], **asked)
    options = files.asked({"fragment": fragments, **told})
    about: dict[str, Any] = {"model": dict(model.about), "options": options}
    how: dict[str, Any] = {"fineness": fineness, "about": about}
    how |= {option: told[option] for option in ("clearance_mm", "mirrored", "scale", "lang")}
    if isinstance(sherd, list) and all(isinstance(one, pathlib.Path) for one in sherd):
        paths = cast("list[pathlib.Path]", sherd)
        about["input"] = request.sherds[0].input
        about["options"]["one_pot"] = files.named(paths[1:])
        how["inputs"] = ledger.marks_of(paths)
        how["name"] = naming.of_one_pot(naming.of_file(paths[0]))
    elif isinstance(sherd, pathlib.Path):
        about["input"] = request.sherds[0].input
        how["inputs"] = ledger.marks(sherd)
        how["name"] = naming.of_body(naming.of_file(sherd), facts["body"])
    else:
        how["name"] = name
    return pot.restore(request, answer, **how)


def _checked(sherd: Any) -> "_Checked":
    """A sherd as a path, an array or a mesh."""
    import trimesh

    if isinstance(sherd, (str, os.PathLike)):
        return pathlib.Path(arguments.check("sherd", sherd))
    if isinstance(sherd, np.ndarray):
        if sherd.ndim != 3 or sherd.dtype.kind not in "biuf":
            kind = f"an array of {sherd.dtype} with shape {sherd.shape}"
            raise ValueError(f"sherd is {kind}: give a grid of whole numbers with axes (x, y, z)")
    elif not isinstance(sherd, trimesh.Trimesh):
        kind = type(sherd).__name__
        raise TypeError(f"sherd is a {kind}: give a path, a NumPy array or a trimesh.Trimesh")
    elif not len(sherd.faces):
        raise ValueError("sherd is a mesh without faces: give one with some")
    return sherd


def _read(
    model: completer.Completer,
    sherd: "_Checked | list[_Checked]",
    ids: tuple[int, ...],
    facts: dict[str, Any],
) -> Request:
    """The request of a sherd, or of several. What is in memory goes through a file, so that it is
    checked alike."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(sherd, list):
            numbered = (f"sherd{number}" for number in range(1, len(sherd) + 1))
            paths = list(map(_in_file, sherd, numbered, itertools.repeat(pathlib.Path(folder))))
            require_loose(paths, facts)
            return read_request(model, paths[0], facts, ids=ids, others=paths[1:])
        return read_request(model, _in_file(sherd, "sherd", pathlib.Path(folder)), facts, ids=ids)


def _in_file(sherd: "_Checked", stem: str, folder: pathlib.Path) -> pathlib.Path:
    """The file of a sherd; one in memory is written into a folder."""
    if isinstance(sherd, pathlib.Path):
        return sherd
    if isinstance(sherd, np.ndarray):
        np.save(folder / f"{stem}.npy", sherd)
        return folder / f"{stem}.npy"
    path = folder / f"{stem}.ply"
    path.write_bytes(ply.as_ply(sherd.vertices, sherd.faces))
    return path


@functools.lru_cache(maxsize=4)
def _load(*, weights: str | None, workdir: str | None, hypotheses: int) -> completer.Completer:
    accelerator.prepare()
    return completer.load(weights_file=weights, workdir=workdir, num_hypotheses=hypotheses)
