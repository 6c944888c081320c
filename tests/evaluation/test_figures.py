import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.evaluation.figures import Axis, distribution, gains, rows_of
from restorekit.metrics.protocols import METRICS
from tests.evaluation.conftest import pair

PSNR = METRICS["psnr"]


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_ticks_are_evenly_spaced_within_the_axis(low, length):
    ticks = Axis(low, low + length, 0, 100).ticks()
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-6 * length <= tick <= low + length * (1 + 1e-6) for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)


def test_places_are_linear():
    axis = Axis(20, 40, 100, 300)
    assert [axis.place(value) for value in (20, 25, 40)] == [100, 150, 300]


def test_the_degraded_pictures_are_the_first_row(evaluations):
    rows = rows_of(evaluations, PSNR)
    assert [(row.label, row.values) for row in rows] == [
        ("degraded", (20, 25)),
        ("a", (30, 24)),
        ("b", (28, 26)),
    ]
    assert len({row.colour for row in rows}) == 3


def test_gains_are_drawn_from_the_smallest_to_the_largest(evaluations):
    points = re.findall(r'points="([^"]+)"', gains(evaluations, PSNR))
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in points]
    # a: -1 and 10, b: 1 and 8; a gain is higher, which is less far from the top.
    assert [first > last for first, last in heights] == [True, True]
    assert heights[0][0] > heights[1][0] > heights[1][1] > heights[0][1]


def test_names_at_the_end_of_curves_do_not_lie_on_each_other(evaluations):
    same = [replace(evaluations[0], model=f"m{k}") for k in range(4)]
    labels = re.findall(r'class="end" x="[\d.]+" y="([\d.]+)"', gains(same, PSNR))
    assert all(b - a >= 15 for a, b in pairwise(map(float, labels)))


def test_without_degraded_pictures_there_is_no_gain(evaluations):
    pairs = tuple(replace(each, degraded={}) for each in evaluations[0].pairs)
    alone = [replace(evaluations[0], pairs=pairs)]
    assert gains(alone, PSNR) == ""
    assert distribution(alone, PSNR).count("<circle") == 2


def test_pictures_of_one_value_are_stacked_beside_each_other(evaluations):
    pairs = tuple(pair(str(k), 20, 30) for k in range(5))
    drawn = distribution([replace(evaluations[0], pairs=pairs)], PSNR)
    places = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert len(set(places)) == 10
