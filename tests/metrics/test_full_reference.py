import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from restorekit.errors import DataError, UndefinedMetricError, UnknownNameError
from restorekit.metrics.full_reference import (
    EDGE,
    SSIM_VARIANTS,
    SsimVariant,
    edge_psnr,
    mae,
    ms_ssim,
    mse,
    psnr,
    ssim,
)
from restorekit.metrics.protocols import get_protocol, measure
from restorekit.ops.color import matlab_y

GOLDEN = Path(__file__).parent.parent / "golden" / "metrics.safetensors"
# What float32 in the published code does to its own value, at 30 dB and in an SSIM.
FLOAT32_STEP = 4e-6
FLOAT32_NOISE = 3e-5


Compute = Callable[[Tensor, Tensor], float]


def inner(x: Tensor, border: int) -> Tensor:
    return x[:, :, border : x.shape[2] - border, border : x.shape[3] - border]


def near(value: float, tolerance: float) -> object:
    return pytest.approx(value, abs=tolerance, rel=0)


def rgb_psnr(a: Tensor, b: Tensor) -> float:
    return psnr(a, b).item()


def y_psnr(a: Tensor, b: Tensor) -> float:
    return psnr(matlab_y(a), matlab_y(b)).item()


def similarity(variant: str | SsimVariant) -> Compute:
    return lambda a, b: ssim(a, b, variant).item()


def y_similarity(variant: str) -> Compute:
    return lambda a, b: ssim(matlab_y(a), matlab_y(b), variant).item()


def cropped(compute: Compute) -> Compute:
    return lambda a, b: compute(inner(a, 4), inner(b, 4))


def stabilised_psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(mse(a, b).item() + 1e-8)


def doubled(compute: Compute) -> Compute:
    def double(x: Tensor) -> Tensor:
        margins = ((0, 0), (0, 0), (0, x.shape[2]), (0, x.shape[3]))
        return torch.from_numpy(np.pad(x.numpy(), margins, mode="symmetric"))

    return lambda a, b: compute(double(a), double(b))


def by_protocol(protocol: str, metric: str) -> Compute:
    return lambda a, b: measure(a.float(), b.float(), get_protocol(protocol))[metric]


def fork(name: str) -> dict[str, tuple[Compute, float]]:
    """NAFNet and Restormer changed the metrics of BasicSR in the same way."""
    volume, y = similarity("gaussian-3d"), y_similarity("gaussian-replicate")
    return {
        f"{name}_basicsr_psnr_rgb_crop0": (rgb_psnr, 1e-6),
        f"{name}_basicsr_psnr_rgb_crop4": (cropped(rgb_psnr), 1e-6),
        f"{name}_basicsr_psnr_y_crop0": (y_psnr, FLOAT32_STEP),
        f"{name}_basicsr_psnr_y_crop4": (cropped(y_psnr), FLOAT32_STEP),
        f"{name}_basicsr_ssim_rgb_crop0": (volume, FLOAT32_NOISE),
        f"{name}_basicsr_ssim_rgb_crop4": (cropped(volume), FLOAT32_NOISE),
        f"{name}_basicsr_ssim_y_crop0": (y, 1e-6),
        f"{name}_basicsr_ssim_y_crop4": (cropped(y), 1e-6),
    }


