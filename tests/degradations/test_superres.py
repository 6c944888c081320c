import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.special import j1

from restorekit.degradations.recipe import apply_chain, load_recipe
from restorekit.degradations.superres import (
    AmplifiedPoissonNoise,
    KernelBlur,
    Resize,
    SincFilter,
    UnsharpMask,
)

RNG = np.random.default_rng(0)


def blur(**changed):
    plain = {"shape": "gaussian", "reach": 10, "sigma": 2.0, "across": 0.0, "angle": 0.0}
    return KernelBlur(**(plain | {"beta": 1.0} | changed))


def nchw(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(20, 33), (61, 40), (90, 120)])
def test_resize_is_torch_without_antialiasing(kernel, size, picture):
    expected = F.interpolate(nchw(picture), size=size, mode=kernel, align_corners=False)
    resize = Resize(factor=1.0, divisor=1, kernel=kernel)
    np.testing.assert_allclose(
        resize.resized(picture, size), expected[0].permute(1, 2, 0), atol=2e-5
    )


def test_area_by_a_whole_factor_is_the_mean(textured):
    small = Resize(factor=0.25, divisor=0, kernel="area").apply(textured, RNG)
    means = textured.reshape(48, 4, 60, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small, means, atol=1e-6)


def test_a_divisor_counts_from_the_reference(picture):
    resize = Resize(factor=0.5, divisor=2, kernel="area")
    assert resize.resized(picture[:7, :9], picture.shape[:2]).shape == (16, 21, 3)


@pytest.mark.parametrize("shape", ["gaussian", "generalised", "plateau"])
@pytest.mark.parametrize("sigma", [0.01, 0.7, 3.0])
def test_kernels_sum_to_1_and_are_centred(shape, sigma):
    kernel = blur(shape=shape, sigma=sigma, across=1.3, angle=25.0, beta=0.6).kernel
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)


def test_at_beta_1_the_generalised_gaussian_is_the_gaussian():
    np.testing.assert_allclose(blur(shape="generalised").kernel, blur().kernel, atol=1e-8)


def test_sigma_lies_along_the_angle():
    offsets = np.arange(-10, 11)
    kernel = blur(sigma=2.0, across=1.0, angle=90.0).kernel
    assert (kernel.sum(axis=1) * offsets**2).sum() == pytest.approx(4, abs=0.01)
    assert (kernel.sum(axis=0) * offsets**2).sum() == pytest.approx(1, abs=0.01)


def test_a_higher_beta_makes_a_flatter_kernel():
    for shape in ("generalised", "plateau"):
        gentle, boxy = (blur(shape=shape, beta=beta).kernel for beta in (1.0, 4.0))
        assert boxy[10, 11] / boxy[10, 10] > gentle[10, 11] / gentle[10, 10]


@pytest.mark.parametrize("cutoff", [0.2, 0.5, 1.0])
def test_the_sinc_filter_is_its_formula(cutoff):
    x, y = np.meshgrid(*[np.arange(-10, 11)] * 2)
    radius = np.hypot(x, y) + 1e-9
    frequency = np.pi * cutoff
    expected = frequency * j1(frequency * radius) / (2 * np.pi * radius)
    kernel = SincFilter(cutoff=cutoff, reach=10).kernel
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-6)


def test_the_sinc_filter_rings_at_an_edge():
    edge = np.zeros((40, 40, 1), np.float32)
    edge[:, 20:] = 1
    filtered = SincFilter(cutoff=0.4, reach=10).apply(edge, RNG)
    assert filtered.max() > 1.05
    assert filtered.min() < -0.05


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_amplified_poisson_noise_has_its_variance(strength):
    grey = np.full((400, 400, 3), 0.3, np.float32)
    noise = AmplifiedPoissonNoise(strength=strength, grey=False).apply(grey, RNG) - grey
    assert noise.mean() == pytest.approx(0, abs=3e-4)
    assert noise.var() == pytest.approx(strength**2 * 0.3 / 256, rel=0.03)


def test_grey_poisson_noise_is_the_same_in_all_channels(picture):
    noise = AmplifiedPoissonNoise(strength=1.0, grey=True).apply(picture, RNG) - picture
    np.testing.assert_allclose(noise[..., 0], noise[..., 2], atol=1e-6)
    assert noise.std() > 0.01


def test_an_unsharp_mask_adds_what_a_gaussian_takes_away(textured):
    soft = gaussian_filter(textured, (2, 2, 0), mode="reflect")
    sharp = UnsharpMask(amount=0.5, sigma=2.0, threshold=0.0).apply(textured, RNG)
    expected = np.clip(textured + 0.5 * (textured - soft), 0, 1)
    np.testing.assert_allclose(sharp, expected, atol=2e-3)


def test_an_unsharp_mask_leaves_what_is_below_its_threshold(picture):
    steps = np.full((60, 80, 1), 0.5, np.float32)
    steps[:, 20:40] += 0.01
    mask = UnsharpMask(amount=1.0, sigma=2.0, threshold=5.0)
    np.testing.assert_array_equal(mask.apply(steps, RNG), steps)
    steps[:, 60:] = 0.9
    sharp = mask.apply(steps, RNG)
    np.testing.assert_array_equal(sharp[:, :40], steps[:, :40])
    assert sharp[30, 59, 0] < 0.45 < 0.95 < sharp[30, 60, 0]


@pytest.mark.parametrize(
    ("name", "scale"), [("realesrgan-x2", 2), ("realesrgan-x4", 4), ("bsrgan-x4", 4)]
)
def test_a_pipeline_keeps_the_picture_where_it_was(name, scale, textured):
    """Averaged over many draws the picture enlarged again is the blurred reference, not moved."""
    recipe = load_recipe(name)
    pictures = [apply_chain(textured, recipe.draw(0, n), 0, n).clip(0, 1) for n in range(60)]
    mean = np.mean(pictures, axis=0).mean(axis=2)
    small = textured.reshape(192 // scale, scale, 240 // scale, scale, 3).mean(axis=(1, 3, 4))
    cut = slice(8, -8)
    errors = {
        (dy, dx): np.mean((np.roll(small, (dy, dx), (0, 1)) - mean)[cut, cut] ** 2)
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }
    assert min(errors, key=errors.get) == (0, 0)
    for axis in (0, 1):
        before, after = (errors[(shift, 0) if axis == 0 else (0, shift)] for shift in (-1, 1))
        assert before == pytest.approx(after, rel=0.5)
