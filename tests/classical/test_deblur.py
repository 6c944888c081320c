import cv2
import numpy as np
import pytest
from scipy import ndimage

from restorekit.classical import deblur
from restorekit.errors import UsageError
from tests.classical.running import psnr, run

NOTHING = np.zeros((4, 4, 3), np.float32)


def blurred(photo, taps):
    noise = np.random.default_rng(0).standard_normal(photo.shape) / 255
    return (ndimage.convolve(photo, taps[..., None], mode="reflect") + noise).astype(np.float32)


@pytest.mark.parametrize("kernel", ["gaussian:1.5", "disk:2.5", "motion:7:30"])
@pytest.mark.parametrize(("method", "gain"), [("richardson_lucy", 1.5), ("wiener", 1.5)])
def test_a_known_blur_is_taken_back(photo, kernel, method, gain):
    degraded = blurred(photo, deblur.read_kernel(kernel, photo))
    restored = run(getattr(deblur, method), degraded, kernel=kernel)
    assert psnr(restored, photo) > psnr(degraded, photo) + gain


@pytest.mark.parametrize("method", ["richardson_lucy", "wiener"])
def test_a_guessed_blur_helps_too(photo, method):
    degraded = blurred(photo, deblur.read_kernel("gaussian:1.5", photo))
    restored = run(getattr(deblur, method), degraded)
    assert psnr(restored, photo) > psnr(degraded, photo) + 0.8


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_the_blur_of_an_edge_is_guessed(sigma):
    edge = np.zeros((80, 80, 3), np.float32)
    edge[:, 40:] = 1
    assert deblur.guess_blur(deblur.gaussian_blur(edge, sigma)) == pytest.approx(sigma, rel=0.2)


def test_a_flat_picture_has_no_blur():
    assert deblur.guess_blur(np.full((20, 20, 3), 0.5, np.float32)) == 0
    assert run(deblur.wiener, np.full((20, 20, 1), 0.5, np.float32)) == pytest.approx(0.5)


def test_kernels_are_drawn_as_named():
    disk = deblur.read_kernel("disk:2", NOTHING)
    assert disk.sum() == pytest.approx(1)
    assert disk[2, 2] == pytest.approx(1 / (4 * np.pi), rel=0.02)
    line = deblur.read_kernel("motion:5:0", NOTHING)
    assert np.flatnonzero(line.any(1)).tolist() == [len(line) // 2]
    assert line[len(line) // 2, 1:-1] == pytest.approx(0.2, abs=1e-3)
    rising = deblur.read_kernel("motion:9:45", NOTHING)
    # Counter-clockwise: the upper right is lit, not the upper left.
    assert rising[2, -3] > 0.05 > rising[2, 2]


def test_a_kernel_is_read_from_a_picture(tmp_path):
    drawn = np.zeros((3, 4), np.uint8)
    drawn[1, 1:3] = 100
    cv2.imwrite(str(tmp_path / "psf.png"), drawn)
    taps = deblur.read_kernel(str(tmp_path / "psf.png"), NOTHING)
    assert taps.shape == (3, 5)
    assert taps[1].tolist() == [0, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize("name", ["gaussian", "gaussian:0", "disk:500", "motion:3", "nofile.png"])
def test_what_is_no_kernel_is_refused(name):
    with pytest.raises(UsageError, match="give guess, gaussian:SIGMA, disk:RADIUS, motion:LENGTH"):
        deblur.read_kernel(name, NOTHING)


def test_bad_numbers_and_black_kernels_are_refused(tmp_path):
    with pytest.raises(UsageError, match="'wide' is not a number"):
        deblur.read_kernel("disk:wide", NOTHING)
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(UsageError, match="all black"):
        deblur.read_kernel(str(tmp_path / "black.png"), NOTHING)
