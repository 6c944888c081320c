"""Losses between a restored and a reference batch, both (N, C, H, W) float32."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossName = Literal["l1", "mse", "fft"]
Loss = Callable[[Tensor, Tensor], Tensor]


def l1(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(restored, reference)


def mse(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(restored, reference)


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


LOSSES: Mapping[LossName, Loss] = {"l1": l1, "mse": mse, "fft": fft_l1}


def weighted(
    weights: Mapping[LossName, float], restored: Tensor, reference: Tensor
) -> dict[str, Tensor]:
    """Each named loss times its weight."""
    return {name: LOSSES[name](restored, reference) * weight for name, weight in weights.items()}
