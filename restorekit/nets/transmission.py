"""TransmissionNet: how much of the light came through the haze, and what the haze added.

Haze is I = t J + (1 - t) A (Koschmieder; Narasimhan and Nayar, IJCV 2002): of the light J of a
scene the part t, the transmission, arrives, and of the airlight A the rest comes on top. The net
looks at the whole picture made small, for thin haze over a near wall and a pale wall without haze
look alike in any patch, and estimates 1/t and A there. Their maps are brought to the picture's size
along its edges by the fast guided filter (He and Sun, 2015; inside of a net: Wu et al., "Fast
End-to-End Trainable Guided Filter", CVPR 2018), and J = I + (1/t - 1)(I - A) is a sum for every
pixel by itself. So a picture is never blurred, one without haze stays as it is where 1/t is 1, and
tiles agree as long as they share what the net saw of the whole.

The estimating part is a DRUNet with its keys. Any height and width will do.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from restorekit.nets.drunet import DRUNet, start_near_identity
from restorekit.nets.drunet import infer_config as infer_drunet

SIDE = 128
RADIUS = 4
"""Of the windows of the guided filter, in pixels of the small picture."""
FLAT = 1e-3
"""Variance of the luma below which the guided filter takes a window for flat."""
LEAST = 0.1
"""Of the transmission, as of He et al. (CVPR 2009); below there is more noise than scene."""
PALE = 2.0
"""Before training, the airlight is about sigmoid(PALE) = 0.88."""

Part = tuple[float, float]
"""Where a part of a picture begins and ends, as fractions of the picture's height or width."""
WHOLE: Part = (0.0, 1.0)
_MULTIPLE = 8


class TransmissionNet(DRUNet):
    """Estimates transmission and airlight from the whole picture and takes the haze away.

    `widths` and `blocks` are DRUNet's, `side` the longer side of the small picture in pixels.
    Raises ValueError for a `side` below 8.
    """

    side: Tensor

    def __init__(
        self, widths: Sequence[int] = (16, 48, 96, 160), blocks: int = 2, side: int = SIDE
    ) -> None:
        super().__init__(3, 4, widths, blocks, bias=True)
        if side < _MULTIPLE:
            raise ValueError(f"the small picture has {_MULTIPLE} pixels a side or more, not {side}")
        # A buffer, so that a bare state dict tells it.
        self.register_buffer("side", torch.full((1,), float(side)))
        start_near_identity(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to the same shape."""
        small = F.adaptive_avg_pool2d(x, self.reduced_size(*x.shape[-2:]))
        return self.clear(x, self.spread(self.overview(small), x.shape[-2:]))

    def reduced_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the small picture: multiples of 8, the longer one about `side`."""
        shrink = max(1.0, max(height, width) / float(self.side))
        rows, columns = (
            max(_MULTIPLE, round(length / shrink / _MULTIPLE) * _MULTIPLE)
            for length in (height, width)
        )
        return rows, columns

    def overview(self, small: Tensor) -> Tensor:
        """Look at the small picture (N, 3, h, w); return (N, 8, h, w) for `spread`.

        Of 1/t - 1 and the three values of the airlight, in this order: their slopes along the luma,
        then their offsets.
        """
        estimate = super().forward(small).float()
        most = -math.log(LEAST)
        gain = (most * torch.tanh(estimate[:, :1] / most)).expm1()
        haze = torch.cat([gain, torch.sigmoid(estimate[:, 1:] + PALE)], 1)
        return _along_luma(small.float(), haze)

    @staticmethod
    def spread(
        lines: Tensor, size: Sequence[int], rows: Part = WHOLE, columns: Part = WHOLE
    ) -> Tensor:
        """Interpolate what `overview` returned to the (H, W) pixels of a part of the picture."""
        down, right = (
            _centres(part, count).to(lines.device)
            for part, count in zip((rows, columns), size, strict=True)
        )
        grid = torch.stack(torch.meshgrid(right, down, indexing="xy"), -1)
        grid = grid.expand(len(lines), -1, -1, -1).to(lines.dtype)
        return F.grid_sample(lines, grid, padding_mode="border", align_corners=False)

    @staticmethod
    def clear(x: Tensor, lines: Tensor) -> Tensor:
        """Take the haze away; `lines` is what `spread` returned for the pixels of `x`."""
        slopes, offsets = lines.chunk(2, 1)
        haze = slopes * _luma(x) + offsets
        return x + haze[:, :1] * (x - haze[:, 1:])


def _centres(part: Part, count: int) -> Tensor:
    """Where the centres of pixels lie between the borders of the picture, at -1 and 1."""
    start, end = part
    centres = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return 2 * (start + (end - start) * centres) - 1


def _along_luma(picture: Tensor, maps: Tensor) -> Tensor:
    """Fit each map in every window by a line in the luma: the guided filter's coefficients."""
    luma = _luma(picture)
    mean, mean_luma = _box_mean(maps), _box_mean(luma)
    covariance = _box_mean(maps * luma) - mean * mean_luma
    variance = _box_mean(luma * luma) - mean_luma * mean_luma
    slopes = covariance / (variance + FLAT)
    offsets = mean - slopes * mean_luma
    return _box_mean(torch.cat([slopes, offsets], 1))


def _box_mean(x: Tensor) -> Tensor:
    window = 2 * RADIUS + 1
    return F.avg_pool2d(x, window, stride=1, padding=RADIUS, count_include_pad=False)


def _luma(x: Tensor) -> Tensor:
    return x.mean(1, keepdim=True)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    inner = infer_drunet(state)
    return {"widths": inner["widths"], "blocks": inner["blocks"], "side": int(state["side"])}
