import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.degradations import kernels

LENGTHS = st.floats(0, 60)
ANGLES = st.floats(0, 360)


def check(kernel):
    """Whatever it models, a kernel is odd-sized, of sum 1, not negative and centred."""
    height, width = kernel.shape
    assert height % 2 == width % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0
    assert centroid(kernel) == pytest.approx((0, 0), abs=5e-3)


def centroid(kernel):
    height, width = kernel.shape
    return (
        float(kernel.sum(axis=0) @ np.arange(width) - width // 2),
        float(kernel.sum(axis=1) @ np.arange(height) - height // 2),
    )


def variance(kernel, axis):
    places = np.arange(kernel.shape[axis]) - kernel.shape[axis] // 2
    return float(kernel.sum(axis=1 - axis) @ places**2)


@given(LENGTHS, ANGLES)
def test_a_segment_is_a_kernel(length, angle):
    check(kernels.segment(length, angle))


@given(st.floats(0, 80), st.floats(0, 0.02), st.floats(0.001, 1), st.integers(0, 99))
def test_a_shake_is_a_kernel(extent, anxiety, exposure, seed):
    check(kernels.shake(extent, anxiety, exposure, np.random.default_rng(seed)))


@given(st.floats(0, 12), st.integers(0, 9), ANGLES)
def test_a_disk_is_a_kernel(radius, blades, rotation):
    check(kernels.disk(radius, blades, rotation))


@given(st.floats(0, 6), st.floats(0.1, 1), ANGLES)
def test_a_gaussian_is_a_kernel(sigma, ratio, angle):
    check(kernels.gaussian(sigma, sigma * ratio, angle))


@pytest.mark.parametrize("length", [5, 13.5, 30])
def test_a_segment_is_as_long_as_it_says(length):
    kernel = kernels.segment(length, 0)
    assert variance(kernel, 0) == pytest.approx(0, abs=1e-6)
    assert variance(kernel, 1) == pytest.approx(length**2 / 12, rel=0.1)
    assert kernel[kernel.shape[0] // 2].max() == pytest.approx(1 / length, rel=0.1)


def test_a_segment_leans_as_its_angle_says():
    rows, columns = np.nonzero(kernels.segment(20, 45) > 0.02)
    assert np.corrcoef(rows, columns)[0, 1] < -0.9  # up to the right


@pytest.mark.parametrize("radius", [2.0, 3.7, 8.0, 10.0])
def test_a_disk_has_the_area_and_the_variance_of_a_disk(radius):
    kernel = kernels.disk(radius)
    assert kernel.max() == pytest.approx(1 / (np.pi * radius**2), rel=0.01)
    # A pixel's own extent adds a twelfth.
    assert variance(kernel, 0) == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.04)


def test_the_rim_of_a_disk_is_anti_aliased():
    kernel = kernels.disk(5.0)
    rim = (kernel > 0) & (kernel < 0.99 * kernel.max())
    assert rim.sum() >= 20


@pytest.mark.parametrize("blades", [5, 6])
def test_a_polygon_has_its_area(blades):
    area = 1 / kernels.disk(10.0, blades).max()
    assert area == pytest.approx(blades / 2 * 100 * np.sin(2 * np.pi / blades), rel=0.01)


def test_a_gaussian_has_its_widths():
    kernel = kernels.gaussian(3, 1.5, 90)
    assert variance(kernel, 0) == pytest.approx(9, rel=0.01)
    assert variance(kernel, 1) == pytest.approx(2.25, rel=0.01)


@pytest.mark.parametrize("angle", [0, 90, 30])
def test_half_a_gaussian_has_its_width(angle):
    kernel = kernels.half_gaussian(4.0, 20, angle)
    check(kernel)
    along = [variance(kernel, axis) for axis in (0, 1)]
    # What remains of a standard deviation about the mean of half a Gaussian.
    assert sum(along) == pytest.approx(16 * (1 - 2 / np.pi), abs=0.4)


def test_a_calm_path_is_straight_and_an_anxious_one_is_not():
    calm, anxious = (
        kernels.shaky_path(40, anxiety, np.random.default_rng(1)) for anxiety in (0, 0.01)
    )
    assert abs(calm[-1] - calm[0]) == pytest.approx(40)
    assert abs(anxious[-1] - anxious[0]) < 35
    np.testing.assert_allclose(np.abs(np.diff(anxious)).sum(), 40, rtol=1e-6)


def test_a_convolution_turns_a_point_into_the_kernel_itself():
    kernel = np.arange(15, dtype=np.float32).reshape(3, 5)
    point = np.zeros((9, 9, 1), np.float32)
    point[4, 4] = 1
    np.testing.assert_allclose(kernels.convolve(point, kernel)[3:6, 2:7, 0], kernel)
