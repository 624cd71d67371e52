"""What each format may hold beside plain triangles: read wholly, or refused by name.

Each row of the table in docs/formats.md has its cases, under the same words.
"""

import pathlib
import re

import numpy as np
import pytest
import vox_bytes

from scripts.lib import format_scenes
from voxgan_jax.scan import formats, mesh_files, threemf

PARTS = dict(format_scenes.PARTS)
SCENE = np.zeros((6, 2, 3), np.uint8)
SCENE[[0, 1, 5, 5], [0, 1, 0, 0], [0, 1, 0, 2]] = 7, 8, 9, 10
PARTS["vox", "several models, turned and moved by a scene, hidden ones, too"] = {
    "scene": (vox_bytes.scene(), SCENE),
    "broken": (vox_bytes.scene()[:-1], "byte "),
}


@pytest.mark.parametrize(
    ("suffix", "words", "name"),
    [(*key, name) for key, cases in PARTS.items() for name in cases],
    ids=lambda value: str(value)[:30],
)
def test_a_part_of_a_format_is_read_or_refused_by_name(suffix, words, name, tmp_path):
    data, expected = PARTS[suffix, words][name]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    known = formats.FORMATS[f".{suffix}"]

    def read():
        return (
            mesh_files.read(known.parse, str(path), path) if known.is_mesh else formats.read(path)
        )

    if not isinstance(expected, str) and not known.is_mesh:
        grid, *place = expected if isinstance(expected, tuple) else (expected,)
        found = known.parse(data)
        np.testing.assert_array_equal(found[0], grid)
        assert found[0].dtype == np.uint8
        for told, wanted in zip(found[1:], place, strict=False):
            np.testing.assert_allclose(told, wanted)
        return
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=rf"a\.{suffix}: .*{expected}"):
            read()
        return
    vertices, faces, unit = read()[:3]
    vertices = vertices * (known.unit or threemf.UNITS[unit or ""])
    a, b, c = (vertices - vertices.mean(0))[faces].transpose(1, 0, 2)
    assert len(vertices) == len(faces) == 4
    np.testing.assert_allclose(np.ptp(vertices, axis=0), expected, rtol=1e-4)
    # All turned outwards.
    volume = (np.cross(b - a, c - a) * a).sum() / 6
    np.testing.assert_allclose(volume, expected**3 / 6, rtol=1e-4)


def test_the_table_in_the_docs_has_these_rows():
    text = (pathlib.Path(__file__).parents[1] / "docs/formats.md").read_text("utf-8")
    rows = re.findall(r"^\| `\.(\w+)` \| (.*?) \| (?:read|left out|refused)", text, re.MULTILINE)
    assert sorted(rows) == sorted(PARTS)
