"""NAFNet: a U-Net of blocks without activation functions.

Chen et al., "Simple Baselines for Image Restoration", ECCV 2022. Published weights
(github.com/megvii-research/NAFNet, MIT licence) exist for motion deblurring (GoPro, REDS) and for
denoising (SIDD), with widths of 32 and 64.

State-dict keys are the authors'. Height and width must be multiples of 2 to the number of scales,
16 in all published nets; the authors' code pads with zeros to that by itself, this one leaves it to
the model. `NAFNetLocal` of their GoPro test is this net with `local_statistics(256)`.
"""

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.nets.blocks import check_size
from restorekit.nets.tlc import PARTS, LocalStatistics, Window, local_mean, spread

MOST_SCALES = 4
EPSILON = 1e-6


def local_statistics(train_size: int = 256) -> LocalStatistics:
    """Give the authors' window, 1.5 times the training crops, `train_size` pixels high and wide."""
    return LocalStatistics(train_size, train_size, PARTS * 3 // 2)


class PixelNorm(nn.LayerNorm):
    """Normalise the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Block(nn.Module):
    """A gated depthwise convolution with channel attention, then a gated pointwise layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        double = 2 * channels
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.conv1 = nn.Conv2d(channels, double, 1)
        self.conv2 = nn.Conv2d(double, double, 3, padding=1, groups=double)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.sca = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 1)})
        self.conv4 = nn.Conv2d(channels, double, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.norm1 = PixelNorm(channels, EPSILON)
        self.norm2 = PixelNorm(channels, EPSILON)

    def forward(self, x: Tensor, window: Window | None) -> Tensor:
        """Map (N, C, H, W) to the same shape; means are global if `window` is None."""
        y = _gate(self.conv2(self.conv1(self.norm1(x))))
        x = torch.addcmul(x, self.conv3(self._attend(y, window)), self.beta)
        y = _gate(self.conv4(self.norm2(x)))
        return torch.addcmul(x, self.conv5(y), self.gamma)

    def _attend(self, y: Tensor, window: Window | None) -> Tensor:
        gains: Tensor = self.sca["1"](local_mean(y, window).to(y.dtype))
        if gains.shape[2:] == (1, 1):
            return y * gains
        return y * spread(gains, torch.empty_like(y))


class NAFNet(nn.Module):
    """A U of blocks whose scales are joined by sums; predicts what to add to the picture.

    `encoder_blocks` counts the blocks of the scales from the finest on, `decoder_blocks` those of
    the way back, coarsest first; each has one number a scale, at most four. Means are global unless
    `statistics` is set; setting it changes no weights, and no picture changes it.
    """

    statistics: LocalStatistics | None

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 32,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        decoder_blocks: Sequence[int] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        scales = len(encoder_blocks)
        if not 1 <= scales == len(decoder_blocks) <= MOST_SCALES:
            raise ValueError(
                f"NAFNet needs one to {MOST_SCALES} scales, as many down as up, got blocks "
                f"{tuple(encoder_blocks)} and {tuple(decoder_blocks)}"
            )
        widths = [width << scale for scale in range(scales)]
        self.intro = nn.Conv2d(in_channels, width, 3, padding=1)
        self.ending = nn.Conv2d(width, in_channels, 3, padding=1)
        self.encoders = nn.ModuleList(map(_stage, widths, encoder_blocks))
        self.decoders = nn.ModuleList(map(_stage, reversed(widths), decoder_blocks))
        self.middle_blks = _stage(2 * widths[-1], middle_blocks)
        self.ups = nn.ModuleList(_double(2 * channels) for channels in reversed(widths))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in widths)
        self.multiple = 1 << scales
        self.statistics = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        check_size("this NAFNet", x, self.multiple)
        y, skips = self.intro(x), []
        for scale, (stage, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            skips.append(self._run(stage, y, 1 << scale))
            y = down(skips[-1])
        y = self._run(self.middle_blks, y, self.multiple)
        for stage, up in zip(self.decoders, self.ups, strict=True):
            y = self._run(stage, up(y) + skips.pop(), 1 << len(skips))
        return self.ending(y) + x

    def _run(self, stage: nn.Module, x: Tensor, scale: int) -> Tensor:
        window = self.statistics and self.statistics.window(scale)
        for block in stage.children():
            x = block(x, window)
        return x


def _stage(channels: int, blocks: int) -> nn.ModuleList:
    return nn.ModuleList(Block(channels) for _ in range(blocks))


def _double(channels: int) -> nn.Sequential:
    """Twice the size, half the channels."""
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2))


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return first * second


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    scales = sum(key.startswith("downs.") and key.endswith(".weight") for key in state)

    def blocks(stage: str) -> int:
        return sum(1 for _ in takewhile(lambda i: f"{stage}.{i}.conv1.weight" in state, count()))

    return {
        "in_channels": state["intro.weight"].shape[1],
        "width": state["intro.weight"].shape[0],
        "encoder_blocks": tuple(blocks(f"encoders.{scale}") for scale in range(scales)),
        "middle_blocks": blocks("middle_blks"),
        "decoder_blocks": tuple(blocks(f"decoders.{scale}") for scale in range(scales)),
    }
