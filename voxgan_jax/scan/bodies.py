"""Of what bodies a scan consists: dust is left out, and one is taken where one is named.

Scans come with specks in the air, stray triangles, the turntable, a second sherd; and one sherd
comes as hundreds of shells, or as triangles whose corners nobody joined. So what touches is asked,
not only what shares corners.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from voxgan_jax.geometry import connections, voxelise
from voxgan_jax.geometry.connections import Edges, Faces, Vertices
from voxgan_jax.scan import origin, winding
from voxgan_jax.scan.contents import Body, Contents, Which
from voxgan_jax.scan.source import Fault

Labels = Int[np.ndarray, "_"]
Points = Float[np.ndarray, "_ 3"]
Marks = Bool[np.ndarray, "_"]
Vector = Float[np.ndarray, "3"]

DUST = 0.01
"""Of the area: smaller bodies are dust where they touch nothing bigger."""
_TOUCH = 1 / 200
"""Of the root of the area: what is no further from each other touches."""
_USUAL = 1000.0
"""Times the median: a face of more area does not count with all of it; it may be a stray one."""
_FEWEST = 4
"""Faces of a body; fewer enclose nothing."""
_OVERLAP = 0.5
"""Of the smaller one's box: open shells that share more of it are the walls of one sherd."""
_LOOSE = 50.0
"""Times nearer than what touches are corners that only nobody joined."""
_SAMPLES = 64
"""Points at most on an edge, between its ends."""
_MIX = np.array(
    [0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB, 0x5851F42D4C957F2D], np.int64
)
"""So three whole numbers become one, which is hardly ever that of three others; it runs over."""


def cleaned(
    vertices: Vertices, faces: Faces, which: Which = None
) -> tuple[Vertices, Faces, Contents]:
    """A mesh without dust, its faces turned outward, about a local origin.

    Args:
        vertices: merged where they are equal; all are used.
        which: the number of the body that is taken, from 1 on; all are where none is named.

    Raises:
        Fault: there is no such body.
    """
    found = connections.edges(faces)
    corner = connections.bodies(len(vertices), faces)
    known = Contents()
    if corner.max():
        label, known = _sorted_out(vertices, faces, corner[faces[:, 0]], found)
    else:
        label = np.zeros(len(faces), int)
    if not known.bodies:
        known = known._replace(bodies=(_body(vertices, faces, 1.0),))
    if isinstance(which, int):
        if which > len(known.bodies):
            many = len(known.bodies)
            raise Fault(f"--body {which}: it holds {'one body' if many == 1 else f'{many} bodies'}")
        known = known._replace(taken=which if len(known.bodies) > 1 else None)
    kept = label >= 0 if not known.taken else label == known.taken - 1
    if not kept.all():
        used = _of_corners(vertices, faces[kept], label[kept]) >= 0
        vertices, faces = vertices[used], (np.cumsum(used) - 1)[faces[kept]]
        found = winding.of_faces(found, kept)
    middle = origin.local(vertices.min(axis=0), vertices.max(axis=0))
    known = known._replace(
        origin=tuple(middle.tolist()), steps=origin.steps(vertices) if middle.any() else 0.0
    )
    vertices = vertices - middle
    faces, turned, outward = winding.outward(vertices, faces, found)
    return vertices, faces, known._replace(turned=turned, outward=outward)


def _body(vertices: Vertices, faces: Faces, share: float) -> Body:
    used = _of_corners(vertices, faces, np.zeros(len(faces), int)) == 0
    x, y, z = np.ptp(vertices[used], axis=0).tolist()
    return Body((x, y, z), share, len(faces))


