"""ExposureUNet: sees in the whole picture how much light it lacks, gives it, removes the noise.

How dark a scene was meant to be cannot be told from a part of a picture. So one U-Net looks at a
reduced copy and tells what the light of every place is to be multiplied by (the illumination of
Wang et al., "Underexposed Photo Enhancement Using Deep Illumination Estimation", CVPR 2019). It
corrects the guess that what is brightest is white (Land and McCann, "Lightness and Retinex Theory",
1971). The factor is smooth, so the details and contrasts of the picture are kept, and it is one of
the light behind the display values, as a longer exposure would have been. Another U-Net restores
the brightened picture at its full size, where the noise is.

The second one is a DRUNet that adds its output, with its keys: a denoiser is what to start from. It
takes multiples of 8.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from restorekit.nets.drunet import DRUNet
from restorekit.nets.drunet import infer_config as infer_drunet
from restorekit.nets.overview import MULTIPLE, SIDE, Overview, side_buffer

LEAST_LIGHT = 1e-4
"""Of what is brightest in a picture, 1 being white."""
MOST = math.log(1000)
"""Natural logarithm of the largest factor."""
SHARES = (0.5, 0.9, 0.97, 0.99)
"""Of the pixels: the look is told how bright so many of them are at most."""
CEILING = 2.0
"""Display value at which what is brightened beyond white is cut."""


class ExposureUNet(Overview, DRUNet):
    """Multiplies the light of a picture, then restores it.

    `widths` and `blocks` are those of the DRUNet that restores, `look` the widths of the one that
    looks at the picture with its longer side reduced to `side` pixels. Raises ValueError for a
    `side` below 8 and for other than four widths.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 48, 96, 160),
        blocks: int = 2,
        look: Sequence[int] = (16, 32, 48, 64),
        side: int = SIDE,
    ) -> None:
        super().__init__(3, 3, widths, blocks, residual=True, bias=True)
        # Residual for its initialisation: first corrections are small.
        self.exposure = DRUNet(6 + len(SHARES), 3, look, blocks, residual=True, bias=True)
        self.register_buffer("side", side_buffer(side))

    def overview(self, small: Tensor) -> Tensor:
        """Tell from the small picture (N, 3, h, w) the factors' logarithms (N, 3, h/8, w/8)."""
        light = to_light(small.float())
        levels = light.amax(1).flatten(1).quantile(light.new_tensor((*SHARES, 1.0)), 1)
        logs = levels.clamp(min=LEAST_LIGHT).log().T[..., None, None]
        # The first guess makes the brightest white; so are most pictures exposed.
        factor = -logs[:, -1:]
        lit = to_display(light * factor.exp())
        told = (logs[:, :-1] + factor).expand(-1, -1, *lit.shape[-2:])
        factors = self.exposure(torch.cat([factor.expand_as(lit), lit, told], 1)).float()
        return F.avg_pool2d(factors, MULTIPLE).clamp(-1, MOST)

    def follow(self, x: Tensor, seen: Tensor) -> Tensor:
        """Multiply the light of pixels (N, 3, H, W) by exp(`seen`), then restore them."""
        lit = to_display(to_light(x) * seen.exp()).clamp(max=CEILING)
        return DRUNet.forward(self, lit)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    own, prefix = infer_drunet(state), "exposure."
    look = infer_drunet({k.removeprefix(prefix): v for k, v in state.items() if prefix in k})
    return {
        "widths": own["widths"],
        "blocks": own["blocks"],
        "look": look["widths"],
        "side": int(state["side"]),
    }


def to_light(x: Tensor) -> Tensor:
    """Turn display values into light by the sRGB curve (IEC 61966-2-1); below 0 becomes 0."""
    x = x.clamp(min=0)
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def to_display(light: Tensor) -> Tensor:
    """Turn light into display values by the sRGB curve; below 0 becomes 0, above 1 goes on."""
    # The power's slope at 0 is infinite, and so would be the gradient of what is not taken.
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light.clamp(min=0) * 12.92, curve)