GAUSSIAN = similarity("gaussian-valid")
FLOAT32_WINDOW = similarity(replace(SSIM_VARIANTS["gaussian-valid"], float32_window=True))
EXPECTED: dict[str, tuple[Compute, float]] = {
    "basicsr_psnr_rgb_crop0": (rgb_psnr, 1e-6),
    "basicsr_psnr_rgb_crop4": (cropped(rgb_psnr), 1e-6),
    "basicsr_psnr_y_crop0": (y_psnr, 1e-6),
    "basicsr_psnr_y_crop4": (cropped(y_psnr), 1e-6),
    "basicsr_psnr_y_if_rgb_is_passed_as_bgr": (lambda a, b: y_psnr(a.flip(1), b.flip(1)), 1e-6),
    "basicsr_psnr_pt_rgb": (stabilised_psnr, FLOAT32_STEP),
    "basicsr_psnr_pt_y": (
        lambda a, b: stabilised_psnr(matlab_y(a), matlab_y(b)),
        FLOAT32_STEP,
    ),
    "basicsr_ssim_rgb_crop0": (GAUSSIAN, 1e-6),
    "basicsr_ssim_rgb_crop4": (cropped(GAUSSIAN), 1e-6),
    "basicsr_ssim_y_crop0": (y_similarity("gaussian-valid"), 1e-6),
    "basicsr_ssim_y_crop4": (cropped(y_similarity("gaussian-valid")), 1e-6),
    "basicsr_ssim_pt_rgb": (GAUSSIAN, 1e-6),
    "basicsr_ssim_pt_y": (y_similarity("gaussian-valid"), 1e-6),
    "skimage_psnr_data_range_1_float32": (rgb_psnr, 1e-6),
    "skimage_ssim_uint8_default_channel_axis_2": (similarity("uniform-7"), 1e-6),
    "skimage_ssim_float_data_range_1_channel_axis_2": (similarity("uniform-7"), 1e-6),
    "pytorch_msssim_ssim": (FLOAT32_WINDOW, 1e-6),
    "pytorch_msssim_ssim_float64": (FLOAT32_WINDOW, 1e-6),
    "pytorch_msssim_ms_ssim": (lambda a, b: ms_ssim(a, b).item(), 2e-6),
    "pytorch_msssim_ms_ssim_float64": (lambda a, b: ms_ssim(a, b).item(), 1e-6),
    "sfnet_dehaze_ssim": (similarity("pooled-sfnet"), 2e-6),
    "sfnet_dehaze_ssim_of_symmetric_doubled": (doubled(similarity("pooled-sfnet")), 1e-6),
    "restormer_realblur_psnr_mask_of_ones": (rgb_psnr, 1e-6),
    "restormer_realblur_ssim_mask_of_ones": (GAUSSIAN, 1e-6),
    "restormer_denoising_psnr": (rgb_psnr, 1e-6),
    "restormer_denoising_ssim": (GAUSSIAN, 1e-6),
    "nafnet_basicsr_ssim_rgb_ssim3d_false": (GAUSSIAN, 1e-6),
    "deepdeblur_psnr": (rgb_psnr, FLOAT32_STEP),
    "deepdeblur_ssim": (GAUSSIAN, FLOAT32_NOISE),
    "prenet_train_ssim_zero_padded": (similarity("gaussian-zero"), FLOAT32_NOISE),
    "matlab_deraining_psnr_y": (by_protocol("rain-y-matlab", "psnr"), 1e-6),
    "matlab_deraining_ssim_y": (by_protocol("rain-y-matlab", "ssim"), 1e-6),
    **fork("nafnet"),
    **fork("restormer"),
}


@pytest.fixture(scope="module")
def golden() -> list[tuple[dict[str, float], Tensor, Tensor]]:
    with safe_open(GOLDEN, "pt") as file:
        values = json.loads(file.metadata()["values"])
        pictures = [
            [file.get_tensor(f"{side}_{k}").permute(2, 0, 1)[None].double() / 255 for k in range(3)]
            for side in ("distorted", "reference")
        ]
    return list(zip(values, *pictures, strict=True))


@pytest.mark.parametrize("key", EXPECTED)
def test_published_code_gives_the_same_number(golden, key):
    compute, tolerance = EXPECTED[key]
    for values, distorted, reference in golden:
        assert compute(distorted, reference) == near(values[key], tolerance)


def test_every_full_reference_value_is_compared(golden):
    for values, _, _ in golden:
        left = set(values) - set(EXPECTED)
        assert all("niqe" in key or key.endswith("pooled_size") for key in left), left


@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_super_resolution_protocol_is_basicsr_on_y(golden, metric):
    compute = by_protocol("srgan-y-crop4", metric)
    for values, distorted, reference in golden:
        expected = values[f"basicsr_{metric}_y_crop4"]
        assert compute(distorted, reference) == near(expected, 1e-6)


# scikit-image and scipy as oracles, on float pictures that no golden value covers


