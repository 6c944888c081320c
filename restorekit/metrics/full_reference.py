"""How far a restored picture is from its reference: PSNR, SSIM, MS-SSIM, MAE, edge PSNR.

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

from restorekit.errors import DataError, UndefinedMetricError, UnknownNameError
from restorekit.ops.color import luma

LUMINANCE_CONSTANT = 0.01**2
CONTRAST_CONSTANT = 0.03**2
SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Border = Literal["valid", "replicate", "zero"]


@dataclass(frozen=True)
class SsimVariant:
    """One of the definitions of SSIM in use; they differ by up to 0.2 on one pair of pictures."""

    name: str
    source: str
    window: Literal["gaussian", "uniform"] = "gaussian"
    """Gaussian of sigma 1.5, or equal weights."""
    size: int = 11
    """Side of the window in pixels."""
    border: Border = "valid"
    """Only windows inside the picture, or the picture continued to all sides."""
    sample_covariance: bool = False
    """Divide (co)variances by n - 1 instead of n."""
    across_channels: bool = False
    """The window reaches over the colour channels too: a colour picture taken as a volume."""
    pooled: Literal["no", "exact", "padded"] = "no"
    """Both pictures are first reduced to about 256 pixels on the short side; "padded" counts the
    sides as they are after padding to the next multiple of 8."""
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
        pooled="padded",
        float32_window=True,
    ),
    SsimVariant(
        "pooled",
        "dehazing tables of DehazeFormer and MixDehazeNet",
        pooled="exact",
        float32_window=True,
    ),
)
SSIM_VARIANTS: Mapping[str, SsimVariant] = MappingProxyType({v.name: v for v in _VARIANTS})

MS_SSIM_VARIANT = SsimVariant("ms-ssim", "pytorch_msssim", float32_window=True)

EDGE = 0.05
"""The least gradient of an edge: a sharp step of 0.1, or 26 of the 8-bit levels."""
_STEP, _SMOOTH = [-0.5, 0, 0.5], [0.25, 0.5, 0.25]


def mse(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean squared error over all samples of a picture."""
    a, b = _checked(restored, reference)
    return (a - b).square().mean(dim=(1, 2, 3))


