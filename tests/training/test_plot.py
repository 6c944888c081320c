import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.training.plot import COLOURS, Curve, Panel, draw_panels, smoothed, ticks


def rgb(colour):
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)], np.uint8)


def where(image, colour):
    """Rows and columns of a colour."""
    return np.nonzero((image.pixels == rgb(colour)).all(axis=2))


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_a_few_round_numbers_within_the_range(low, span):
    marks = ticks(low, low + span)
    assert 1 <= len(marks) <= 8
    slack = 1e-6 * span
    assert all(low - slack <= mark <= low + span + slack for mark in marks)
    steps = np.diff(marks)
    assert np.allclose(steps, steps[:1])


def test_ticks_of_nothing_are_the_value():
    assert ticks(3.0, 3.0) == [3.0]
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]


def test_the_running_mean_keeps_a_constant_and_calms_noise():
    assert smoothed([2.0] * 500) == pytest.approx([2.0] * 500)
    noise = np.random.default_rng(0).normal(size=1000)
    assert np.std(smoothed(list(noise))) < 0.3
    assert smoothed([1.0, 5.0]) == [1.0, 5.0]


def test_a_rising_curve_rises_on_the_picture():
    curve = Curve("restored", [0, 100, 200], [20.0, 25.0, 30.0], dots=True)
    image = draw_panels([Panel("PSNR", [curve])], "run")
    assert image.pixels.shape[1] == 1200
    rows, columns = where(image, COLOURS[0])
    inside = (columns < 1100) | (rows > 80)
    rows, columns = rows[inside], columns[inside]
    assert rows[columns < 150].min() > rows[columns > 1100].max()
    assert np.corrcoef(rows, columns)[0, 1] < -0.95


def test_every_curve_has_a_colour_and_every_panel_room():
    curves = [Curve(f"c{n}", [1, 2], [n + 1.0, n + 2.0], dots=True) for n in range(2)]
    one = draw_panels([Panel("a", curves)], "run")
    two = draw_panels([Panel("a", curves), Panel("b", curves[:1])], "run")
    assert two.height > 1.8 * one.height
    assert all(len(where(one, colour)[0]) for colour in COLOURS[:2])


@pytest.mark.parametrize(
    "values", [[1e-5, 1.0, math.nan], [0.0, 0.0], [math.inf, 2.0], [-3.0, 4e9], [5.0]]
)
def test_any_values_can_be_drawn(values):
    curve = Curve("loss", list(range(len(values))), values)
    assert draw_panels([Panel("p", [curve])], "run").pixels.std() > 1
