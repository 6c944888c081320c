import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.data.colours import vary_colours


def varied(pixels, seed):
    return vary_colours(pixels, np.random.default_rng(seed))


@given(st.integers(0, 1000), st.sampled_from([np.uint8, np.uint16]), st.sampled_from([1, 3]))
def test_grey_stays_and_so_do_depth_and_shape(seed, dtype, channels):
    level = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (9, 7, 1), dtype)
    grey = np.repeat(level, channels, 2)
    np.testing.assert_array_equal(varied(grey, seed), grey)


def test_channels_are_exchanged_in_all_six_ways():
    colour = np.tile(np.array([100, 110, 120], np.uint8), (4, 4, 1))
    orders = {tuple(np.argsort(varied(colour, seed)[0, 0])) for seed in range(60)}
    assert len(orders) == 6


def test_the_mean_of_the_channels_stays_where_nothing_is_clipped():
    colour = np.random.default_rng(1).integers(110, 150, (8, 8, 3)).astype(np.uint8)
    for seed in range(20):
        drawn = varied(colour, seed)
        difference = drawn.mean(2) - colour.mean(2)
        assert np.abs(difference).max() <= 0.5
        assert 0.45 < np.ptp(drawn, axis=2).mean() / np.ptp(colour, axis=2).mean() < 3.1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strong_colours_are_clipped(dtype):
    top = np.iinfo(dtype).max
    red = np.zeros((4, 4, 3), dtype)
    red[..., 0] = top
    drawn = np.stack([varied(red, seed) for seed in range(40)])
    assert (drawn.max(axis=(1, 2, 3)) == top).any()
    assert (drawn.min(axis=(1, 2, 3)) == 0).any()
