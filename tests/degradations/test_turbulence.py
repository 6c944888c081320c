import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.degradations.turbulence import Turbulence, short_exposure


def turbulence(**changes):
    return Turbulence.from_values({**Turbulence.at_severity(3).model_dump(), **changes})


@given(st.floats(0.01, 20), st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_the_blur_is_a_kernel(strength, diffraction):
    kernel = short_exposure(strength, diffraction)
    side = len(kernel)
    assert side % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)


def test_the_transfer_function_is_that_of_fried():
    kernel = np.pad(short_exposure(3.0, 1.4), 100)
    transfer = np.abs(np.fft.fft2(kernel))[0]
    frequencies = np.abs(np.fft.fftfreq(len(kernel)))
    for place in (10, 20, 40):
        u = 1.4 * frequencies[place]
        expected = np.exp(-3.44 * (3 * u) ** (5 / 3) * (1 - u ** (1 / 3)))
        assert transfer[place] == pytest.approx(expected, abs=0.02)


def test_weak_turbulence_hardly_blurs():
    assert short_exposure(0.05, 1.0).max() > 0.98


def test_the_tilt_is_that_of_fried():
    # Aperture 10 cm, focal length 1 m, pixels of 4 µm, 550 nm: lambda/D is 1.375 pixels.
    assert turbulence(strength=2.45, diffraction=1.375).tilt == pytest.approx(1.24, abs=0.01)


def test_the_picture_dances_by_the_tilt_and_does_not_drift():
    drawn = turbulence(strength=1.5, diffraction=2.0, correlation=30.0, space="display")
    ramp = np.stack(np.meshgrid(np.arange(300.0), np.arange(260.0)), axis=2).astype(np.float32)
    shifts = [
        (drawn.apply(ramp, np.random.default_rng(s)) - ramp)[40:-40, 40:-40] for s in range(8)
    ]
    assert np.std(shifts) == pytest.approx(drawn.tilt, rel=0.15)
    assert np.mean(shifts) == pytest.approx(0, abs=0.15)
    assert abs(np.corrcoef(np.reshape(shifts, (-1, 2)).T)[0, 1]) < 0.25


def test_a_flat_scene_stays_flat():
    flat = np.full((60, 90, 3), 0.4, np.float32)
    np.testing.assert_allclose(turbulence().apply(flat, np.random.default_rng(0)), flat, atol=1e-5)


def test_the_blur_differs_from_place_to_place():
    points = np.zeros((240, 320, 1), np.float32)
    points[20::40, 20::40] = 1
    drawn = turbulence(strength=4.0, correlation=25.0, space="display")
    blurred = drawn.apply(points, np.random.default_rng(3))[..., 0]
    peaks = blurred.reshape(6, 40, 8, 40).max(axis=(1, 3))
    assert peaks.max() > 2 * peaks.min()
