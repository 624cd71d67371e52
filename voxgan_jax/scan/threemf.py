"""3MF files: meshes as XML in a zip, built of objects, which may be made of other objects.

Not by trimesh: it unfolds all ways through the objects before it counts them, so that 1.6 kB take
minutes, and keeps a kilobyte for each face. Here the XML is read as it streams by, copies are
counted before they are made, and entities are refused.
"""

import array
import functools
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from voxgan_jax.scan import faces, source
from voxgan_jax.scan.source import Fault

UNITS = {
    **{"micron": 0.001, "millimeter": 1.0, "centimeter": 10.0, "inch": 25.4, "foot": 304.8},
    "meter": 1000.0,
}
"""In mm, of what a file may call its unit."""
MAX_MIB = 512
"""Unpacked."""
MAX_COPIES = 10_000
MAX_DEPTH = 32

Key = tuple[str, str]
"""Name of the part of the file, which is a path in the zip, and id of the object there."""


class _Object:
    """A mesh, or the objects of which it is made, each where `matrix` puts it."""

    def __init__(self, kind: str = "model") -> None:
        self.kind = kind
        self.vertices = array.array("d")
        self.faces = array.array("q")
        self.parts: list[tuple[Key, Float[np.ndarray, "4 4"]]] = []

    @functools.cached_property
    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices, each in a face, and faces."""
        corners = np.array(self.faces, int).reshape(-1, 3)
        return faces.used(np.array(self.vertices).reshape(-1, 3), corners)


class _Model:
    """All objects of the parts that were read; `build` is what the file shows of them."""

    def __init__(self) -> None:
        self.objects: dict[Key, _Object] = {}
        self.build = _Object()
        self.unit = "millimeter"
        self._counts: dict[Key, tuple[int, int]] = {}

    def parse(self, name: str, file: Any, main: bool) -> None:
        """Read a part."""
        parser = expat.ParserCreate()
        current = _Object()

        def begin(tag: str, given: dict[str, str]) -> None:
            nonlocal current
            tag = tag.rpartition(":")[2]
            if tag == "vertex":
                current.vertices.extend((float(given["x"]), float(given["y"]), float(given["z"])))
            elif tag == "triangle":
                current.faces.extend((int(given["v1"]), int(given["v2"]), int(given["v3"])))
            elif tag == "object":
                current = _Object(given.get("type", "model"))
                self.objects[name, given["id"]] = current
            elif tag == "component" or (tag == "item" and main):
                paths = [value for key, value in given.items() if key.rpartition(":")[2] == "path"]
                part = paths[0].strip("/").lower() if paths else name
                whole = self.build if tag == "item" else current
                whole.parts.append(((part, given["objectid"]), _matrix(given.get("transform"))))
            elif tag == "model":
                _check_extensions(given)
                self.unit = given.get("unit", self.unit) if main else self.unit

        def refuse(*_: Any) -> None:
            raise Fault("its XML declares a document type; export it again")

        parser.StartElementHandler = begin
        parser.StartDoctypeDeclHandler = refuse
        parser.ParseFile(file)

    def missing(self) -> set[str]:
        """Parts that are named and not read yet."""
        wholes = (self.build, *self.objects.values())
        return {key[0] for whole in wholes for key, _ in whole.parts if key not in self.objects}

    def drop_supports(self) -> None:
        """Leave out what holds the model up in the printer."""
        for whole in (self.build, *self.objects.values()):
            whole.parts = [
                part for part in whole.parts if "support" not in self._named(part[0]).kind
            ]

    def count(self, whole: _Object, depth: int = 0) -> tuple[int, int]:
        """How many faces an object has with all its parts, and how many objects it is made of."""
        if depth > MAX_DEPTH:
            raise Fault(
                f"its objects contain each other, or lie more than {MAX_DEPTH} deep;"
                " export it again, its parts joined"
            )
        count, copies = len(whole.faces) // 3, 1
        for key, _ in whole.parts:
            if key not in self._counts:
                self._counts[key] = self.count(self._named(key), depth + 1)
            count, copies = count + self._counts[key][0], copies + self._counts[key][1]
        return count, copies

    def pieces(self, whole: _Object, matrix: np.ndarray) -> Iterator[tuple[_Object, np.ndarray]]:
        """Each mesh of an object, and where it lies."""
        yield whole, matrix
        for key, place in whole.parts:
            yield from self.pieces(self._named(key), matrix @ place)

    def _named(self, key: Key) -> _Object:
        if key not in self.objects:
            raise Fault(
                f"it is built of an object {key[1]!r} that it does not have; export it again"
            )
        return self.objects[key]


def read(data: bytes) -> tuple[np.ndarray, np.ndarray, str]:
    """Vertices and faces of what the file builds, and its unit."""
    model = _Model()
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        parts = {entry.filename.strip("/").lower(): entry for entry in packed.infolist()}
        root = _root(packed, parts)
        models = {name: e for name, e in parts.items() if name.endswith(".model") or name == root}
        source.check(sum(e.file_size for e in models.values()) >> 20, MAX_MIB, "MiB unpacked")
        waiting, done = {root}, set[str]()
        while waiting:
            name = waiting.pop()
            with packed.open(models[name]) as file:
                model.parse(name, file, not done)
            done.add(name)
            waiting |= (model.missing() & models.keys()) - done
    if model.unit not in UNITS:
        raise Fault(f"its unit {model.unit[:30]!r} is none of {', '.join(UNITS)}; export it again")
    model.drop_supports()
    count, copies = model.count(model.build)
    source.check_faces(count)
    source.check(copies, MAX_COPIES, "objects, copies counted", "join its parts")
    pieces = model.pieces(model.build, np.eye(4))
    return *faces.joined((whole.mesh, matrix) for whole, matrix in pieces), model.unit


def _root(packed: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> str:
    """The part with the model: the one that the file names, or that of the usual name."""
    named = []

    def begin(_: str, given: dict[str, str]) -> None:
        if given.get("Type", "").endswith("/3dmodel"):
            named.append(given.get("Target", "").strip("/").lower())

    if "_rels/.rels" in parts:
        parser = expat.ParserCreate()
        parser.StartElementHandler = begin
        with packed.open(parts["_rels/.rels"]) as file:
            parser.Parse(file.read(1 << 20))
    for name in (*named, "3d/3dmodel.model"):
        if name in parts:
            return name
    raise Fault("it holds no 3D model; export it again")


_READ = ("/production/", "/material/", "/trianglesets/")
"""Extensions of 3MF that are read or do not change the shape have this in their names."""


def _check_extensions(given: dict[str, str]) -> None:
    """Raise Fault where a model requires another extension."""
    for prefix in given.get("requiredextensions", "").split():
        name = given.get(f"xmlns:{prefix}", prefix)
        if not any(known in name for known in _READ):
            raise Fault(f"it needs the extension {name[:80]}, which is not read; export it without")


def _matrix(text: str | None) -> Float[np.ndarray, "4 4"]:
    """Of twelve numbers: where x, y and z go, and the origin."""
    matrix = np.eye(4)
    if text is not None:
        matrix[:3] = np.array(text.split(), float).reshape(4, 3).T
    return matrix
