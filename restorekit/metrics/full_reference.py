"""How far a restored picture is from its reference: PSNR, SSIM, MS-SSIM, MAE.

All take two tensors (N, C, H, W) in [0, 1], compute in float64 and return one number per picture,
(N,). Clipping, rounding and colour space belong to the protocol (`metrics.protocols`).

SSIM: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
MS-SSIM: Wang et al., "Multiscale structural similarity for image quality assessment", 2003.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from restorekit.errors import DataError, UnknownNameError

LUMINANCE_CONSTANT = 0.01**2
CONTRAST_CONSTANT = 0.03**2
SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True)
class SsimVariant:
    """One of the definitions of SSIM in use; they differ by up to 0.2 on one pair of pictures."""

    name: str
    source: str
    window: Literal["gaussian", "uniform"] = "gaussian"
    """Gaussian of sigma 1.5, or equal weights."""
    size: int = 11
    """Side of the window in pixels."""
    border: Literal["valid", "replicate", "zero"] = "valid"
    """Only windows inside the picture, or the picture continued to all sides."""
    sample_covariance: bool = False
    """Divide (co)variances by n - 1 instead of n."""
    across_channels: bool = False
    """The window reaches over the colour channels too: a colour picture taken as a volume."""
    pooled: bool = False
    """Both pictures are first reduced to about 256 pixels on the short side."""
    float32_window: bool = False
    """Window rounded to float32 as the published code does; moves the fifth decimal."""


_VARIANTS = (
    SsimVariant("gaussian-valid", "Wang 2004, BasicSR; per channel, mean over channels"),
    SsimVariant("gaussian-replicate", "NAFNet and Restormer on Y", border="replicate"),
    SsimVariant("gaussian-zero", "FFA-Net, PReNet (training), SnowFormer", border="zero"),
    SsimVariant(
        "gaussian-3d",
        "MATLAB's ssim on an RGB array: the GoPro, HIDE and SIDD tables",
        border="replicate",
        across_channels=True,
    ),
    SsimVariant(
        "uniform-7",
        "scikit-image's defaults: DPDD, DeRaindrop",
        window="uniform",
        size=7,
        sample_covariance=True,
    ),
    SsimVariant(
        "pooled-sfnet",
        "dehazing and desnowing tables of SFNet, FSNet, ConvIR",
        pooled=True,
        float32_window=True,
    ),
)
SSIM_VARIANTS: Mapping[str, SsimVariant] = MappingProxyType({v.name: v for v in _VARIANTS})

MS_SSIM_VARIANT = SsimVariant("ms-ssim", "pytorch_msssim", float32_window=True)


def mse(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean squared error over all samples of a picture."""
    a, b = _checked(restored, reference)
    return (a - b).square().mean(dim=(1, 2, 3))


