"""Folders of `.vox` files: which pot, class and split a file belongs to, and reading it placed.

Two layouts are known: `<split>/<class>/*.vox`, the data set's own, and any folder without split
folders, which is divided 8:2 by pot (the paper, section 4.1), never by file: the files of one pot
share their geometry. Validation pots, a tenth, are cut from the train split.
"""

import hashlib
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from voxgan_jax.data import grid, vox
from voxgan_jax.files import readable

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
# The name under which TFDS keeps what was prepared.
PREPARED = "vox_pottery"
_DATA_SET_NAME = re.compile(r"^(?P<pot>.+)-n\d{3}-t\d+$")


class BadFilesError(ValueError):
    """Files that cannot be prepared; `bad` holds (path, reason) pairs."""

    def __init__(self, bad: list[tuple[pathlib.Path, str]]):
        self.bad = bad
        listing = "\n".join(f"  {readable(path)}: {reason}" for path, reason in bad)
        super().__init__(
            f"{len(bad)} file(s) cannot be prepared; mend them or pass --skip_bad:\n{listing}"
        )


class PotPath(NamedTuple):
    """Where one broken pot lies and what its path says about it."""

    path: pathlib.Path
    split: str
    category: str
    pot: str


class PotFile(NamedTuple):
    """One broken pot, placed in the cube; names that are no UTF-8 are escaped in it.

    `labels` holds 0 for empty and k for fragment k; `size` is the extent in voxels before placing.
    """

    labels: UInt8[np.ndarray, "d h w"]
    name: str
    pot: str
    category: str
    size: tuple[int, int, int]


Reasons = list[tuple[pathlib.Path, str]]
"""Files that cannot be used, and why."""

Progress = Callable[[Iterable[PotPath]], Iterable[PotPath]]
"""Hands files on and shows how far it is, such as `tqdm`."""


def is_prepared(data_dir: str | pathlib.Path) -> bool:
    """Whether a folder holds prepared data sets (see `builder`) rather than `.vox` files."""
    return (pathlib.Path(data_dir) / PREPARED).is_dir()


def pot_of(file_name: str) -> str:
    """The pot that a file shows: `AL_01` for `AL_01-n005-t1600000000.vox`, else the whole stem."""
    stem = pathlib.PurePath(file_name).stem
    match = _DATA_SET_NAME.match(stem)
    return match["pot"] if match else stem


def scan(vox_dir: str | pathlib.Path, seed: int = 0) -> list[PotPath]:
    """Every `.vox` file below a folder with its split, in sorted order.

    Folders `train`, `validation` and `test` directly below the top keep their names; a folder with
    none of them is divided by pot with `seed`. Where there is no `validation` folder, these pots
    are cut from the train split, so that no choice needs the test split. The class is the name of
    the file's own folder ("" directly below the top).

    Raises:
        FileNotFoundError: no such folder, or no `.vox` file in it.
        ValueError: files lie beside the split folders, so it is not clear what they are for.
    """
    root = pathlib.Path(vox_dir)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; name a folder of .vox files")
    present = [split for split in SPLITS if (root / split).is_dir()]
    found = []
    for path in sorted(root.rglob("*")):
        # A leading dot marks half-written files and the doubles that macOS leaves on shares.
        hidden = path.name.startswith(".")
        if path.suffix.lower() == ".vox" and not hidden and path.is_file():
            folders = path.relative_to(root).parts[:-1]
            split = "train"
            if present:
                split, folders = (folders[0], folders[1:]) if folders else ("", ())
            if split not in SPLITS:
                raise ValueError(
                    f"{path}: it lies beside the folders {', '.join(present)}; move it into one of"
                    f" {', '.join(SPLITS)}, or out of {root}"
                )
            category = readable(folders[-1]) if folders else ""
            found.append(PotPath(path, split, category, pot_of(readable(path.name))))
    if not found:
        raise FileNotFoundError(
            f"{root}: no .vox file below it; expected <split>/<class>/*.vox or any folder of them"
        )
    found.sort(key=lambda item: SPLITS.index(item.split))
    if not present:
        found = _hold_out(found, "test", TEST_SHARE, seed)
    if "validation" not in present:
        found = _hold_out(found, "validation", VALIDATION_SHARE, seed)
    return found


def _hold_out(items: list[PotPath], split: str, share: float, seed: int) -> list[PotPath]:
    """The same files, with `share` of the train pots moved to `split`."""
    # By name alone: a pot whose files lie in several folders must not come apart.
    keys = [("", item.pot) for item in items if item.split == "train"]
    held_out = split_pots(keys, share, seed)
    return [
        item._replace(split=split) if item.split == "train" and ("", item.pot) in held_out else item
        for item in items
    ]


def split_pots(keys: Sequence[tuple[str, str]], share: float, seed: int) -> set[tuple[str, str]]:
    """The pots that are held out, `share` of the distinct ones: one at least where there are two.

    Pots are ordered by a hash of their name and the seed, so the order of the files is no matter
    and a pot added later moves few others.
    """
    distinct = sorted(
        set(keys), key=lambda key: hashlib.sha256(f"{seed}/{key[0]}/{key[1]}".encode()).digest()
    )
    count = round(share * len(distinct))
    if len(distinct) > 1:
        count = min(max(count, 1), len(distinct) - 1)
    return set(distinct[:count])


def read(item: PotPath, **place: Any) -> PotFile:
    """Read one file and place its pot in a cube, see `grid.place`.

    Raises:
        VoxError: the file is not a readable `.vox` file.
        grid.FitError: the pot is too big for the cube.
    """
    labels = vox.read(item.path)
    placed = grid.place(labels, source=str(item.path), **place)
    return PotFile(placed, readable(item.path.name), item.pot, item.category, labels.shape)


def read_all(
    vox_dir: str | pathlib.Path,
    bad: Reasons,
    *,
    skip_bad: bool = False,
    progress: Progress = iter,
    **place: Any,
) -> Iterator[tuple[PotPath, PotFile]]:
    """What `scan` finds in a folder and `read` can use; the others are added to `bad`.

    The reasons are without the files' paths.

    Raises:
        BadFilesError: at the end, where there are bad files and `skip_bad` is not set.
    """
    for item in progress(scan(vox_dir)):
        try:
            pot = read(item, **place)
            if pot.labels.any():
                yield item, pot
            else:
                bad.append((item.path, "it holds no voxel"))
        except (vox.VoxError, grid.FitError, OSError) as error:
            bad.append((item.path, str(error).removeprefix(f"{item.path}: ")))
    if bad and not skip_bad:
        raise BadFilesError(bad)