def _sorted_out(
    vertices: Vertices, faces: Faces, label: Labels, found: Edges
) -> tuple[Labels, Contents]:
    """For each face the number of its body, the biggest 0, or -1 where it is dust."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    near = _TOUCH * float(np.sqrt(np.minimum(area, _USUAL * np.median(area)).sum()))
    label = _shells(vertices, faces, label, found, near)
    sizes, areas = np.bincount(label), np.bincount(label, area)
    whole = sizes >= _FEWEST
    big = whole & (areas >= DUST * areas[whole].sum())
    if not big.any():
        # A heap of crumbs: nobody can tell which of them are dust.
        return np.zeros(len(faces), int), Contents()
    label = _facing(vertices, faces, label, big, found, near)
    number = np.full(len(sizes), -1)
    left = np.unique(label[big[label]])
    number[left] = np.arange(len(left))
    label = _attached(vertices, faces, number[label], label, near)
    dust = label < 0
    areas = np.bincount(label[~dust], area[~dust])
    rank = np.argsort(-areas, kind="stable")
    place = np.append(np.argsort(rank), -1)
    label = place[label]
    total = float(area[~dust].sum())
    bodies = [
        _body(vertices, faces[label == n], float(areas[m] / total)) for n, m in enumerate(rank)
    ]
    known = Contents(tuple(bodies))
    return label, _with_dust(known, vertices, faces, area, dust) if dust.any() else known


def _with_dust(
    known: Contents, vertices: Vertices, faces: Faces, area: Float[np.ndarray, "_"], dust: Marks
) -> Contents:
    """Told with how many bodies are dust, their share of the area, and the greatest one's size."""
    used, at = np.unique(faces[dust], return_inverse=True)
    some = at.reshape(-1, 3)
    label = connections.bodies(len(used), some)[some[:, 0]]
    greatest = np.bincount(label, area[dust]).argmax()
    return known._replace(
        dust=int(label.max()) + 1,
        dust_share=float(area[dust].sum() / area.sum()),
        dust_size=_body(vertices[used], some[label == greatest], 0.0).size,
    )


def _shells(vertices: Vertices, faces: Faces, label: Labels, found: Edges, near: float) -> Labels:
    """Open shells that touch at their borders are one: their labels become one.

    Space is cut into cells of twice the distance that is near. A point of a border lies in the
    eight about it, so whatever touches it has a point in one of them.
    """
    of_corner = _of_corners(vertices, faces, label)
    shell = np.zeros(int(label.max()) + 1, bool)
    shell[of_corner[found.border[:, 0]]] = True
    if shell.sum() < 2:
        return label
    low = vertices.min(axis=0)
    # Triangles whose corners nobody joined, first: else there are far too many of them.
    loose = np.unique(found.border[:, 0])
    same = _joined(len(shell), of_corner[loose], _cell(vertices[loose], near / _LOOSE, low))
    inner = np.flatnonzero(shell[of_corner])
    label, of_corner = same[label], same[of_corner]
    points, whose = _on_borders(vertices, found, of_corner, near)
    beside = np.array(list(np.ndindex(2, 2, 2))) - 0.5
    cell = np.concatenate([_cell(points, 2 * near, low, shift) for shift in beside])
    whose = np.tile(whose, len(beside))
    known = np.unique(cell)
    place = _cell(vertices[inner], 2 * near, low)
    met = known[np.minimum(np.searchsorted(known, place), len(known) - 1)] == place
    cell = np.concatenate([cell, place[met]])
    return _joined(len(shell), np.concatenate([whose, of_corner[inner[met]]]), cell)[label]


def _on_borders(
    vertices: Vertices, found: Edges, of_corner: Labels, near: float
) -> tuple[Points, Labels]:
    """Points on the borders, no further than `near` from each other, and whose they are."""
    start, end = vertices[found.border].transpose(1, 0, 2)
    parts = np.ceil(np.linalg.norm(end - start, axis=1) / near).astype(int).clip(1, _SAMPLES)
    edge = np.repeat(np.arange(len(parts)), parts)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(parts) - parts, parts)
    points = start[edge] + (step / parts[edge])[:, None] * (end - start)[edge]
    whose = of_corner[found.border[edge, 0]]
    key = _cell(points, near / 2, vertices.min(axis=0)) + whose * _MIX[3]
    first = np.unique(key, return_index=True)[1]
    return points[first], whose[first]


