import math

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from restorekit.errors import DataError
from restorekit.metrics.alignment import align
from restorekit.metrics.full_reference import psnr, ssim
from restorekit.metrics.protocols import get_protocol, measure, measure_or_say, with_metrics


@pytest.fixture(scope="module")
def reference():
    photograph = data.astronaut()[40:240, 100:340]
    return torch.from_numpy(photograph).permute(2, 0, 1)[None] / 255


def moved(x, right, down, turn=0.0, gain=1.0):
    """Move a picture as a camera does, and change its brightness."""
    height, width = x.shape[-2:]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    matrix[:, 2] += (right, down)
    pixels = np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())
    warped = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return torch.from_numpy(np.clip(gain * warped, 0, 1)).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("right", "down", "turn", "gain"),
    [(0, 0, 0, 0.8), (2.5, -1.25, 0, 1), (-3, 1, 0.7, 0.9)],
)
def test_what_two_cameras_change_is_undone(reference, right, down, turn, gain):
    restored = moved(reference, right, down, turn, gain)
    aligned, masked, mask = align(restored, reference)
    assert mask.mean() > 0.95
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert psnr(aligned, masked, mask).item() > psnr(restored, reference).item() + 8
    assert ssim(aligned, masked, mask=mask).item() > 0.97


def test_an_aligned_picture_is_left_alone(reference):
    generator = torch.Generator().manual_seed(0)
    noisy = reference + 0.02 * torch.randn(reference.shape, generator=generator)
    values = measure(noisy, reference, get_protocol("realblur-aligned"))
    plain = measure(noisy, reference, get_protocol("rgb"))
    assert values["psnr"] == pytest.approx(plain["psnr"], abs=0.1)
    assert values["ssim"] == pytest.approx(plain["ssim"], abs=0.005)


def test_numbers_are_those_of_scikit_image_behind_opencv(reference):
    """Alignment and measurement written out with the libraries that RealBlur's authors use."""
    from skimage.metrics import structural_similarity

    restored = moved(reference, 1.5, -2, 0.3, 0.93)
    z, x = (
        np.float32(np.round(a[0].permute(1, 2, 0).numpy() * 255) / 255)
        for a in (restored, reference)
    )
    z = z * np.float32((x * z).sum() / (z * z).sum())
    grey = [cv2.cvtColor(a, cv2.COLOR_RGB2GRAY) for a in (x, z)]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    _, matrix = cv2.findTransformECC(
        *grey, np.eye(3, dtype=np.float32), cv2.MOTION_HOMOGRAPHY, stop, None, 5
    )
    size = (x.shape[1], x.shape[0])
    z = cv2.warpPerspective(
        z, matrix, size, flags=cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    mask = cv2.warpPerspective(
        np.ones_like(x), matrix, size, flags=cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP
    )
    z, x = z * mask, x * mask
    error = ((x - z) ** 2).sum(dtype=np.float64) / mask.sum()
    _, similarities = structural_similarity(
        x,
        z,
        channel_axis=2,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=1,
        full=True,
    )
    inner = (similarities * mask)[5:-5, 5:-5].sum((0, 1)) / mask[5:-5, 5:-5].sum((0, 1))
    values = measure(restored, reference, get_protocol("realblur-aligned"))
    assert values["psnr"] == pytest.approx(-10 * np.log10(error), abs=1e-3)
    assert values["ssim"] == pytest.approx(inner.mean(), abs=1e-4)


def test_a_mask_of_ones_changes_nothing(reference):
    other = reference.flip(2)
    ones = torch.ones_like(reference[:, :1])
    assert psnr(other, reference, ones).item() == pytest.approx(psnr(other, reference).item())
    assert ssim(other, reference, mask=ones).item() == pytest.approx(ssim(other, reference).item())


def test_what_is_masked_does_not_count(reference):
    mask = torch.zeros_like(reference[:, :1])
    mask[..., :100] = 1
    broken = reference.clone()
    broken[..., 112:] = 0
    assert psnr(broken, reference, mask).item() == float("inf")
    assert ssim(broken, reference, mask=mask).item() == pytest.approx(1)


def test_grey_pictures_are_aligned(reference):
    grey = reference[:, :1]
    aligned, masked, mask = align(moved(reference, 2, 1)[:, :1], grey)
    assert aligned.shape == masked.shape == mask.shape == grey.shape
    assert psnr(aligned, masked, mask).item() > 30


def test_pictures_without_anything_in_common_are_refused(reference):
    with pytest.raises(DataError, match="too little in common"):
        align(torch.zeros_like(reference), reference)


def test_a_metric_that_cannot_leave_out_what_is_empty_is_undefined(reference):
    protocol = with_metrics(get_protocol("realblur-aligned"), ["psnr", "mae", "delta_e"])
    values, reasons = measure_or_say(moved(reference, 2, 1), reference, protocol)
    assert math.isfinite(values["psnr"])
    assert math.isnan(values["mae"])
    assert math.isnan(values["delta_e"])
    assert len(reasons) == 2
    assert reasons[0] == "MAE would count what the alignment of this protocol leaves empty"
