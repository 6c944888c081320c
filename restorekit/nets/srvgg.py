"""SRVGGNetCompact: a small net for enlarging video, all of it at the size of the input.

From Real-ESRGAN (Wang et al., ICCVW 2021), as realesr-general-x4v3 and realesr-animevideov3.
Published weights: xinntao/Real-ESRGAN (BSD-3-Clause).

State-dict keys are the authors'. Any height and width will do. The slope of the leaky form leaves
no trace in the weights; it is the authors'.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import convolutions

SLOPE = 0.1


class SRVGGNet(nn.Module):
    """Predict what the enlarged picture has beyond its repeated pixels.

    `convs` are those between the first and the last; `prelu` has each activation learn its slopes.
    """

    def __init__(
        self,
        in_channels: int = 3,
        scale: int = 4,
        channels: int = 64,
        convs: int = 16,
        prelu: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        for inner in (in_channels, *[channels] * convs):
            slopes = nn.PReLU(channels) if prelu else nn.LeakyReLU(SLOPE, inplace=True)
            layers += [nn.Conv2d(inner, channels, 3, padding=1), slopes]
        last = nn.Conv2d(channels, in_channels * scale**2, 3, padding=1)
        self.body = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels, scale * H, scale * W)."""
        enlarged = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return enlarged + F.pixel_shuffle(self.body(x), self.scale)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    first, *between, last = convolutions(state)
    channels, in_channels = first.shape[:2]
    return {
        "in_channels": in_channels,
        "scale": math.isqrt(last.shape[0] // in_channels),
        "channels": channels,
        "convs": len(between),
        "prelu": "body.1.weight" in state,
    }