def mae(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute error over all samples of a picture."""
    a, b = _checked(restored, reference)
    return (a - b).abs().mean(dim=(1, 2, 3))


def psnr(restored: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite for equal pictures.

    With a `mask` (N, 1, H, W) of zeros and ones only its ones count.
    """
    if mask is None:
        return -10 * torch.log10(mse(restored, reference))
    a, b = _checked(restored, reference)
    errors = (a - b).square().mean(dim=1, keepdim=True)
    return -10 * torch.log10(_mean_where(errors, mask)[:, 0])


def edge_psnr(restored: Tensor, reference: Tensor) -> Tensor:
    """PSNR over the edges of the reference, in dB.

    Edges are where Sobel's gradient of the luma rises by more than `EDGE` a pixel. The idea is
    that of EPSNR (ITU-T J.144), which finds edges in another way: no comparison with its numbers.
    Raises UndefinedMetricError for a reference without edges.
    """
    require_comparable(restored, reference)
    gray = luma(reference.double())
    x = _continued(_continued(gray, 2, 1, "replicate"), 3, 1, "replicate")
    rows, columns = (
        _weigh_along(_weigh_along(x, first, 2), second, 3)
        for first, second in ((_STEP, _SMOOTH), (_SMOOTH, _STEP))
    )
    edges = torch.hypot(rows, columns) > EDGE
    if not edges.flatten(1).any(1).all():
        raise UndefinedMetricError("edge PSNR needs a reference with edges, and this one has none")
    return psnr(restored, reference, edges.double())


def ssim(
    restored: Tensor,
    reference: Tensor,
    variant: SsimVariant | str = "gaussian-valid",
    mask: Tensor | None = None,
) -> Tensor:
    """Structural similarity, at most 1, in the named variant of `SSIM_VARIANTS`.

    With a `mask` (N, 1, H, W) of zeros and ones only the windows with a one in the centre count.
    """
    if isinstance(variant, str):
        if variant not in SSIM_VARIANTS:
            raise UnknownNameError("SSIM variant", variant, SSIM_VARIANTS)
        variant = SSIM_VARIANTS[variant]
    a, b = _checked(restored, reference)
    if variant.pooled != "no":
        size = _pooled_size(a.shape[2], a.shape[3], padded=variant.pooled == "padded")
        a, b = (functional.adaptive_avg_pool2d(x, size) for x in (a, b))
    require_side(a, variant.size, "SSIM")
    similarity = _similarity(a, b, variant)[0]
    return _mean_where(similarity, mask).mean(dim=1)


def ms_ssim(restored: Tensor, reference: Tensor) -> Tensor:
    """Multi-scale structural similarity over five scales; both sides must exceed 160 pixels.

    As in pytorch_msssim an odd side is continued by zeros before it is halved.
    """
    a, b = _checked(restored, reference)
    require_side(a, (MS_SSIM_VARIANT.size - 1) * 2 ** (len(SCALE_EXPONENTS) - 1) + 1, "MS-SSIM")
    product = torch.ones(a.shape[:2], dtype=a.dtype, device=a.device)
    for scale, exponent in enumerate(SCALE_EXPONENTS):
        whole, contrast = _similarity(a, b, MS_SSIM_VARIANT)
        factor = whole if scale == len(SCALE_EXPONENTS) - 1 else contrast
        product *= factor.mean(dim=(2, 3)).clamp(min=0) ** exponent
        a, b = _halve(a), _halve(b)
    return product.mean(dim=1)


def _similarity(a: Tensor, b: Tensor, variant: SsimVariant) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure term at each window, (N, C, H, W) each."""
    weights, dims = _window(variant), (1, 2, 3) if variant.across_channels else (2, 3)

    def mean(x: Tensor) -> Tensor:
        return local_mean(x, weights, variant.border, dims)

    mean_a, mean_b = mean(a), mean(b)
    n = variant.size**2
    unbias = n / (n - 1) if variant.sample_covariance else 1.0
    variances = unbias * (mean(a * a + b * b) - mean_a**2 - mean_b**2)
    covariance = unbias * (mean(a * b) - mean_a * mean_b)
    contrast = (2 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
    luminance = (2 * mean_a * mean_b + LUMINANCE_CONSTANT) / (
        mean_a**2 + mean_b**2 + LUMINANCE_CONSTANT
    )
    return luminance * contrast, contrast


def _mean_where(x: Tensor, mask: Tensor | None) -> Tensor:
    """Average (N, C, H, W) to (N, C), where a mask, which may be larger, is one in its middle."""
    if mask is None:
        return x.mean(dim=(2, 3))
    top, left = ((mask.shape[dim] - x.shape[dim]) // 2 for dim in (2, 3))
    inside = mask.narrow(2, top, x.shape[2]).narrow(3, left, x.shape[3]).to(x)
    return (x * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3))


def local_mean(
    x: Tensor, weights: list[float], border: Border = "valid", dims: tuple[int, ...] = (2, 3)
) -> Tensor:
    """Average each neighbourhood of (N, C, H, W) with the same `weights` along each of `dims`."""
    for dim in dims:
        x = _weigh_along(_continued(x, dim, len(weights) // 2, border), weights, dim)
    return x


def gaussian_taps(size: int, sigma: float, dtype: torch.dtype = torch.float64) -> list[float]:
    """Give a Gaussian at `size` whole distances, scaled to a sum of one."""
    offset = torch.arange(size, dtype=dtype) - size // 2
    weights = torch.exp(-(offset**2) / (2 * sigma**2))
    return [float(w) for w in weights / weights.sum()]


def _window(variant: SsimVariant) -> list[float]:
    if variant.window == "uniform":
        return [1 / variant.size] * variant.size
    return gaussian_taps(
        variant.size, 1.5, torch.float32 if variant.float32_window else torch.float64
    )


def _continued(x: Tensor, dim: int, margin: int, border: Border) -> Tensor:
    if border == "valid":
        return x
    n = x.shape[dim]
    index = torch.arange(-margin, n + margin, device=x.device)
    continued = x.index_select(dim, index.clamp(0, n - 1))
    if border == "zero":
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


def _pooled_size(height: int, width: int, *, padded: bool) -> tuple[int, int]:
    if padded:
        # A side that is a multiple of 8 already gets 8 more: so do the published numbers.
        height, width = ((side + 8) // 8 * 8 for side in (height, width))
    ratio = max(1, round(min(height, width) / 256))
    return height // ratio, width // ratio


def _halve(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 2, padding=(x.shape[2] % 2, x.shape[3] % 2))


def _checked(restored: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    require_comparable(restored, reference)
    return restored.double(), reference.double()


def require_comparable(restored: Tensor, reference: Tensor) -> None:
    """Raise DataError unless both are (N, C, H, W) of one shape."""
    if restored.shape != reference.shape or restored.ndim != 4:
        raise DataError(
            f"cannot compare tensors of shape {tuple(restored.shape)} and "
            f"{tuple(reference.shape)}: both must be (N, C, H, W) and equal"
        )


def require_side(x: Tensor, side: int, metric: str) -> None:
    """Raise UndefinedMetricError for pictures with fewer than `side` pixels on a side."""
    if min(x.shape[2:]) < side:
        raise UndefinedMetricError(
            f"{metric} needs at least {side} pixels on each side, "
            f"got {x.shape[3]}x{x.shape[2]}; choose another metric"
        )
