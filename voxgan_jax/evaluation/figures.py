"""Pictures of pots as lit surfaces, in sheets.

Faces are projected, sorted by depth and drawn as flat 2D polygons: the same picture as 3D axes
would give, at a fraction of the time and with panels that share one scale exactly. Only
`matplotlib.figure.Figure` is used, so nothing here touches pyplot's global state or a display.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy import ndimage
from skimage import measure

from voxgan_jax.data import vox
from voxgan_jax.files import whole
from voxgan_jax.geometry import patches

_LIGHT = np.array([-0.40, 0.75, 0.55])  # in view axes: right, up, towards the viewer
_PAD = 4  # voxels of free space around the grid, enough for the widest blur
_BLUR = 0.5  # in voxels
_DPI = 120
_PANEL_INCHES, _TITLE_INCHES = 1.7, 0.3

Colours = Float[np.ndarray, "256 3"]
Grid = UInt8[np.ndarray, "_ _ _"]


class Surface(NamedTuple):
    """Triangles of a pot standing upright, in voxels: x, y, and z up, with the mouth at the top.

    Seen from outside, the corners of a face run counter-clockwise. Per face: `normals` point
    outwards with unit length, `openness` is near 1 in free space and falls towards 0 in corners
    and deep inside a pot, `labels` is the id of the nearest voxel, without specks.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    normals: Float[np.ndarray, "f 3"]
    openness: Float[np.ndarray, " f"]
    labels: UInt8[np.ndarray, " f"]


