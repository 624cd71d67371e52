"""Files appear whole or not at all."""

import pytest

from voxgan_jax import files


@pytest.mark.parametrize("content", ["grün\n", b"\x00\xff", bytearray(b"abc")])
def test_what_is_written_takes_the_place_of_what_was(content, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    files.write_whole(path, content)
    wanted = content.encode("utf-8") if isinstance(content, str) else content
    assert path.read_bytes() == wanted
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), files.whole(path) as unfinished:
        unfinished.write_text("half")
        assert path.read_text() == "before"
        raise OSError("full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