def as_numpy(x: Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    smooth = torch.rand(1, 3, 40, 52, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(1, 3, 40, 52, generator=generator, dtype=torch.float64)
    return (smooth + noise).clamp(0, 1), smooth


def test_psnr_agrees_with_scikit_image(pair):
    from skimage.metrics import peak_signal_noise_ratio

    a, b = pair
    expected = peak_signal_noise_ratio(as_numpy(b), as_numpy(a), data_range=1)
    assert psnr(a, b).item() == near(expected, 1e-10)


def test_gaussian_ssim_agrees_with_scikit_image(pair):
    from skimage.metrics import structural_similarity

    a, b = pair
    expected = structural_similarity(
        as_numpy(a),
        as_numpy(b),
        channel_axis=2,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(a, b).item() == near(expected, 1e-10)


def test_uniform_ssim_agrees_with_scikit_image(pair):
    from skimage.metrics import structural_similarity

    a, b = pair
    expected = structural_similarity(as_numpy(a), as_numpy(b), channel_axis=2, data_range=1)
    assert ssim(a, b, "uniform-7").item() == near(expected, 1e-10)


@pytest.mark.parametrize(
    ("variant", "mode", "axes"),
    [("gaussian-zero", "constant", (1, 2)), ("gaussian-3d", "nearest", (0, 1, 2))],
)
def test_padded_ssim_agrees_with_scipy(pair, variant, mode, axes):
    from scipy import ndimage

    a, b = (x[0].numpy() for x in pair)
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))

    def mean(x: np.ndarray) -> np.ndarray:
        for axis in axes:
            x = ndimage.correlate1d(x, taps / taps.sum(), axis=axis, mode=mode)
        return x

    va, vb = mean(a * a) - mean(a) ** 2, mean(b * b) - mean(b) ** 2
    covariance = mean(a * b) - mean(a) * mean(b)
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean(a) * mean(b) + c1) * (2 * covariance + c2)
    expected = numerator / ((mean(a) ** 2 + mean(b) ** 2 + c1) * (va + vb + c2))
    assert ssim(*pair, variant).item() == near(expected.mean(), 1e-10)


def test_values_are_per_picture_and_of_float64(pair):
    a, b = pair
    both = psnr(torch.cat([a, b]).float(), torch.cat([b, b]).float())
    assert both.shape == (2,)
    assert both.dtype == torch.float64
    assert both[0].item() == near(psnr(a, b).item(), 1e-4)
    assert both[1].item() == float("inf")


@pytest.mark.parametrize("variant", SSIM_VARIANTS)
def test_a_picture_is_wholly_similar_to_itself(pair, variant):
    assert ssim(pair[1], pair[1], variant).item() == near(1, 1e-12)


def test_mae_is_the_mean_distance():
    a = torch.zeros(1, 1, 2, 2)
    b = torch.tensor([[[[0.0, 0.5], [0.25, 0.25]]]])
    assert mae(a, b).item() == 0.25


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match=r"\(1, 3, 4, 4\).*\(1, 3, 4, 5\)"):
        psnr(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))


def test_too_small_pictures_are_refused():
    small = torch.zeros(1, 3, 160, 10)
    with pytest.raises(DataError, match="SSIM needs at least 11 pixels on each side, got 10x160"):
        ssim(small, small)
    with pytest.raises(DataError, match="MS-SSIM needs at least 161 pixels"):
        ms_ssim(small, small)


def test_an_unknown_variant_gets_the_nearest_names():
    x = torch.zeros(1, 3, 16, 16)
    with pytest.raises(UnknownNameError, match="did you mean gaussian-valid"):
        ssim(x, x, "gaussian-vaild")


def edges_by_scipy(reference: Tensor) -> np.ndarray:
    from scipy import ndimage

    grey = reference[0].numpy()
    luma = 0.299 * grey[0] + 0.587 * grey[1] + 0.114 * grey[2]
    rows, columns = (ndimage.sobel(luma, axis, mode="nearest") / 8 for axis in (0, 1))
    return np.hypot(rows, columns) > EDGE


def test_edge_psnr_counts_the_edges_of_the_reference_only(pair):
    restored, reference = pair
    edges = edges_by_scipy(reference)
    assert 0.05 < edges.mean() < 0.95
    error = ((restored - reference) ** 2)[0].numpy()[:, edges].mean()
    assert edge_psnr(restored, reference).item() == near(-10 * math.log10(error), 1e-9)
    same_at_edges = torch.where(torch.from_numpy(edges), reference, restored)
    assert edge_psnr(same_at_edges, reference).item() == float("inf")


def test_a_sharp_step_is_an_edge_and_a_flat_picture_has_none():
    flat = torch.full((1, 3, 12, 12), 0.4, dtype=torch.float64)
    with pytest.raises(UndefinedMetricError, match="needs a reference with edges"):
        edge_psnr(flat + 0.1, flat)
    step = flat.clone()
    step[..., 6:] += 0.11
    assert edge_psnr(step + 0.1, step).item() == near(20, 1e-9)


@pytest.mark.parametrize(
    ("shape", "pooled"),
    [((460, 620), (230, 310)), ((300, 700), (300, 700)), ((400, 700), (200, 350))],
)
def test_pooled_ssim_reduces_the_sides_as_they_are(shape, pooled):
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 1, 1, *shape, generator=generator, dtype=torch.float64)
    small = [torch.nn.functional.adaptive_avg_pool2d(x, pooled) for x in (a, b)]
    assert ssim(a, b, "pooled").item() == near(FLOAT32_WINDOW(*small), 1e-9)
