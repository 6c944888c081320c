"""DeepDeblur: a residual net for each of several picture sizes, from coarse to fine.

Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring", CVPR 2017.
Published weights (github.com/SeungjunNah/DeepDeblur-PyTorch, MIT licence) exist for motion
deblurring (GOPRO, REDS): three scales of 19 blocks, pixel shuffle, pictures of 0 to 255 around
127.5 and a Gaussian pyramid. The paper takes pictures of 0 to 1 around 0.5 and a transposed
convolution; a smaller form of it has 9 blocks.

State-dict keys are the authors'. The net makes the pyramid and changes the range by itself: it
takes and gives pictures in [0, 1]. Height and width must be multiples of 2 to the number of scales
less 1, 4 in all published nets.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import check_size

COLOURS = 3
MOST_SCALES = 3
BLUR = 2 / 3
"""Standard deviation of the Gaussian pyramid's filter, in pixels."""
RADIUS = 3

_BLUR = [math.exp(-0.5 * (distance / BLUR) ** 2) for distance in range(-RADIUS, RADIUS + 1)]
TAPS = [(before + after) / (2 * sum(_BLUR)) for before, after in pairwise([0, *_BLUR, 0])]
"""The blur and the means of two pixels, in one filter for an axis."""


class ResBlock(nn.Module):
    """Two convolutions around a ReLU, added to the input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, kernel),
            nn.ReLU(inplace=True),
            _conv(channels, channels, kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y: Tensor = self.body(x)
        y += x
        return y


class ResNet(nn.Module):
    """The net of one scale."""

    def __init__(self, in_channels: int, width: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(in_channels, width, kernel),
            *(ResBlock(width, kernel) for _ in range(blocks)),
            _conv(width, COLOURS, kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 3, H, W)."""
        y: Tensor = self.body(x)
        return y


class Rise(nn.Module):
    """Double the size of a picture by pixel shuffle or by a transposed convolution."""

    def __init__(self, kernel: int, shuffle: bool) -> None:
        super().__init__()
        enlarge = (
            nn.Sequential(_conv(COLOURS, 4 * COLOURS, kernel), nn.PixelShuffle(2))
            if shuffle
            else nn.Sequential(nn.ConvTranspose2d(COLOURS, COLOURS, 3, stride=2))
        )
        self.uppath = enlarge

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 3, 2H, 2W)."""
        # The transposed convolution gives a row and a column more; TensorFlow drops the last ones.
        y: Tensor = self.uppath(x)[..., : 2 * x.shape[2], : 2 * x.shape[3]]
        return y


class DeepDeblur(nn.Module):
    """A net for the smallest picture, then one for each larger picture and what came before.

    `peak` is white in the range that the weights were trained in: 255 for the published ones, 1 for
    those of the paper. `pyramid` makes the smaller pictures: "gaussian" (blurred by 2/3 pixel and
    halved, one from the other) or "bicubic" (MATLAB's imresize of the full picture, unrounded).
    Neither leaves a trace in the weights.
    """

    def __init__(
        self,
        blocks: int = 19,
        width: int = 64,
        kernel: int = 5,
        scales: int = 3,
        shuffle: bool = True,
        peak: float = 255,
        pyramid: str = "gaussian",
    ) -> None:
        super().__init__()
        if not 1 <= scales <= MOST_SCALES or not kernel % 2 or pyramid not in PYRAMIDS or peak <= 0:
            raise ValueError(
                f"DeepDeblur needs one to {MOST_SCALES} scales, an odd kernel, a positive peak and "
                f"a pyramid out of {', '.join(PYRAMIDS)}, got scales {scales}, kernel {kernel}, "
                f"peak {peak} and pyramid {pyramid!r}"
            )
        inputs = [2 * COLOURS] * (scales - 1) + [COLOURS]
        self.body_models = nn.ModuleList(ResNet(n, width, blocks, kernel) for n in inputs)
        rises = {str(scale): Rise(kernel, shuffle) for scale in range(1, scales)}
        self.conv_end_models = nn.ModuleDict(rises)
        self.peak, self.multiple = peak, 1 << scales - 1
        self.pyramid = PYRAMIDS[pyramid]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored pictures of full, 1/2 and 1/4 size."""
        check_size("this DeepDeblur", x, self.multiple)
        return self.restore([x, *self.pyramid(x, len(self.body_models) - 1)])

    def restore(self, pictures: list[Tensor]) -> list[Tensor]:
        """Map pictures (N, 3, H, W), each half as large as the one before, to restored ones."""
        outputs: list[Tensor] = []
        for scale in reversed(range(len(self.body_models))):
            x = (pictures[scale] - 0.5) * self.peak
            if outputs:
                x = torch.cat([x, self.conv_end_models[str(scale + 1)](outputs[0])], 1)
            outputs.insert(0, self.body_models[scale](x))
        return [y / self.peak + 0.5 for y in outputs]


def _conv(inner: int, outer: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, padding=kernel // 2)


def gaussian_pyramid(x: Tensor, count: int) -> list[Tensor]:
    """Halve (N, C, H, W) `count` times, blurred before each halving; skimage's pyramid_gaussian."""
    pictures = []
    for _ in range(count):
        x = _blurred_half(x)
        pictures.append(x)
    return pictures


def bicubic_pyramid(x: Tensor, count: int) -> list[Tensor]:
    """Shrink (N, C, H, W) to 1/2, 1/4 ... as MATLAB's imresize does with floats."""
    return [_bicubic(x, 2 << step) for step in range(count)]


PYRAMIDS: Final[Mapping[str, Callable[[Tensor, int], list[Tensor]]]] = {
    "gaussian": gaussian_pyramid,
    "bicubic": bicubic_pyramid,
}


def _blurred_half(x: Tensor) -> Tensor:
    channels = x.shape[1]
    taps = x.new_tensor(TAPS).expand(channels, 1, 1, -1)
    x = F.conv2d(_mirrored(x, RADIUS), taps, stride=(1, 2), groups=channels)
    return F.conv2d(x, taps.mT, stride=(2, 1), groups=channels)


def _bicubic(x: Tensor, factor: int) -> Tensor:
    border = 2
    x = _mirrored(x, border * factor)
    size = (x.shape[2] // factor, x.shape[3] // factor)
    y = F.interpolate(x, size, mode="bicubic", antialias=True)
    return y[..., border:-border, border:-border]


def _mirrored(x: Tensor, border: int) -> Tensor:
    """Mirror (N, C, H, W) at its edges, the edge pixel repeated, as often as `border` asks for."""
    for axis in (2, 3):
        size = x.shape[axis]
        index = torch.arange(-border, size + border, device=x.device)
        # As a tensor, for ONNX has no remainder by a number that depends on the picture.
        period = torch.full_like(index[:1], 2 * size)
        index = index % period
        x = x.index_select(axis, torch.minimum(index, period - 1 - index))
    return x


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes; `peak` and `pyramid` are guessed.

    They are those of the published weights.
    """
    first = state["body_models.0.body.0.weight"]
    scales = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body_models."))
    blocks = (key for key in state if key.startswith("body_models.0."))
    enlarging = state.get("conv_end_models.1.uppath.0.weight")
    return {
        "blocks": sum(key.endswith(".body.0.weight") for key in blocks) - 1,
        "width": first.shape[0],
        "kernel": first.shape[2],
        "scales": scales,
        "shuffle": enlarging is None or enlarging.shape[0] == 4 * COLOURS,
        "peak": 255,
        "pyramid": "gaussian",
    }
