import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.restoration import denoise_nl_means, denoise_wavelet

from restorekit.classical import denoise
from restorekit.errors import MissingExtraError
from tests.classical.running import psnr, run


@pytest.mark.parametrize("sigma", [0.6, 2.0])
def test_gaussian_is_that_of_scipy(photo, sigma):
    expected = ndimage.gaussian_filter(photo, (sigma, sigma, 0), mode="reflect", truncate=4)
    assert run(denoise.gaussian, photo, sigma=sigma) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_median_is_that_of_scipy(noisy, radius):
    side = 2 * radius + 1
    expected = ndimage.median_filter(noisy, (side, side, 1), mode="reflect")
    assert np.array_equal(run(denoise.median, noisy, radius=radius), expected)


def test_median_removes_single_bad_pixels():
    x = np.full((9, 9, 1), 0.5, np.float32)
    x[4, 4], x[0, 0] = 1, 0
    assert np.unique(run(denoise.median, x)).tolist() == [0.5]


def test_bilateral_smooths_but_not_across_an_edge():
    step = np.zeros((32, 32, 3), np.float32)
    step[:, 16:] = 0.9
    grain = 0.02 * np.random.default_rng(0).standard_normal(step.shape).astype(np.float32)
    smooth = run(denoise.bilateral, step + grain)
    assert np.std(smooth[:, :12]) < np.std(grain) / 3
    assert np.abs(smooth - step).max() < 0.06


def literal_nl_means(picture, level, patch, search, strength):
    """Patch by patch, in float64."""
    reach = patch + search
    wide = np.pad(picture.astype(float), ((reach, reach), (reach, reach), (0, 0)), "symmetric")

    def around(row, column):
        return wide[row - patch : row + patch + 1, column - patch : column + patch + 1]

    restored = np.empty_like(picture)
    for row, column in np.ndindex(picture.shape[:2]):
        here, total, weights = (row + reach, column + reach), 0, 0
        for down, right in np.ndindex(2 * search + 1, 2 * search + 1):
            there = here[0] + down - search, here[1] + right - search
            distance = ((around(*here) - around(*there)) ** 2).mean() - 2 * level**2
            weight = np.exp(-max(distance, 0) / (strength * level) ** 2)
            total, weights = total + weight * wide[there], weights + weight
        restored[row, column] = total / weights
    return restored


def test_nl_means_is_its_formula(noisy):
    piece = noisy[:12, :13]
    inside = slice(4, -4)
    ours = run(denoise.nl_means, piece, sigma=25, patch=1, search=3)
    literal = literal_nl_means(piece, 25 / 255, 1, 3, 0.6)
    assert ours[inside, inside] == pytest.approx(literal[inside, inside], abs=1e-5)


def test_nl_means_is_as_good_as_that_of_scikit_image(photo, noisy):
    level = 25 / 255
    theirs = denoise_nl_means(
        noisy, 5, 7, h=0.6 * level, sigma=level, channel_axis=2, fast_mode=True
    )
    ours = run(denoise.nl_means, noisy, sigma=25)
    assert psnr(ours, theirs) > 35
    assert psnr(ours, photo) > psnr(theirs, photo)


def test_nothing_is_shrunk_where_there_is_no_noise(photo):
    assert run(denoise.wavelet, photo, sigma=0) == pytest.approx(photo, abs=1e-5)
    assert run(denoise.nl_means, photo, sigma=0) == pytest.approx(photo, abs=1e-3)


def test_wavelet_is_that_of_scikit_image_averaged_over_shifts(photo, noisy):
    told = {"wavelet": "db2", "wavelet_levels": 3, "convert2ycbcr": True, "channel_axis": 2}
    theirs = denoise_wavelet(noisy, 25 / 255, **told)
    one = run(denoise.wavelet, noisy, sigma=25, levels=3, shifts=1)
    inside = slice(24, -24)
    assert psnr(one[inside, inside], theirs[inside, inside]) > 35
    many = run(denoise.wavelet, noisy, sigma=25, levels=3)
    assert psnr(many, photo) > psnr(one, photo) + 0.8


@pytest.mark.parametrize("package", ["skimage", "pywt"])
def test_wavelet_needs_its_packages(monkeypatch, photo, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"PyWavelets: pip install 'restorekit\[wavelet\]'"):
        run(denoise.wavelet, photo)


@pytest.mark.parametrize(
    ("method", "gain"),
    [("gaussian", 4), ("median", 3), ("bilateral", 4), ("nl_means", 6), ("wavelet", 8)],
)
def test_every_method_takes_noise_out(photo, noisy, method, gain):
    assert psnr(run(getattr(denoise, method), noisy), photo) > psnr(noisy, photo) + gain


@pytest.mark.parametrize("method", ["nl_means", "wavelet"])
def test_the_guessed_noise_level_is_nearly_as_good_as_the_true_one(photo, noisy, method):
    told, guessed = (run(getattr(denoise, method), noisy, sigma=s) for s in (25, None))
    assert psnr(guessed, photo) > psnr(told, photo) - 0.3


@pytest.mark.parametrize("method", ["gaussian", "median", "bilateral", "nl_means", "wavelet"])
@pytest.mark.parametrize("size", [(1, 1), (2, 9)])
def test_small_grey_pictures(method, size):
    restored = getattr(denoise, method)()(torch.rand(2, 1, *size))
    assert restored.shape == (2, 1, *size)
    assert torch.isfinite(restored).all()


def test_bm3d_needs_its_package(monkeypatch, photo):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(MissingExtraError, match=r"needs bm3d: pip install 'restorekit\[bm3d\]'"):
        run(denoise.bm3d, photo)


def test_bm3d_gives_the_package_the_level_and_the_channels_it_wants(monkeypatch, photo):
    calls = []

    def filtered(picture, sigma):
        calls.append((picture.shape, round(sigma * 255, 3)))
        return picture * 0.5

    package = SimpleNamespace(bm3d=filtered, bm3d_rgb=filtered)
    monkeypatch.setitem(sys.modules, "bm3d", package)
    assert run(denoise.bm3d, photo, sigma=10) == pytest.approx(photo / 2)
    assert run(denoise.bm3d, photo[..., :1], sigma=20).shape == (96, 112, 1)
    assert calls == [((96, 112, 3), 10), ((96, 112), 20)]
    assert np.array_equal(run(denoise.bm3d, photo, sigma=0), photo)
