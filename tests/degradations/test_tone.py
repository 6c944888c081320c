import colorsys

import numpy as np
import pytest

from restorekit.degradations.tone import Brightness, Greyscale, LowContrast, Saturation

RNG = np.random.default_rng(0)


def test_brightness_raises_the_value_of_hsv():
    colours = np.random.default_rng(1).random((5, 4, 3), dtype=np.float32)
    colours[0, 0] = 0
    brighter = Brightness(lift=0.3).apply(colours, RNG)
    for before, after in zip(colours.reshape(-1, 3), brighter.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.3, 1))
        np.testing.assert_allclose(after, expected, atol=1e-5)


@pytest.mark.parametrize(("factor", "lift"), [(0.3, 0.0), (2.0, 0.0), (5.0, 0.1)])
def test_saturation_is_that_of_hsv(factor, lift):
    colours = np.random.default_rng(1).random((5, 4, 3), dtype=np.float32)
    colours[0, 0] = 0.5
    changed = Saturation(factor=factor, lift=lift).apply(colours, RNG)
    for before, after in zip(colours.reshape(-1, 3), changed.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        expected = colorsys.hsv_to_rgb(hue, min(factor * saturation + lift, 1), value)
        np.testing.assert_allclose(after, expected, atol=1e-5)


def test_low_contrast_keeps_the_mean_and_scales_the_deviation(textured):
    flat = LowContrast(contrast=0.3).apply(textured, RNG)
    np.testing.assert_allclose(flat.mean((0, 1)), textured.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(flat.std((0, 1)), 0.3 * textured.std((0, 1)), rtol=1e-4)


def test_greyscale_leaves_no_colour_but_the_luma():
    red = np.zeros((2, 2, 3), np.float32)
    red[..., 0] = 1
    np.testing.assert_allclose(Greyscale(amount=1.0).apply(red, RNG), 0.299, atol=1e-6)
    np.testing.assert_allclose(
        Greyscale(amount=0.5).apply(red, RNG)[0, 0], [0.6495, 0.1495, 0.1495]
    )
