"""One small file that holds prepared splits: read in seconds, without TensorFlow.

It is an `.npz` of plain arrays, no pickle. The files of a pot share their outline, so each outline
(the occupied cells, bit-packed) is kept once; a file adds the labels of those cells. Both are
deflated. `header` is JSON: how the pots are placed, and split, name, pot, category and size of each
file in the order of `folder.scan`.
"""

import json
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from voxgan_jax.data import folder, grid
from voxgan_jax.files import whole

FORMAT = "voxgan_jax cache 1"
# Each stands for a list of byte strings: `<name>` joins them, `<name>_ends` says where each ends.
_BLOBS = ("outlines", "labels")


class CacheError(ValueError):
    """A cache file that cannot be read, or holds pots that are placed in another way."""


class Cache(NamedTuple):
    """A cache file in memory, still packed.

    `files` has [split, name, pot, category, [d, h, w]] of each file, `outline_of` the index of its
    outline; `outlines` and `labels` are deflated.
    """

    path: pathlib.Path
    resolution: int
    files: list[list[Any]]
    outline_of: list[int]
    outlines: list[bytes]
    labels: list[bytes]


def write(
    path: str | pathlib.Path,
    vox_dir: str | pathlib.Path,
    **options: Any,
) -> tuple[dict[str, int], folder.Reasons]:
    """Pack all splits of a folder of `.vox` files into one file; one that is there is replaced.

    Args:
        options: `skip_bad`, `progress` and those of `grid.place`, see `folder.read_all`.

    Returns:
        The number of files in each split, and the files left out with the reasons.

    Raises:
        FileNotFoundError, ValueError: see `folder.scan` and `folder.read_all`.
    """
    path = pathlib.Path(path)
    place = {name: options.get(name, usual) for name, usual in grid.PLACE.items()}
    files, outline_of, labels = [], [], []
    bad: folder.Reasons = []
    outlines: dict[bytes, int] = {}
    for item, pot in folder.read_all(vox_dir, bad, **options):
        occupied = pot.labels > 0
        outline = np.packbits(occupied).tobytes()
        outline_of.append(outlines.setdefault(outline, len(outlines)))
        labels.append(zlib.compress(pot.labels[occupied].tobytes()))
        files.append([item.split, pot.name, pot.pot, pot.category, list(pot.size)])
    header = {"format": FORMAT, **place, "files": files}
    arrays = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "outline_of": np.asarray(outline_of, np.int32),
    }
    arrays |= _join("outlines", [zlib.compress(outline, 9) for outline in outlines])
    arrays |= _join("labels", labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)
    return counts(files), bad


def load(path: str | pathlib.Path, **place: Any) -> Cache:
    """Open a cache file.

    Raises:
        CacheError: it is no cache file, is damaged, or its pots are placed in another way.
    """
    path = pathlib.Path(path)
    wanted = grid.PLACE | place
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
            found = {name: header[name] for name in wanted}
            outline_of = arrays["outline_of"].tolist()
            outlines, labels = (_split(arrays, name) for name in _BLOBS)
        if not len(header["files"]) == len(outline_of) == len(labels):
            raise ValueError("its parts differ in length")
        if outline_of and not 0 <= min(outline_of) <= max(outline_of) < len(outlines):
            raise ValueError("an outline is missing")
    except Exception as error:  # zipfile, NumPy and JSON raise whatever the bytes lead them to.
        raise CacheError(
            f"{path}: not a readable cache file ({error or type(error).__name__});"
            f" {_remedy(path, wanted)}"
        ) from error
    if found != wanted:
        raise CacheError(
            f"{path}: its pots are placed with {_words(found)}, not {_words(wanted)};"
            f" {_remedy(path.with_stem('{}_{}'.format(path.stem, wanted['resolution'])), wanted)}"
        )
    return Cache(path, found["resolution"], header["files"], outline_of, outlines, labels)


def counts(files: Iterable[list[Any]]) -> dict[str, int]:
    """How many of `Cache.files` each split has, in the order of `folder.SPLITS`."""
    names = [file[0] for file in files]
    return {split: names.count(split) for split in folder.SPLITS if split in names}


def read_split(cache: Cache, split: str, rows: slice = slice(None)) -> Iterator[folder.PotFile]:
    """The pots of a split, or of several joined by "+", as `folder.read` gives them.

    Args:
        rows: which of them, by their place in the split.

    Raises:
        CacheError: the file is damaged.
    """
    wanted = split.split("+")
    for index in [i for i, file in enumerate(cache.files) if file[0] in wanted][rows]:
        _, name, pot, category, size = cache.files[index]
        yield folder.PotFile(_labels(cache, index), name, pot, category, tuple(size))


def _labels(cache: Cache, index: int) -> UInt8[np.ndarray, "d h w"]:
    side = cache.resolution
    try:
        packed = _inflate(cache.outlines[cache.outline_of[index]], -(-(side**3) // 8))
        outline = np.unpackbits(packed, count=side**3).view(bool)
        labels = np.zeros(side**3, np.uint8)
        labels[outline] = _inflate(cache.labels[index], int(outline.sum()))
    except (zlib.error, ValueError) as error:
        raise CacheError(
            f"{cache.path}: {cache.files[index][1]} is damaged in it ({error}); write it again"
        ) from error
    return labels.reshape(side, side, side)


def _inflate(packed: bytes, size: int) -> UInt8[np.ndarray, " size"]:
    data = zlib.decompressobj().decompress(packed, size + 1)
    if len(data) != size:
        raise ValueError(f"{len(data)} cells, {size} expected")
    return np.frombuffer(data, np.uint8)


def _join(name: str, parts: list[bytes]) -> dict[str, np.ndarray]:
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {name: np.frombuffer(b"".join(parts), np.uint8), f"{name}_ends": ends}


def _split(arrays: Any, name: str) -> list[bytes]:
    data, ends = arrays[name].tobytes(), arrays[f"{name}_ends"].tolist()
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _words(place: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in place.items())


def _remedy(path: pathlib.Path, place: dict[str, Any]) -> str:
    options = " ".join(f"--{name} {value}" for name, value in place.items())
    return f"write one with scripts/prepare_data.py --vox_dir VOX_DIR --cache {path} {options}"