def surface(labels: Shaped[np.ndarray, "d h w"]) -> Surface:
    """The boundary of a labelled grid; every id is solid.

    The grid is padded, so the surface is closed where the pot meets the border, and blurred, which
    takes the steps off.

    Raises:
        ValueError: the grid is empty.
    """
    ids = np.pad(labels, _PAD).astype(np.uint8)
    if not ids.any():
        raise ValueError("nothing to draw: the grid is empty")
    density = (ids > 0).astype(np.float32)
    # Filled voxels stay full: a blur alone tears holes into slanted walls one voxel thick.
    blurred = np.maximum(ndimage.gaussian_filter(density, _BLUR), density)
    vertices, faces, _, _ = measure.marching_cubes(blurred, 0.5)
    centres = vertices[faces].mean(1).T
    # Light follows a smoother field than the geometry does, or every voxel step casts a stripe.
    slopes = np.gradient(ndimage.gaussian_filter(density, 1.8))
    normals = np.stack([-ndimage.map_coordinates(s, centres, order=1) for s in slopes], 1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    crowding = ndimage.map_coordinates(
        ndimage.gaussian_filter(density, labels.shape[2] / 16), centres + 3.0 * normals.T, order=1
    )
    nearest = np.asarray(
        ndimage.distance_transform_edt(ids == 0, return_distances=False, return_indices=True)
    )
    here = tuple(np.rint(centres).astype(int))
    a, b, c = vertices[faces].transpose(1, 0, 2)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    near = ids[tuple(nearest[(slice(None), *here)])]
    return Surface(
        vertices=_upright(vertices - _PAD, np.array(labels.shape) - 1),
        faces=faces.astype(np.int64),
        normals=_upright(normals, np.zeros(3)),
        openness=np.clip(1.0 - 2.0 * crowding, 0.0, 1.0),
        labels=patches.calmed(faces, areas, near.astype(int)).astype(np.uint8),
    )


def _upright(
    points: Float[np.ndarray, "n 3"], last: Shaped[np.ndarray, "3"]
) -> Float[np.ndarray, "n 3"]:
    """Grid axes (d, h, w) to (x, y, up): the base lies at high w, and h runs against the file's z.

    The grid is a mirror image of the file's frame, so one reflection makes the picture true.
    """
    d, h, w = points.T
    return np.stack([last[1] - h, d, last[2] - w], 1).astype(np.float64)


def draw(
    ax: Axes, shape: Surface, colours: Colours, *, azimuth: float = 35.0, elevation: float = 24.0
) -> Float[np.ndarray, "2 2"]:
    """Draw a surface in parallel projection; `colours` gives the RGB of each id.

    Angles are in degrees. Returns the drawing's extent in voxels, [[left, bottom], [right, top]].
    """
    a, e = np.radians([azimuth, elevation])
    view = np.array(
        [
            [-np.sin(a), np.cos(a), 0.0],
            [-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)],
            [np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)],
        ]
    )
    corners = (shape.vertices @ view.T)[shape.faces]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    front = np.flatnonzero(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] > 0)
    order = front[np.argsort(corners[front, :, 2].mean(1))]
    lambert = np.clip(shape.normals[order] @ view.T @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    light = (0.36 + 0.64 * lambert) * (0.40 + 0.60 * shape.openness[order])
    rgb = np.clip(colours[shape.labels[order]] * (0.12 + 1.15 * light[:, None]), 0.0, 1.0)
    # Edges in the face's own colour close the hairlines between neighbouring polygons.
    ax.add_collection(
        PolyCollection(list(corners[order, :, :2]), facecolors=rgb, edgecolors=rgb, linewidths=0.3)
    )
    flat = corners[..., :2].reshape(-1, 2)
    return np.stack([flat.min(0), flat.max(0)])


def fragment_colours() -> Colours:
    """An RGB for each id: the hues that `.vox` files carry, made paler so that the light shows."""
    return 0.3 + 0.7 * vox.fragment_palette()[:, :3].astype(float) / 255


def contact_sheet(
    pots: Sequence[Grid], titles: Sequence[str], path: str | pathlib.Path, *, columns: int = 6
) -> None:
    """Write a sheet of pots to an image file, all at one scale, coloured by fragment.

    Raises:
        ValueError: no pots, not one title a pot, or a pot without a voxel.
    """
    if not pots or len(pots) != len(titles):
        raise ValueError(f"{len(pots)} pots and {len(titles)} titles: one each, at least one")
    rows = [list(pots[k : k + columns]) for k in range(0, len(pots), columns)]
    names = [list(titles[k : k + columns]) for k in range(0, len(pots), columns)]
    sheet(rows, names, [""] * len(rows), path, fragment_colours(), aligned=False)


def sheet(
    rows: Sequence[Sequence[Grid]],
    titles: Sequence[Sequence[str]],
    row_titles: Sequence[str],
    path: str | pathlib.Path,
    colours: Colours,
    *,
    aligned: bool,
) -> None:
    """Panels of one scale on white, standing on the row's ground line; rows as high as they need.

    Each panel shows its drawing's own extent in the middle, or the row's common one if `aligned`.
    """
    figure = Figure(dpi=_DPI, facecolor="white")
    panels, extents = [], []
    for row in rows:
        panels.append([figure.add_axes((0, 0, 1, 1)) for _ in row])
        drawn = [
            draw(ax, surface(labels), colours) if labels.any() else None
            for ax, labels in zip(panels[-1], row, strict=True)
        ]
        seen = np.array([extent for extent in drawn if extent is not None])
        blank = np.zeros((2, 2))
        common = np.stack([seen[:, 0].min(0), seen[:, 1].max(0)]) if len(seen) else blank
        extents.append([common if aligned or one is None else one for one in drawn])

    sizes = [[high - low for low, high in row] for row in extents]
    wide = 1.10 * max(size[0] for row in sizes for size in row)
    tall = [1.06 * max(size[1] for size in row) for row in sizes]
    above = [_TITLE_INCHES if any(row) else 0.1 for row in titles]
    left = _TITLE_INCHES if any(row_titles) else 0.0
    scale = _PANEL_INCHES / wide
    width = left + _PANEL_INCHES * max(len(row) for row in rows)
    height = scale * sum(tall) + sum(above) + 0.1
    figure.set_size_inches(width, height)
    top = height
    for i, row in enumerate(panels):
        bottom = top - above[i] - scale * tall[i]
        for j, ax in enumerate(row):
            (x, y), (x_end, _) = extents[i][j]
            middle, start = (x + x_end) / 2, left + j * _PANEL_INCHES
            ax.set(xlim=(middle - wide / 2, middle + wide / 2), ylim=(y, y + tall[i]))
            ax.set_position(
                (start / width, bottom / height, _PANEL_INCHES / width, scale * tall[i] / height)
            )
            ax.axis("off")
            _write(figure, titles[i][j], (start + _PANEL_INCHES / 2) / width, (top - 0.16) / height)
        _write(
            figure,
            row_titles[i],
            left / 2 / width,
            bottom / height + scale * tall[i] / height / 2,
            rotation=90.0,
        )
        top = bottom
    save(figure, pathlib.Path(path))


def _write(figure: Figure, text: str, x: float, y: float, rotation: float = 0.0) -> None:
    figure.text(
        x, y, text, rotation=rotation, ha="center", va="center", fontsize=10, color=(0.2, 0.2, 0.2)
    )


def save(figure: Figure, path: pathlib.Path) -> None:
    """Write a picture, in the format that its name ends in, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        figure.savefig(unfinished, dpi=_DPI, format=path.suffix[1:] or None)
