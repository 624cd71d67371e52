"""`voxgan_jax.complete`: what `voxgan complete` does, for Python."""

import functools
import pathlib
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from voxgan_jax import ledger
from voxgan_jax.devices import accelerator
from voxgan_jax.inference import completer, predict
from voxgan_jax.inference.answer import Request
from voxgan_jax.restore import files, naming, pot
from voxgan_jax.restore.request import read_request

if TYPE_CHECKING:
    import trimesh


def complete(
    sherd: "str | pathlib.Path | Shaped[np.ndarray, 'x y z'] | trimesh.Trimesh",
    *,
    fragments: list[int] | None = None,
    hypotheses: int = 0,
    threshold: float | None = None,
    whole_cube: bool = False,
    clearance_mm: float = 0.2,
    name: str = "sherd",
    weights: str | pathlib.Path | None = None,
    workdir: str | pathlib.Path | None = None,
    **facts: Any,
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
            are 0 or a fragment's id, in the pot's box; or a mesh.
        fragments: which ids of a grid are given; None takes all.
        hypotheses: how many other pots are wanted besides, 0…16.
        threshold: probability above which a voxel is added; None takes the model's own.
        whole_cube: the result fills the model's cube instead of the input's own box.
        clearance_mm: how far the missing piece stays from the original.
        name: what the files of `Completion.write` are called where `sherd` is no file: "sherd", or
            "folder/sherd" in a folder below the results'.
        weights, workdir: a weights file or a run's folder, in place of the package's model.
        facts: how big the sherd is and how it lies: the options of `scan.formats.read` (`unit`,
            `voxel_mm`, `up`, `height_mm`, `diameter_mm`), and `axis`, `rim`, `base`, `as_is`,
            `place`, as `voxgan complete` has them.

    Raises:
        FileNotFoundError: no such file.
        ScanError, VoxError: a file that cannot be read.
        ValueError: an empty grid, a fragment that it does not have, a pot too big for the model, a
            name that is none (`naming.checked`).
    """
    naming.checked(name)
    model = _load(weights, workdir, hypotheses)
    request = _read(model, sherd, tuple(fragments or ()), facts)
    (answer,) = predict.complete_batch(model, [request], threshold=threshold, whole_cube=whole_cube)
    options = {"fragment": fragments, "threshold": threshold, "whole_cube": whole_cube, **facts}
    options |= {"clearance_mm": clearance_mm, "hypotheses": hypotheses}
    about: dict[str, Any] = {"model": dict(model.about), "options": files.asked(options)}
    how: dict[str, Any] = {"clearance_mm": clearance_mm, "about": about}
    if isinstance(sherd, (str, pathlib.Path)):
        about["input"] = request.sherds[0].input
        how["inputs"] = ledger.marks(sherd)
    else:
        how["name"] = name
    return pot.restore(request, answer, **how)


def _read(
    model: completer.Completer,
    sherd: "str | pathlib.Path | Shaped[np.ndarray, 'x y z'] | trimesh.Trimesh",
    ids: tuple[int, ...],
    facts: dict[str, Any],
) -> Request:
    """The request of a sherd. One in memory goes through a file, so that it is checked alike."""
    if isinstance(sherd, (str, pathlib.Path)):
        return read_request(model, pathlib.Path(sherd), facts, ids=ids)
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(sherd, np.ndarray):
            path = pathlib.Path(folder) / "sherd.npy"
            np.save(path, sherd)
        else:
            path = pathlib.Path(folder) / "sherd.ply"
            sherd.export(path)
        return read_request(model, path, facts, ids=ids)


@functools.lru_cache(maxsize=4)
def _load(
    weights: str | pathlib.Path | None, workdir: str | pathlib.Path | None, hypotheses: int
) -> completer.Completer:
    accelerator.prepare()
    return completer.load(weights_file=weights, workdir=workdir, num_hypotheses=hypotheses)
