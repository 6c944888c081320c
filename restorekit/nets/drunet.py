"""DRUNet: a residual U-Net without normalisation.

Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", TPAMI 2021. Published
weights (KAIR and DPIR, MIT licence) take the picture and a noise map as the last input channel,
have no biases and predict the picture itself. A picture without the map gets one of `sigma`, the
standard deviation of the noise in units of 1/255. With `residual=True`, which is ours, the net adds
its output to the picture and starts as the identity: the form of the small embedded models. With
`scale`, ours too, the picture is enlarged by bicubic interpolation first.

State-dict keys are the authors'. Height and width must be multiples of 8. The scale leaves no trace
in the weights.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.nets.blocks import enlarge
from restorekit.nets.dncnn import SIGMA, checked_sigma, with_noise_map

LEVELS = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a ReLU, added to the input."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.res = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x + self.res(x)


def _chain(channels: int, blocks: int, bias: bool) -> list[nn.Module]:
    return [ResidualBlock(channels, bias) for _ in range(blocks)]


def _down(inner: int, outer: int, blocks: int, bias: bool) -> nn.Sequential:
    halve = nn.Conv2d(inner, outer, 2, stride=2, bias=bias)
    return nn.Sequential(*_chain(inner, blocks, bias), halve)


def _up(outer: int, inner: int, blocks: int, bias: bool) -> nn.Sequential:
    double = nn.ConvTranspose2d(outer, inner, 2, stride=2, bias=bias)
    return nn.Sequential(double, *_chain(inner, blocks, bias))


def _start_near_identity(net: nn.Module) -> None:
    """Draw weights that keep the variance through the U and add little to the picture.

    torch's default halves the deep features at every scale, and they learn too late.
    """
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.in_channels
            if isinstance(layer, nn.Conv2d):
                inputs *= math.prod(layer.kernel_size)
            gain = {"res.0": math.sqrt(2), "res.2": 0.3, "_tail": 0.1}.get(name[-5:], 1.0)
            nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class DRUNet(nn.Module):
    """Four scales of residual blocks, joined by sums across the U.

    `widths` are the channels of the four scales. The noise map of the published models is an input
    channel like any other, one more than the net gives out; `sigma` may be set at any time. Raises
    ValueError for other than four widths and for an impossible `sigma`.
    """

    residual: Tensor | None

    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 4,
        residual: bool = False,
        bias: bool = False,
        sigma: float = SIGMA,
        scale: int = 1,
    ) -> None:
        super().__init__()
        self.sigma = checked_sigma(sigma)
        if scale < 1:
            raise ValueError(f"DRUNet enlarges 1 time or more, got scale {scale}")
        self.scale = scale
        if len(widths) != LEVELS:
            raise ValueError(f"DRUNet has {LEVELS} scales, got widths {tuple(widths)}")
        self.m_head = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=bias)
        for level, (inner, outer) in enumerate(pairwise(widths), 1):
            self.add_module(f"m_down{level}", _down(inner, outer, blocks, bias))
        self.m_body = nn.Sequential(*_chain(widths[-1], blocks, bias))
        for level, (inner, outer) in reversed([*enumerate(pairwise(widths), 1)]):
            self.add_module(f"m_up{level}", _up(outer, inner, blocks, bias))
        self.m_tail = nn.Conv2d(widths[0], out_channels, 3, padding=1, bias=bias)
        # A buffer, so that a bare state dict says which of the two forms it is.
        self.register_buffer("residual", torch.ones(1) if residual else None)
        if residual:
            _start_near_identity(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, scale * H, scale * W).

        H and W are multiples of 8. The noise map may be left out.
        """
        if self.scale > 1:
            x = enlarge(x, self.scale)
        if x.shape[1] == self.m_head.in_channels - 1 == self.m_tail.out_channels:
            x = with_noise_map(x, self.sigma / 255)
        skips = [self.m_head(x)]
        for level in range(1, LEVELS):
            skips.append(self.get_submodule(f"m_down{level}")(skips[-1]))
        y = self.m_body(skips[-1])
        for level in range(LEVELS - 1, 0, -1):
            y = self.get_submodule(f"m_up{level}")(y + skips[level])
        y = self.m_tail(y + skips[0])
        return y if self.residual is None else y + self.residual * x[:, : y.shape[1]]


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    ends = [state[f"m_up{level}.0.weight"].shape for level in range(1, LEVELS)]
    inner, outer = state["m_head.weight"].shape[1], state["m_tail.weight"].shape[0]
    return {
        "in_channels": inner,
        "out_channels": outer,
        "widths": (*(inner for _, inner, *_ in ends), ends[-1][0]),
        "blocks": sum(k.startswith("m_body.") and k.endswith("res.0.weight") for k in state),
        "residual": "residual" in state,
        "bias": "m_head.bias" in state,
        **({"sigma": SIGMA} if inner == outer + 1 else {}),
    }
