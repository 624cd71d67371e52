"""3MF files: meshes as XML in a zip, built of objects, which may be made of other objects.

Not by trimesh: it unfolds all ways through the objects before it counts them, so that 1.6 kB take
minutes, and keeps a kilobyte for each face. Here the XML is read as it streams by, copies are
counted before they are made, and entities are refused.
"""

import array
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import numpy as np
from jaxtyping import Float

from voxgan_jax.scan import source
from voxgan_jax.scan.source import Fault

MAX_UNPACKED = 1 << 29
MAX_COPIES = 10_000
MAX_DEPTH = 32

Key = tuple[str, str]
"""Name of the part of the file, which is a path in the zip, and id of the object there."""


class _Object:
    """A mesh, or the objects of which it is made, each where `matrix` puts it."""

    def __init__(self) -> None:
        self.vertices = array.array("d")
        self.faces = array.array("q")
        self.parts: list[tuple[Key, Float[np.ndarray, "4 4"]]] = []


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
                current = self.objects[name, given["id"]] = _Object()
            elif tag == "component" or (tag == "item" and main):
                paths = [value for key, value in given.items() if key.rpartition(":")[2] == "path"]
                part = paths[0].strip("/").lower() if paths else name
                whole = self.build if tag == "item" else current
                whole.parts.append(((part, given["objectid"]), _matrix(given.get("transform"))))
            elif tag == "model" and main:
                self.unit = given.get("unit", self.unit)

        def refuse(*_: Any) -> None:
            raise Fault("its XML declares a document type; export it again")

        parser.StartElementHandler = begin
        parser.StartDoctypeDeclHandler = refuse
        parser.ParseFile(file)

    def missing(self) -> set[str]:
        """Parts that are named and not read yet."""
        wholes = (self.build, *self.objects.values())
        return {key[0] for whole in wholes for key, _ in whole.parts if key not in self.objects}

    def count(self, whole: _Object, depth: int = 0) -> tuple[int, int]:
        """How many faces an object has with all its parts, and how many objects it is made of."""
        if depth > MAX_DEPTH:
            raise Fault(
                f"its objects contain each other, or lie more than {MAX_DEPTH} deep;"
                " export it again, its parts joined"
            )
        faces, copies = len(whole.faces) // 3, 1
        for key, _ in whole.parts:
            if key not in self._counts:
                self._counts[key] = self.count(self._named(key), depth + 1)
            faces, copies = faces + self._counts[key][0], copies + self._counts[key][1]
        return faces, copies

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
        models = {name: entry for name, entry in parts.items() if name.endswith(".model")}
        if (unpacked := sum(entry.file_size for entry in models.values())) > MAX_UNPACKED:
            raise Fault(
                f"unpacked it has {unpacked >> 20} MiB, above the limit of {MAX_UNPACKED >> 20};"
                " reduce the scan"
            )
        roots = [name for name in models if "3d/3dmodel.model" in name]
        if not roots:
            raise Fault("it holds no 3D model; export it again")
        waiting, done = set(roots[:1]), set[str]()
        while waiting:
            name = waiting.pop()
            with packed.open(models[name]) as file:
                model.parse(name, file, not done)
            done.add(name)
            waiting |= (model.missing() & models.keys()) - done
    faces, copies = model.count(model.build)
    source.check_faces(faces)
    if copies > MAX_COPIES:
        raise Fault(
            f"it is built of {copies:.3g} objects, above the limit of {MAX_COPIES}; join its parts"
        )
    return *_joined(model.pieces(model.build, np.eye(4))), model.unit


def _joined(pieces: Iterator[tuple[_Object, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces, count = [np.zeros((0, 3))], [np.zeros((0, 3), int)], 0
    for whole, matrix in pieces:
        corners = np.array(whole.faces, int).reshape(-1, 3)
        points = np.array(whole.vertices).reshape(-1, 3)
        if len(corners) and not 0 <= corners.min() <= corners.max() < len(points):
            raise Fault("its faces name vertices that it does not have; export it again")
        if not len(corners):
            continue
        # A mirror turns faces inside out.
        turned = np.linalg.det(matrix[:3, :3]) < 0
        faces.append(count + (corners[:, ::-1] if turned else corners))
        vertices.append(points @ matrix[:3, :3].T + matrix[:3, 3])
        count += len(points)
    return np.concatenate(vertices), np.concatenate(faces)


def _matrix(text: str | None) -> Float[np.ndarray, "4 4"]:
    """Of twelve numbers: where x, y and z go, and the origin."""
    matrix = np.eye(4)
    if text is not None:
        matrix[:3] = np.array(text.split(), float).reshape(4, 3).T
    return matrix