def _joined(count: int, whose: Labels, cell: Labels) -> Labels:
    """For each of `count` bodies the number of those with which it shares cells."""
    known, at = np.unique(cell, return_inverse=True)
    pairs = np.stack([whose, count + at.ravel()], 1)
    joined = connections.components(count + len(known), pairs)[:count]
    return np.unique(joined, return_inverse=True)[1].ravel()


def _cell(points: Points, side: float, low: Vector, shift: Vector | float = 0.0) -> Labels:
    """A number for the cell in which each point lies, shifted by shares of a cell."""
    cell = np.floor((points - low) / side + shift).astype(np.int64)
    return (cell * _MIX[:3]).sum(axis=1)


def _of_corners(vertices: Vertices, faces: Faces, label: Labels) -> Labels:
    """What faces are labelled, for their corners, -1 for those of none."""
    found = np.full(len(vertices), -1)
    for corner in faces.T:
        found[corner] = label
    return found


def _facing(
    vertices: Vertices, faces: Faces, label: Labels, big: Marks, found: Edges, near: float
) -> Labels:
    """Big open shells in one place are one, say the two walls of a sherd, scanned each."""
    of_corner = _of_corners(vertices, faces, label)
    border = np.bincount(of_corner[found.border[:, 0]], minlength=len(big))
    shells = np.flatnonzero(big & (border > 0))
    if len(shells) < 2:
        return label
    boxes = []
    for shell in shells:
        points = vertices[of_corner == shell]
        boxes.append([points.min(axis=0) - near, points.max(axis=0) + near])
    low, high = np.array(boxes).transpose(1, 0, 2)
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    volume = np.prod(high - low, axis=1)
    share = np.prod(common.clip(0), axis=2) / np.minimum(volume[:, None], volume)
    joined = connections.components(len(shells), np.argwhere(share > _OVERLAP))
    same = np.arange(len(big))
    same[shells] = shells[[int(np.flatnonzero(joined == own)[0]) for own in joined]]
    return same[label]


def _attached(
    vertices: Vertices, faces: Faces, number: Labels, label: Labels, near: float
) -> Labels:
    """The bodies of faces, where small ones belong to the big one that they touch, -1 to none.

    Args:
        number: of the faces' big bodies, -1 for small ones.
        label: of the faces, big and small.
    """
    number = number.copy()
    fresh = number >= 0
    while fresh.any() and not fresh.all() and (number < 0).any():
        points, owner = _points(vertices, faces[fresh], number[fresh], near)
        tree = KDTree(points, balanced_tree=False, compact_nodes=False)
        small = np.flatnonzero(number < 0)
        whose = _of_corners(vertices, faces[small], label[small])
        asked = np.flatnonzero(whose >= 0)
        distance, nearest = tree.query(vertices[asked], distance_upper_bound=1.5 * near)
        met = np.flatnonzero(np.isfinite(distance))
        joins = np.full(int(label.max()) + 1, -1)
        joins[whose[asked[met]]] = owner[np.asarray(nearest)[met]]
        number[small] = joins[label[small]]
        fresh = np.zeros(len(faces), bool)
        fresh[small] = number[small] >= 0
    return number


def _points(vertices: Vertices, faces: Faces, label: Labels, near: float) -> tuple[Points, Labels]:
    """Points on faces, so near to each other, and their labels."""
    of_corner = _of_corners(vertices, faces, label)
    corners = np.flatnonzero(of_corner >= 0)
    triangles = vertices[faces]
    sides = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2)
    long = np.asarray(sides.max(axis=1) > near)
    points, owner = [vertices[corners]], [of_corner[corners]]
    for own in set(label[long].tolist()):
        more = voxelise.spread(triangles[long & (label == own)], near)
        points.append(more)
        owner.append(np.full(len(more), own))
    return np.concatenate(points), np.concatenate(owner)
