"""The TFDS data set: `.vox` folders prepared once, read back by tf.data. The only TFDS import."""

import dataclasses
import json
import os
import pathlib
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from voxgan_jax import logs
from voxgan_jax.data import folder, fragments, grid
from voxgan_jax.files import readable

logs.quiet("tensorflow_datasets")

CITATION = """\
@inproceedings{navarro2023iberianvoxel,
  title     = {IberianVoxel: Automatic Completion of Iberian Ceramics for Cultural Heritage
               Studies},
  author    = {Navarro, Pablo and Cintas, Celia and Lucena, Manuel and Fuertes, Jos{\\'e} Manuel
               and Segura, Rafael and Delrieux, Claudio and Gonz{\\'a}lez-Jos{\\'e}, Rolando},
  booktitle = {Proceedings of the Thirty-Second International Joint Conference on Artificial
               Intelligence (IJCAI-23)},
  year      = {2023},
  doi       = {10.24963/ijcai.2023/647}
}"""
DESCRIPTION = """\
Broken pots on voxel grids: each file holds one pot whose voxels carry the id of the fragment that
they belong to (0 empty, 1 crumbs, 2 and up fragments). The layout is that of vox_pottery, the
published form of IberianVoxel, which comes WITHOUT A LICENCE: do not pass its files on, and ask its
authors before any use beyond your own study. Any other folder of .vox files can be prepared too."""


_ASIDE = ".preparing-"
_NAMES = ("features_dict.FeaturesDict", "tensor_feature.Tensor", "text_feature.Text")
_FEATURES = {f"tensorflow_datasets.core.features.{name}" for name in _NAMES}
"""The classes that `VoxPottery` names; of others TFDS would import the module, whichever it is."""


class NotPreparedError(FileNotFoundError):
    """No prepared data set where one was expected, or one that is none of ours."""


@dataclasses.dataclass(kw_only=True)
class VoxConfig(tfds.core.BuilderConfig):
    """One way to place pots in the cube, see `grid.PLACE`."""

    place: dict[str, Any]


def place_config(**place: Any) -> VoxConfig:
    """The config of a way to place pots: `center_64`, or `center_32_pool2` for halved ones."""
    place = grid.PLACE | place
    resolution, pool, placement = place.values()
    return VoxConfig(
        name=f"{placement}_{resolution}" + (f"_pool{pool}" if pool > 1 else ""),
        description=f"cube of {resolution} voxels, pooled by {pool}, placement: {placement}",
        place=place,
    )


