import numpy as np
import pytest

from restorekit.degradations.light import to_linear
from restorekit.degradations.lowlight import LowLight


def low_light(**changes):
    return LowLight(**({"ratio": 8, "shot": 0, "read": 0, "cast": 0} | changes))


def test_the_light_is_divided_by_the_ratio(picture):
    dark = low_light().apply(picture, np.random.default_rng(0))
    np.testing.assert_allclose(to_linear(dark), to_linear(picture) / 8, atol=1e-6)


def test_the_noise_is_that_of_the_sensor():
    flat = np.full((300, 300, 3), 1.0, np.float32)
    dark = low_light(ratio=2, shot=1e-4, read=0.01).apply(flat, np.random.default_rng(1))
    light = to_linear(dark)
    assert light.mean() == pytest.approx(0.5, rel=1e-3)
    assert light.var() == pytest.approx(1e-4 * 0.5 + 1e-4, rel=0.03)


def test_the_sensor_clips_at_black_and_white(picture):
    dark = low_light(ratio=1, read=0.1).apply(picture * 1.5, np.random.default_rng(2))
    assert dark.min() == 0
    assert dark.max() == pytest.approx(1)


def test_a_cast_shifts_the_white_balance():
    grey = np.full((3, 3, 3), 0.5, np.float32)
    red, green, blue = low_light(cast=0.1).apply(grey, np.random.default_rng(3))[0, 0]
    assert red > green > blue


def test_lamps_stay_lit_where_all_else_is_dark():
    scene = np.full((4, 4, 3), 0.5, np.float32)
    scene[1, 1] = 1.0
    dark = low_light(highlights=6).apply(scene, np.random.default_rng(0))
    assert to_linear(dark)[1, 1] == pytest.approx(6 / 8)
    assert to_linear(dark)[0, 0] == pytest.approx(to_linear(scene)[0, 0] / 8)
    assert low_light(highlights=100).apply(scene, np.random.default_rng(0))[1, 1].max() > 0.999
