"""Brightness of RGB tensors, in the definitions that the papers' numbers rest on."""

import torch
from torch import Tensor

BT601 = (0.299, 0.587, 0.114)
"""Weights of R, G and B in full-range luma (ITU-R BT.601)."""

MATLAB_Y = (65481, 128553, 24966)
"""Weights of R, G and B in MATLAB's `rgb2ycbcr`, in thousandths of an 8-bit level."""

MATLAB_Y_OFFSET = 16


def luma(x: Tensor) -> Tensor:
    """Weigh R, G and B to full-range luma, (N, 1, H, W); one channel is returned as it is."""
    return x if x.shape[1] == 1 else _weigh(x, BT601)


def matlab_y(x: Tensor) -> Tensor:
    """Convert to MATLAB's studio-range Y without rounding: (N, 1, H, W) in [16, 235] / 255.

    A grey picture counts as one with three equal channels.
    """
    return (_weigh(_three_channels(x), MATLAB_Y) / 1000 + MATLAB_Y_OFFSET) / 255


def matlab_y_rounded(x: Tensor) -> Tensor:
    """Convert the 8-bit picture to Y as MATLAB does with uint8: rounded to a whole level / 255.

    The sum is exact in integers, because one pixel in 60 000 of a photograph lies on a half.
    """
    levels = eight_bit_levels(_three_channels(x).double())
    y = torch.floor(_weigh(levels, MATLAB_Y) / 255000 + MATLAB_Y_OFFSET + 0.5) / 255
    return y.to(x.dtype)


def eight_bit_levels(x: Tensor) -> Tensor:
    """Clip to [0, 1] and round half up to the levels 0 to 255 of an 8-bit file."""
    return torch.floor(x.clamp(0, 1) * 255 + 0.5)


def _three_channels(x: Tensor) -> Tensor:
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x


def _weigh(x: Tensor, weights: tuple[float, float, float]) -> Tensor:
    red, green, blue = x.unbind(1)
    return (weights[0] * red + weights[1] * green + weights[2] * blue).unsqueeze(1)
