import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.errors import DataError
from restorekit.metrics.color import delta_e

level = st.integers(0, 255)
colour = st.tuples(level, level, level)


def pixel(rgb):
    return torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1) / 255


def by_scikit_image(a, b):
    from skimage.color import deltaE_ciede2000, rgb2lab

    labs = [rgb2lab(x[0].permute(1, 2, 0).numpy()) for x in (a, b)]
    return deltaE_ciede2000(*labs).mean()


@settings(deadline=None, max_examples=60)
@given(colour, colour)
def test_agrees_with_scikit_image_on_any_two_colours(one, two):
    a, b = pixel(one), pixel(two)
    assert delta_e(a, b).item() == pytest.approx(by_scikit_image(a, b), rel=1e-7, abs=1e-6)


def test_agrees_with_scikit_image_on_pictures():
    generator = torch.Generator().manual_seed(1)
    a = torch.rand(2, 3, 30, 20, generator=generator, dtype=torch.float64)
    b = (a + 0.1 * torch.randn(a.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    for difference, x, y in zip(delta_e(a, b), a.split(1), b.split(1), strict=True):
        assert difference.item() == pytest.approx(by_scikit_image(x, y), abs=1e-6)


def test_black_and_white_are_a_hundred_apart():
    assert delta_e(pixel((0, 0, 0)), pixel((255, 255, 255))).item() == pytest.approx(100, abs=0.01)


def test_grey_counts_as_three_equal_channels():
    grey = torch.rand(1, 1, 4, 4)
    other = grey.flip(3)
    both = [x.expand(-1, 3, -1, -1) for x in (grey, other)]
    assert np.array_equal(delta_e(grey, other), delta_e(*both))
    with pytest.raises(DataError, match="cannot compare"):
        delta_e(grey, other[..., 1:])
