"""VDSR: twenty convolutions add detail to a picture enlarged by bicubic interpolation.

Kim et al., "Accurate Image Super-Resolution Using Very Deep Convolutional Networks", CVPR 2016. The
paper's weights restore brightness alone, for scales 2, 3 and 4 at once.

State-dict keys are those of the port twtygqyy/pytorch-vdsr (MIT licence), which has no biases. Any
height and width will do. The scale leaves no trace in the weights.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from restorekit.nets.blocks import enlarge
from restorekit.nets.srcnn import SCALE


class ConvReLU(nn.Module):
    """A 3x3 convolution without bias and a ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv(channels, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return self.relu(self.conv(x))


class VDSR(nn.Module):
    """Add what `layers` convolutions find to the enlarged picture.

    The scale is `scale`, which may be set at any time. Raises ValueError for less than two layers.
    """

    def __init__(
        self, in_channels: int = 1, scale: int = SCALE, channels: int = 64, layers: int = 20
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"VDSR has at least 2 layers, got {layers}")
        self.scale = scale
        self.residual_layer = nn.Sequential(*(ConvReLU(channels) for _ in range(layers - 2)))
        self.input = _conv(in_channels, channels)
        self.output = _conv(channels, in_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels, scale * H, scale * W)."""
        enlarged = enlarge(x, self.scale)
        return enlarged + self.output(self.residual_layer(self.relu(self.input(enlarged))))


def _conv(inner: int, outer: int) -> nn.Conv2d:
    conv = nn.Conv2d(inner, outer, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes; `scale` is the default."""
    channels, in_channels = state["input.weight"].shape[:2]
    between = sum(key.startswith("residual_layer.") for key in state)
    return {
        "in_channels": in_channels,
        "scale": SCALE,
        "channels": channels,
        "layers": between + 2,
    }
