"""The pots drawn apart: sound outlines, read as the real data is."""

import numpy as np
import pytest
from skimage import measure

from scripts import draw_pots
from scripts.lib import named_forms
from voxgan_jax.data import source


def pieces(clay):
    """How many bodies, touching by corners or not."""
    return int(np.asarray(measure.label(clay, connectivity=3)).max())


@pytest.mark.parametrize("name", named_forms.FORMS)
def test_each_form_is_a_pot_and_each_drawing_another(name):
    first, second = (named_forms.draw(name, np.random.default_rng(k)) for k in (0, 1))
    assert (first[[0, -1], 1] == 0).all() and (first[1:-1, 1] > 0).any()
    clay, other = named_forms.voxels(first), named_forms.voxels(second)
    assert max(clay.shape) == 64
    assert pieces(clay) == 1
    assert 0.01 < clay.sum() / 64**3 < 0.25
    # Open at the top: a column of air above the floor's middle.
    middle = clay[clay.shape[0] // 2, clay.shape[1] // 2]
    assert middle.any() and not middle[: len(middle) // 3].any()
    assert clay.shape != other.shape or (clay != other).any()


def test_the_set_is_read_as_the_data_set_is(tmp_path, capsys, monkeypatch):
    few = {name: named_forms.FORMS[name] for name in ("kylix", "tea bowl")}
    monkeypatch.setattr(named_forms, "FORMS", few)
    out, sheet = tmp_path / "pots", tmp_path / "sheet.png"
    assert draw_pots.main(["--out", str(out), "--each", "1", "--sheet", str(sheet)]) == 0
    assert "2 pots of 2 forms" in capsys.readouterr().out
    pots = list(source.open_split(out, "test", resolution=64).pots)
    assert [pot.category for pot in pots] == ["kylix", "tea_bowl"]
    for pot in pots:
        number = int(pot.name.split("-n")[1][:3])
        present = np.unique(pot.labels)
        assert 4 <= number <= 14 and present[present > 1].tolist() == list(range(2, number + 2))
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert draw_pots.main(["--out", str(out)]) == 1
    assert "holds .vox files already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        draw_pots.main([])