class VoxPottery(tfds.core.GeneratorBasedBuilder):
    """Builds the data set from a folder of `.vox` files; see `folder.scan` for the layouts.

    The folder is TFDS's manual directory. `skip` names files to leave out.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [place_config()]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Name the folder of .vox files as the manual directory."

    def __init__(self, *, skip: frozenset[pathlib.Path] = frozenset(), **kwargs: Any):
        self._skip = skip
        super().__init__(**kwargs)

    @property
    def _place(self) -> dict[str, Any]:
        assert isinstance(self.builder_config, VoxConfig)
        return self.builder_config.place

    def _info(self) -> tfds.core.DatasetInfo:
        side = self._place["resolution"]
        features = tfds.features.FeaturesDict(
            {
                "labels": tfds.features.Tensor(
                    shape=(side, side, side), dtype=np.uint8, encoding="zlib"
                ),
                "pot": tfds.features.Text(),
                "category": tfds.features.Text(),
                "file_name": tfds.features.Text(),
                "num_fragments": np.int32,
                "original_size": tfds.features.Tensor(shape=(3,), dtype=np.int32),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=DESCRIPTION,
            features=features,
            homepage="https://doi.org/10.24963/ijcai.2023/647",
            citation=CITATION,
            license="No licence was given by the publishers of the data.",
            # TFDS orders records by a hash of their key, so a build is the same every time.
            disable_shuffling=False,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict]]]:
        root = pathlib.Path(dl_manager.manual_dir)
        items = [item for item in folder.scan(root) if item.path not in self._skip]
        present = sorted({item.split for item in items}, key=folder.SPLITS.index)
        return {
            split: self._generate_examples(root, [item for item in items if item.split == split])
            for split in present
        }

    def _generate_examples(
        self, root: pathlib.Path, items: list[folder.PotPath]
    ) -> Iterator[tuple[str, dict]]:
        for item in items:
            pot = folder.read(item, **self._place)
            yield (
                readable(item.path.relative_to(root).as_posix()),
                {
                    "labels": pot.labels,
                    "pot": pot.pot,
                    "category": pot.category,
                    "file_name": pot.name,
                    "num_fragments": len(fragments.fragment_ids(pot.labels)),
                    "original_size": np.asarray(pot.size, np.int32),
                },
            )


def prepare(
    vox_dir: str | pathlib.Path,
    out_dir: str | pathlib.Path,
    *,
    skip_bad: bool = False,
    progress: folder.Progress = iter,
    **place: Any,
) -> tuple[dict[str, int], folder.Reasons]:
    """Build the TFDS data set of a folder below `out_dir`; one that is there already is replaced.

    All files are read once before anything is written. Returns and raises as `cache.write`.
    """
    bad: folder.Reasons = []
    for _ in folder.read_all(vox_dir, bad, skip_bad=skip_bad, progress=progress, **place):
        pass
    wanted = place_config(**place)
    _clear_abandoned(pathlib.Path(out_dir))
    # Built aside and moved into place whole: TFDS would drop what is there before it starts.
    aside = pathlib.Path(out_dir) / f"{_ASIDE}{platform.node()}-{os.getpid()}"
    builder = VoxPottery(
        # TFDS wants its own object where it knows the name.
        config=VoxPottery.builder_configs.get(wanted.name, wanted),
        data_dir=str(aside),
        skip=frozenset(path for path, _ in bad),
    )
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(vox_dir))
        )
        counts = {name: int(split.num_examples) for name, split in builder.info.splits.items()}
        target = pathlib.Path(out_dir) / builder.data_path.relative_to(aside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            os.replace(target, aside / "replaced")
        os.replace(builder.data_path, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return counts, bad


def _clear_abandoned(out_dir: pathlib.Path) -> None:
    """Remove what preparations on this machine left behind whose process is gone."""
    for left in out_dir.glob(f"{_ASIDE}*"):
        host, _, process = left.name.removeprefix(_ASIDE).rpartition("-")
        if process.isdecimal() and host in ("", platform.node()) and not _runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    """Whether there is a process of this number, besides this one."""
    try:
        os.kill(process, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)
    return process != os.getpid()


def open_prepared(data_dir: str | pathlib.Path, **place: Any) -> tfds.core.DatasetBuilder:
    """The prepared data set for one way of placing pots.

    Raises:
        NotPreparedError: it is damaged, not written by `prepare`, or not there; the message lists
            what is, and the command to make it.
    """
    root = pathlib.Path(data_dir) / folder.PREPARED
    wanted = place_config(**place)
    path = root / wanted.name / str(VoxPottery.VERSION)
    if pathlib.Path(data_dir).is_file():
        raise NotPreparedError(
            f"{data_dir}: a file, no prepared data set; train from a cache file with"
            " config.data.source=resident"
        )
    if not (path / "dataset_info.json").is_file():
        known = sorted({info.parts[-3] for info in root.glob("*/*/dataset_info.json")})
        found = "; ".join(_by_options(other, wanted.place) for other in known) or "none"
        options = " ".join(f"--{name} {value}" for name, value in wanted.place.items())
        raise NotPreparedError(
            f"{data_dir}: no prepared data set {wanted.name!r} there (found: {found})"
            "; make it with scripts/prepare_data.py --vox_dir VOX_DIR"
            f" --out_dir {data_dir} {options}, or train from .vox files with"
            " config.data.source=resident"
        )
    try:
        for file in (path / "features.json", path / "dataset_info.json"):
            _require_own(json.loads(file.read_text(encoding="utf-8")), file.name)
        return tfds.builder_from_directory(str(path))
    except Exception as error:  # TFDS raises whatever the files lead it to.
        said = f"not as scripts/prepare_data.py writes it ({' '.join(str(error).split())[:200]})"
        raise NotPreparedError(f"{path}: {said}; prepare the data again") from error


def _require_own(value: Any, where: str) -> None:
    """Raise ValueError where JSON names a class but those of `_FEATURES`, or as TFDS did once."""
    if isinstance(value, dict):
        named = [
            str(value[key]) for key in ("pythonClassName", "python_class_name") if key in value
        ]
        foreign = {"type", "content", "jsonFeature", "json_feature"} & value.keys()
        for name in sorted(foreign.union(named) - _FEATURES):
            raise ValueError(f"{where} names {name}")
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        _require_own(inner, where)


def _by_options(name: str, asked: Mapping[str, Any]) -> str:
    """The name of a prepared data set (`place_config`) and by which options it is taken."""
    if not (match := re.fullmatch(r"([a-z]+)_(\d+)(?:_pool(\d+))?", name)):
        return name
    has = {"resolution": int(match[2]), "pool": int(match[3] or 1), "placement": match[1]}
    options = [f"--config.data.{key}={has[key]}" for key in asked if has[key] != asked[key]]
    return f"{name}, taken by {' '.join(options)}" if options else name


def num_examples(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """How many examples a split, or several joined by "+", has."""
    return sum(int(part.num_examples) for part in _parts(builder, split))


def fingerprint(builder: tfds.core.DatasetBuilder, split: str) -> str:
    """What tells the examples of a split from those of another data set: counts and bytes."""
    parts = _parts(builder, split)
    return "+".join(f"{p.name}:{p.shard_lengths}:{p.num_bytes}" for p in parts)


def as_dataset(
    builder: tfds.core.DatasetBuilder, split: str, *, num_shards: int = 1, shard: int = 0
) -> Any:
    """The examples of a split, or of several as in "train+validation", in their fixed order.

    With `num_shards` only those whose place is `shard` modulo it; the others are not decoded.
    """
    reader: Any = builder
    feature = reader.info.features["labels"]
    raw = reader.as_dataset(
        split="+".join(part.name for part in _parts(builder, split)),
        shuffle_files=False,
        decoders={"labels": tfds.decode.SkipDecoding()},
    )
    return raw.shard(num_shards, shard).map(
        lambda example: example | {"labels": feature.decode_example(example["labels"])},
        num_parallel_calls=-1,  # tf.data.AUTOTUNE
    )


def _parts(builder: tfds.core.DatasetBuilder, split: str) -> list[Any]:
    """The splits that are joined by "+"."""
    known = builder.info.splits
    for name in split.split("+"):
        if name not in known:
            listing = ", ".join(sorted(known))
            raise ValueError(f"no split {name!r} in {builder.data_dir}; it has {listing}")
    return [known[name] for name in split.split("+")]


def read_split(data_dir: str | pathlib.Path, split: str, **place: Any) -> Iterator[folder.PotFile]:
    """The pots of one prepared split, as `folder.read` gives those of a `.vox` folder."""
    for example in as_dataset(open_prepared(data_dir, **place), split).as_numpy_iterator():
        name, pot, category = (example[key].decode() for key in ("file_name", "pot", "category"))
        size = tuple(example["original_size"].tolist())
        yield folder.PotFile(example["labels"], name, pot, category, size)
