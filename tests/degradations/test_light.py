import numpy as np
import pytest

from restorekit.degradations.light import brighten_highlights, to_display, to_linear, work_in


def test_there_and_back_is_the_picture():
    values = np.linspace(0, 1.5, 301, dtype=np.float32).reshape(7, 43, 1)
    np.testing.assert_allclose(to_display(to_linear(values)), values, atol=1e-6)


@pytest.mark.parametrize(
    ("display", "light"), [(0, 0), (0.04, 0.04 / 12.92), (0.5, 0.21404), (1, 1)]
)
def test_the_curve_is_that_of_srgb(display, light):
    assert to_linear(np.float32([[[display]]])).item() == pytest.approx(light, rel=1e-4)


def test_below_zero_there_is_no_light():
    assert not to_linear(np.full((2, 2, 1), -0.1, np.float32)).any()


def test_a_thin_bright_line_survives_blur_better_in_light():
    line = np.zeros((1, 9, 1), np.float32)
    line[0, 4] = 1

    def mean_of_five(x):
        return np.stack([np.roll(x, k, axis=1) for k in range(-2, 3)]).mean(axis=0)

    assert work_in("display", line, mean_of_five)[0, 4] == pytest.approx(0.2, abs=1e-3)
    assert work_in("linear", line, mean_of_five)[0, 4] == pytest.approx(0.4845, abs=1e-3)


def test_only_clipped_lights_without_colour_become_brighter():
    light = np.float32([[[1, 1, 1], [1, 0, 0], [0.9, 0.9, 0.9], [0.975, 0.975, 0.975]]])
    bright = brighten_highlights(light, 3)
    np.testing.assert_allclose(bright[0, :, 0], [3, 1, 0.9, 0.975 * 2], rtol=1e-4)
