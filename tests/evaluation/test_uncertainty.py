import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.errors import DataError
from restorekit.evaluation.uncertainty import EXACT_FLIPS, bootstrap_interval, paired_test


def values(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(30, 4, count)


@pytest.mark.parametrize("count", [5, 40, 300])
def test_the_interval_is_that_of_scipy(count):
    sample = values(count)
    expected = scipy.stats.bootstrap(
        (sample,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(9)
    ).confidence_interval
    spread = sample.std() / math.sqrt(count)
    assert bootstrap_interval(list(sample)) == pytest.approx(tuple(expected), abs=0.1 * spread)


def test_the_interval_is_the_same_at_every_call():
    assert bootstrap_interval(list(values(20))) == bootstrap_interval(list(values(20)))


def test_values_that_are_none_or_infinite_are_left_out():
    sample = [30.0, 31.0, 35.0]
    assert bootstrap_interval([*sample, math.nan, math.inf]) == bootstrap_interval(sample)


@pytest.mark.parametrize("few", [[], [30.0], [30.0, math.nan]])
def test_one_value_has_no_interval(few):
    assert bootstrap_interval(few) is None


def test_equal_values_have_an_interval_of_no_width():
    assert bootstrap_interval([31.5] * 7) == (31.5, 31.5)


@pytest.mark.parametrize("count", [4, 9, EXACT_FLIPS])
def test_few_pictures_are_tested_exactly_as_scipy_does(count):
    a, b = values(count), values(count, seed=1) + 1
    expected = scipy.stats.permutation_test(
        (a, b),
        lambda x, y: np.mean(y - x),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    assert paired_test(list(a), list(b)).p_value == pytest.approx(expected, abs=1e-12)


def test_many_pictures_are_tested_by_a_sample_of_flips():
    a = values(80)
    b = a + np.random.default_rng(2).normal(0.3, 1.2, 80)
    expected = scipy.stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(y - x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(3),
    ).pvalue
    assert paired_test(list(a), list(b)).p_value == pytest.approx(expected, abs=0.01)


def test_all_pictures_better_by_the_same_is_as_sure_as_their_number_allows():
    test = paired_test([30.0, 31, 32, 33, 34], [31.0, 32, 33, 34, 35])
    assert test.p_value == 2 / 2**5
    assert (test.difference, test.higher, test.lower, test.pictures) == (1, 5, 0, 5)
    assert (test.mean_a, test.mean_b) == (32, 33)
    assert math.isnan(test.effect)
    assert test.interval == (1, 1)


def test_effect_is_the_mean_in_standard_deviations():
    test = paired_test([0.0, 0, 0, 0], [1.0, 2, 3, 4])
    assert test.effect == pytest.approx(2.5 / np.std([1, 2, 3, 4], ddof=1))


def test_nothing_differs():
    test = paired_test([30.0] * 40, [30.0] * 40)
    assert (test.p_value, test.difference, test.higher, test.lower) == (1, 0, 0, 0)


def test_pictures_without_a_value_on_one_side_are_left_out():
    test = paired_test([30.0, math.inf, 30, 32], [31.0, math.inf, math.nan, 34])
    assert (test.pictures, test.mean_a, test.mean_b) == (2, 31, 32.5)
    with pytest.raises(DataError, match="no picture has a finite value on both sides"):
        paired_test([math.inf], [30.0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=2, max_size=20))
def test_exchanging_the_sides_changes_signs_and_nothing_else(pairs):
    a, b = zip(*pairs, strict=True)
    one, other = paired_test(a, b), paired_test(b, a)
    assert one.p_value == other.p_value
    assert one.difference == -other.difference
    assert (one.higher, one.lower) == (other.lower, other.higher)
    assert 0 < one.p_value <= 1
