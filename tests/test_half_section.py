"""Distances to lines in a pot's half section, and lines from distances."""

import numpy as np
import pytest
from turned_solids import BOWL, ball, cells, polygon, sampled, shell

from voxgan_jax.geometry import half_section


def arc(height, radius, points=400):
    turn = np.linspace(0, np.pi, points)
    return np.stack([height - radius * np.cos(turn), radius * np.sin(turn)], axis=1)


def test_the_distance_to_arcs_is_that_of_a_shell():
    found = half_section.signed_distance([arc(31.7, 23.4), arc(31.7, 19.2)], 64)
    assert found.shape == (128, 72) and found.dtype == np.float32
    assert np.abs(found - sampled(shell(31.7, 21.3, 2.1))).max() < 2e-3


def test_the_distance_to_straight_lines_is_exact_up_to_the_clip():
    solid = polygon(*BOWL)
    exact = solid(*cells())
    for clip in (1.0, 3.0, 5.0):
        found = half_section.signed_distance([np.array(BOWL, float)], 64, clip)
        assert np.abs(found - np.clip(exact, -clip, clip)).max() < 1e-5
    small = half_section.signed_distance([np.array(BOWL, float) / 2], 32)
    assert small.shape == (64, 40)
    exact = np.clip(polygon(*np.array(BOWL) / 2)(*cells(32)), -3, 3)
    assert np.abs(small - exact).max() < 1e-5


def test_a_closed_line_bounds_a_ring_and_what_lies_beyond_the_grid_is_cut_off():
    turn = np.linspace(0, 2 * np.pi, 600)
    loop = np.stack([31.2 + 6 * np.cos(turn), 17 + 6 * np.sin(turn)], axis=1)
    found = half_section.signed_distance([loop], 64)
    assert np.abs(found - sampled(ball(31.2, 6.0, 17.0))).max() < 2e-3
    moved = [loop + np.array(by) for by in ((0.0, 30.0), (-60.0, 0.0))]
    beyond = half_section.signed_distance(moved, 64)
    exact = np.minimum(sampled(ball(31.2, 6.0, 47.0)), sampled(ball(-28.8, 6.0, 17.0)))
    assert np.abs(beyond - exact).max() < 2e-3


def test_no_line_is_air():
    assert (half_section.signed_distance([], 32) == half_section.CLIP).all()


@pytest.mark.parametrize("solid", [shell(31.7, 21.3, 2.1), ball(31.3, 6.3, 17.2)])
def test_the_outline_lies_where_the_distance_is_0(solid):
    lines = half_section.outline(sampled(solid))
    points = np.concatenate(lines)
    assert np.abs(solid(*points.T)).max() < 0.02
    on_axis = [bool((line[[0, -1], 1] == 0).all()) for line in lines]
    closed = [bool((line[0] == line[-1]).all()) for line in lines]
    assert on_axis == [not shut for shut in closed]
    assert len(lines) == (2 if on_axis[0] else 1)


def test_a_distance_of_0_in_a_cell_gives_no_point_twice():
    lines = half_section.outline(sampled(polygon((10.25, 0), (10.25, 17), (20.25, 17), (20.25, 0))))
    steps = np.linalg.norm(np.diff(np.concatenate(lines), axis=0), axis=1)
    assert len(lines) == 1 and steps.min() > 0
