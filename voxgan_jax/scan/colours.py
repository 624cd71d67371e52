"""The colours of a scan: of each vertex its own, that of the faces at it, or its picture's there.

trimesh reads them, apart from the shape: what is wrong with them costs them alone.
"""

import contextlib
import io
import pathlib
import re
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial import KDTree

from voxgan_jax.geometry.solids import Mesh
from voxgan_jax.scan import source

Points = Float[np.ndarray, "n 3"]
Colours = UInt8[np.ndarray, "n 3"]
"""Red, green and blue in sRGB."""

HINT = re.compile(
    rb"(?m)^property \w+ red\b|TextureFile|mtllib|^v([ \t]+\S+){6}|COLOR_0|baseColorTexture|^COFF"
)
"""What is found near the beginning of a file that has colours, and hardly in others."""
LEFT_OUT = "its colours are left out, as they cannot be read ({}); export it again to have them"
_MOST = 1 << 28
"""Bytes of a file beside the scan, pixels of a picture."""
_AWAY = 1e-4
"""Of the size: so far from a vertex what tells its colour may lie, as numbers are rounded."""


def read(place: pathlib.Path, vertices: Points) -> tuple[Colours | None, str]:
    """Colours for a scan's vertices, None where there are none or all are one; and what is missing
    of them, in words."""
    beside = _Beside(place.parent)
    try:
        points, colours = _painted(place, beside)
        away, nearest = KDTree(points, balanced_tree=False).query(vertices)
        if away.max() > _AWAY * np.ptp(vertices, axis=0).max():
            raise ValueError("they lie beside its faces")
    except Exception as error:
        return None, LEFT_OUT.format(" ".join(str(error).split())[:80] or type(error).__name__)
    found, lost = colours[nearest], ", ".join(map(source.readable, dict.fromkeys(beside.lost)))
    note = lost and f"its colours are not all there: no {lost} beside it that can be read"
    return (found if (found != found[0]).any() else None), note


def of(mesh: Mesh) -> Colours | None:
    """The colours of a mesh's vertices, if it has any."""
    look: Any = mesh.visual
    return np.asarray(look.vertex_colors)[:, :3] if look.kind == "vertex" else None


def dyed(mesh: Mesh, scan: Mesh) -> Mesh:
    """The mesh, its vertices in the colours that a scan has nearest to them, if it has any."""
    look: Any = mesh.visual
    if (found := of(scan)) is not None:
        nearest = KDTree(scan.vertices, balanced_tree=False).query(mesh.vertices)[1]
        look.vertex_colors = found[nearest]
    return mesh


class _Beside:
    """The files in a scan's folder, for trimesh; `lost` are the names of those that are not."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.lost = folder.resolve(), list[str]()

    def get(self, name: str) -> bytes:
        from PIL import Image

        name = name.strip().replace("\\", "/")
        # Another machine's folders may stand before it, or options.
        for tried in (name, name.rpartition("/")[2], name.split()[-1]):
            place = (self.folder / tried).resolve()
            inside = place.is_relative_to(self.folder) and place.is_file()
            if inside and place.stat().st_size <= _MOST:
                with contextlib.suppress(Exception):  # Of what is no picture trimesh says nothing.
                    data = place.read_bytes()
                    if place.suffix.lower() != ".mtl":
                        Image.open(io.BytesIO(data))
                    return data
        self.lost.append(name.rpartition("/")[2])
        raise FileNotFoundError(name)

    __getitem__ = get


def _painted(place: pathlib.Path, beside: _Beside) -> tuple[Points, Colours]:
    """The vertices of a scan as trimesh has them, and their colours."""
    import trimesh
    from PIL import Image
    from trimesh.exchange.load import mesh_loaders

    Image.MAX_IMAGE_PIXELS = _MOST  # It refuses twice as many; what it takes counts as memory.
    ending = place.suffix.lower()
    load: Any = _off if ending == ".off" else mesh_loaders[ending[1:]]
    told = load(io.BytesIO(source.load(place)[0]), resolver=beside)
    for part in told.get("geometry", {"all": told}).values():
        _paint(part, linear=ending == ".glb")
    made: Any = trimesh.load_scene(told).dump()
    colours = [mesh.visual.vertex_colors[:, :3] for mesh in made]
    return np.concatenate([mesh.vertices for mesh in made]), np.concatenate(colours)


def _paint(part: dict[str, Any], linear: bool) -> None:
    """Give a part of what trimesh read colours that it understands: those of its picture, or its
    own, whole numbers or fractions of 1 or 255; `linear` as glTF has them."""
    from trimesh.visual import color

    look, own = part.pop("visual", None), part.get("vertex_colors")
    sampled = look and look.material.to_color(look.uv)
    if np.ndim(sampled) == 2:
        part["vertex_colors"] = sampled
        return
    own = look.vertex_attributes.get("color", own) if look else own
    if own is not None:
        whole = own.dtype.kind in "ui"
        most = np.iinfo(own.dtype).max if whole else 255 if own.max() > 1 else 1
        shares = np.clip(own[:, :3] / most, 0, 1)
        part["vertex_colors"] = color.linear_to_srgb(shares) if linear else shares


def _off(file: io.BytesIO, **_: Any) -> dict[str, Any]:
    """A text whose head says that its vertices have colours, as trimesh would tell it."""
    rows = [row.split() for row in file if row.strip() and not row.startswith(b"#")]
    values = np.array([row[:6] for row in rows[2 : 2 + int(rows[1][0])]], float)
    return {"vertices": values[:, :3], "vertex_colors": values[:, 3:]}
