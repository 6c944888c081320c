"""Losses of a restored batch, (N, C, H, W) float32 in [0, 1] like its reference."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.errors import CheckpointError
from restorekit.metrics import full_reference

LossName = Literal[
    "l1",
    "mse",
    "charbonnier",
    "psnr",
    "ssim",
    "ms_ssim",
    "edge",
    "colour",
    "harm",
    "fft",
    "perceptual",
    "adversarial",
]
Difference = Callable[[Tensor, Tensor], Tensor]
"""Compares the restored batch with its reference."""
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Judges the restored batch by its reference and by the degraded one."""

CHARBONNIER_EPSILON = 1e-3
PSNR_EPSILON = 1e-8
POOLED_STAGES = 4
"""The perceptual loss compares what comes out of the fourth pooling."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WIDE = full_reference.gaussian_taps(21, 3.0)


def l1(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(restored, reference)


def mse(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(restored, reference)


def charbonnier(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + 1e-6): an absolute difference that is smooth at zero.

    Lai et al. (LapSRN, CVPR 2017), with the constant of Zamir et al. (MPRNet, CVPR 2021).
    """
    return ((restored - reference).square() + CHARBONNIER_EPSILON**2).sqrt().mean()


def psnr(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean over the pictures of minus the PSNR in dB, so mostly below zero (NAFNet, ECCV 2022)."""
    error = (restored - reference).square().mean((1, 2, 3))
    return 10 * (error + PSNR_EPSILON).log10().mean()


def ssim(restored: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM of 11x11 Gaussian windows (Wang et al., 2004); sides of at least 11 pixels."""
    return 1 - full_reference.ssim(restored, reference).mean().float()


def ms_ssim(restored: Tensor, reference: Tensor) -> Tensor:
    """1 - MS-SSIM over five scales (Wang et al., 2003); sides of more than 160 pixels."""
    return 1 - full_reference.ms_ssim(restored, reference).mean().float()


def edge(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel gradients, an eighth of them, in both directions."""
    difference = restored - reference
    slope = difference.new_tensor([-1, 0, 1])
    smooth = difference.new_tensor([1, 2, 1])
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None] / 8
    channels = difference.shape[1]
    padded = F.pad(difference, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernels.repeat(channels, 1, 1, 1), groups=channels).abs().mean()


def colour(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference of the pictures blurred by a Gaussian of sigma 3, 21 pixels wide.

    Ignatov et al. (DPED, ICCV 2017). At the borders the outermost samples are repeated.
    """
    return full_reference.local_mean(restored - reference, _WIDE, "replicate").square().mean()


def harm(restored: Tensor, reference: Tensor, degraded: Tensor) -> Tensor:
    """Mean of how much the squared error has grown by restoring, where it has grown.

    The squared errors are means over the channels and the neighbourhood of `colour`. Beside `mse`
    of the same weight harm counts twice: the less certain the damage, the less of it the net then
    undoes. A degraded batch of another size is brought to that of the reference, bilinearly.
    """
    given = _like(degraded, reference)
    growth = (restored - reference).square() - (given - reference).square()
    return full_reference.local_mean(growth.mean(1, keepdim=True), _WIDE, "replicate").relu().mean()


def _like(degraded: Tensor, reference: Tensor) -> Tensor:
    """Bring a batch to the size and channels of another; two views are averaged."""
    view = degraded.unflatten(1, (-1, reference.shape[1])).mean(1)
    if view.shape == reference.shape:
        return view
    return F.interpolate(view, size=reference.shape[-2:], mode="bilinear", align_corners=False)


def fft_l1(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference of the real and imaginary parts of the unnormalised 2-D spectra.

    Cho et al. (MIMO-UNet, ICCV 2021), Cui et al. (SFNet, ICLR 2023). The spectra of real pictures
    are symmetric, so half of one, its middle columns counted twice, gives the mean of the whole.
    """
    difference = torch.view_as_real(torch.fft.rfft2(restored - reference)).abs()
    width = restored.shape[-1]
    once = difference[..., 0, :].sum()
    if width % 2 == 0:
        once = once + difference[..., -1, :].sum()
        twice = difference[..., 1:-1, :].sum()
    else:
        twice = difference[..., 1:, :].sum()
    return (once + 2 * twice) / (2 * restored.numel())


class Perceptual(nn.Module):
    """Mean absolute difference of the features of a VGG behind its fourth pooling.

    Johnson et al. (ECCV 2016). `weights` is a state dict of torchvision's VGG16 or VGG19; which of
    them it is, where it pools included, follows from the numbers of its layers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        places = sorted(
            int(key.split(".")[1])
            for key in weights
            if key.startswith("features.") and key.endswith(".weight")
        )
        layers: list[nn.Module] = []
        pooled = 0
        for place, following in pairwise(places):
            layers += [_convolution(weights, f"features.{place}"), nn.ReLU(inplace=True)]
            if following - place == 3:
                layers.append(nn.MaxPool2d(2))
                pooled += 1
            if pooled == POOLED_STAGES:
                break
        if pooled < POOLED_STAGES:
            raise CheckpointError(
                "has no features.N.weight of a VGG with five stages; give the state dict of "
                "torchvision's vgg16 or vgg19"
            )
        self.layers = nn.Sequential(*layers).requires_grad_(False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, restored: Tensor, reference: Tensor) -> Tensor:
        """Compare two batches."""
        with torch.no_grad():
            wanted = self._features(reference)
        return F.l1_loss(self._features(restored), wanted)

    def _features(self, pictures: Tensor) -> Tensor:
        features: Tensor = self.layers((pictures - self.mean) / self.std)
        return features


DIFFERENCES: Mapping[str, Difference] = {
    "l1": l1,
    "mse": mse,
    "charbonnier": charbonnier,
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "edge": edge,
    "colour": colour,
    "fft": fft_l1,
}


def build_losses(
    weights: Mapping[LossName, float], features: Path | None, device: torch.device
) -> dict[str, Loss]:
    """Make the named losses, each times its weight; `features` is the file of the perceptual one.

    The adversarial one is not among them; it takes an objective of its own. Raises CheckpointError
    where that file does not hold a VGG.
    """
    losses = {name: _of_reference(difference) for name, difference in DIFFERENCES.items()}
    losses["harm"] = harm
    if features is not None:
        losses["perceptual"] = _of_reference(_load_perceptual(features).to(device))
    return {name: _times(weight, losses[name]) for name, weight in weights.items()}


def _of_reference(difference: Difference) -> Loss:
    return lambda restored, reference, _degraded: difference(restored, reference)


def _times(weight: float, loss: Loss) -> Loss:
    return lambda restored, reference, degraded: weight * loss(restored, reference, degraded)


def _load_perceptual(path: Path) -> Perceptual:
    try:
        return Perceptual(torch.load(path, weights_only=True, map_location="cpu"))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as weights of a VGG: {error}") from None


def _convolution(weights: Mapping[str, Tensor], name: str) -> nn.Conv2d:
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
    convolution.load_state_dict({"weight": kernel, "bias": bias})
    return convolution