def mae(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute error over all samples of a picture."""
    a, b = _checked(restored, reference)
    return (a - b).abs().mean(dim=(1, 2, 3))


def psnr(restored: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite for equal pictures."""
    return -10 * torch.log10(mse(restored, reference))


def ssim(
    restored: Tensor, reference: Tensor, variant: SsimVariant | str = "gaussian-valid"
) -> Tensor:
    """Structural similarity, at most 1, in the named variant of `SSIM_VARIANTS`."""
    if isinstance(variant, str):
        if variant not in SSIM_VARIANTS:
            raise UnknownNameError("SSIM variant", variant, SSIM_VARIANTS)
        variant = SSIM_VARIANTS[variant]
    a, b = _checked(restored, reference)
    if variant.pooled:
        size = _pooled_size(a.shape[2], a.shape[3])
        a, b = (functional.adaptive_avg_pool2d(x, size) for x in (a, b))
    _require_side(a, variant.size, "SSIM")
    return _similarity(a, b, variant)[0].mean(dim=1)


def ms_ssim(restored: Tensor, reference: Tensor) -> Tensor:
    """Multi-scale structural similarity over five scales; both sides must exceed 160 pixels.

    As in pytorch_msssim an odd side is continued by zeros before it is halved.
    """
    a, b = _checked(restored, reference)
    _require_side(a, (MS_SSIM_VARIANT.size - 1) * 2 ** (len(SCALE_EXPONENTS) - 1) + 1, "MS-SSIM")
    product = torch.ones(a.shape[:2], dtype=a.dtype, device=a.device)
    for scale, exponent in enumerate(SCALE_EXPONENTS):
        whole, contrast = _similarity(a, b, MS_SSIM_VARIANT)
        factor = whole if scale == len(SCALE_EXPONENTS) - 1 else contrast
        product *= factor.clamp(min=0) ** exponent
        a, b = _halve(a), _halve(b)
    return product.mean(dim=1)


def _similarity(a: Tensor, b: Tensor, variant: SsimVariant) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure term per channel, (N, C) each."""
    mean_a, mean_b = _local_mean(a, variant), _local_mean(b, variant)
    n = variant.size**2
    unbias = n / (n - 1) if variant.sample_covariance else 1.0
    variances = unbias * (_local_mean(a * a + b * b, variant) - mean_a**2 - mean_b**2)
    covariance = unbias * (_local_mean(a * b, variant) - mean_a * mean_b)
    contrast = (2 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
    luminance = (2 * mean_a * mean_b + LUMINANCE_CONSTANT) / (
        mean_a**2 + mean_b**2 + LUMINANCE_CONSTANT
    )
    return (luminance * contrast).mean(dim=(2, 3)), contrast.mean(dim=(2, 3))


def _local_mean(x: Tensor, variant: SsimVariant) -> Tensor:
    weights = _window(variant)
    for dim in (1, 2, 3) if variant.across_channels else (2, 3):
        x = _weigh_along(_continued(x, dim, variant), weights, dim)
    return x


def _window(variant: SsimVariant) -> list[float]:
    if variant.window == "uniform":
        return [1 / variant.size] * variant.size
    dtype = torch.float32 if variant.float32_window else torch.float64
    offset = torch.arange(variant.size, dtype=dtype) - variant.size // 2
    weights = torch.exp(-(offset**2) / (2 * 1.5**2))
    return [float(w) for w in weights / weights.sum()]


def _continued(x: Tensor, dim: int, variant: SsimVariant) -> Tensor:
    if variant.border == "valid":
        return x
    margin, n = variant.size // 2, x.shape[dim]
    index = torch.arange(-margin, n + margin, device=x.device)
    continued = x.index_select(dim, index.clamp(0, n - 1))
    if variant.border == "zero":
        outside = index[(index < 0) | (index >= n)] + margin
        continued.index_fill_(dim, outside, 0)
    return continued


def _weigh_along(x: Tensor, weights: list[float], dim: int) -> Tensor:
    # Slices added up: a float64 convolution would copy the picture once per tap.
    n = x.shape[dim] - len(weights) + 1
    total = torch.zeros_like(x.narrow(dim, 0, n))
    for i, weight in enumerate(weights):
        total.add_(x.narrow(dim, i, n), alpha=weight)
    return total


def _pooled_size(height: int, width: int) -> tuple[int, int]:
    # A side that is a multiple of 8 already gets 8 more: so do the published numbers.
    padded_height, padded_width = ((side + 8) // 8 * 8 for side in (height, width))
    ratio = max(1, round(min(padded_height, padded_width) / 256))
    return padded_height // ratio, padded_width // ratio


def _halve(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 2, padding=(x.shape[2] % 2, x.shape[3] % 2))


def _checked(restored: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    if restored.shape != reference.shape or restored.ndim != 4:
        raise DataError(
            f"cannot compare tensors of shape {tuple(restored.shape)} and "
            f"{tuple(reference.shape)}: both must be (N, C, H, W) and equal"
        )
    return restored.double(), reference.double()


def _require_side(x: Tensor, side: int, metric: str) -> None:
    if min(x.shape[2:]) < side:
        raise DataError(
            f"{metric} needs at least {side} pixels on each side, "
            f"got {x.shape[3]}x{x.shape[2]}; choose another metric"
        )
