"""Means over windows as differences of a two-dimensional running sum, for the literal formulas."""

import torch.nn.functional as F
from torch import Tensor


def window_mean(x: Tensor, kh: int, kw: int) -> Tensor:
    """Average (N, C, H, W) over windows of kh x kw; those of the border go on to the edge."""
    h, w = x.shape[-2:]
    sums = F.pad(x.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    upper, lower = sums[..., :-kh, :], sums[..., kh:, :]
    boxes = lower[..., kw:] - lower[..., :-kw] - upper[..., kw:] + upper[..., :-kw]
    vh, vw = boxes.shape[-2:]
    border = ((w - vw) // 2, (w - vw + 1) // 2, (h - vh) // 2, (h - vh + 1) // 2)
    return F.pad(boxes / (kh * kw), border, mode="replicate")
