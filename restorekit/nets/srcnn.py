"""SRCNN: three convolutions sharpen a picture enlarged by bicubic interpolation.

Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016. The paper's
weights restore brightness alone, for one scale each; ports of them to PyTorch exist under many
names and licences.

State-dict keys are those of the ports: conv1 to conv3. Any height and width will do. The scale
leaves no trace in the weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import enlarge

SCALE = 2
"""The scale that is assumed of a file that does not tell."""
LAYERS = 3


class SRCNN(nn.Module):
    """Extract patches, map them, put the picture together.

    Raises ValueError unless there are two `channels` and three odd `kernels`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        scale: int = SCALE,
        channels: Sequence[int] = (64, 32),
        kernels: Sequence[int] = (9, 5, 5),
    ) -> None:
        super().__init__()
        if len(channels) != LAYERS - 1 or len(kernels) != LAYERS or not all(k % 2 for k in kernels):
            raise ValueError(
                "SRCNN has two widths and three odd kernel sizes, "
                f"got channels {tuple(channels)}, kernels {tuple(kernels)}"
            )
        self.scale = scale
        self.conv1 = _conv(in_channels, channels[0], kernels[0])
        self.conv2 = _conv(channels[0], channels[1], kernels[1])
        self.conv3 = _conv(channels[1], in_channels, kernels[2])

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels, scale * H, scale * W)."""
        y = F.relu(self.conv1(enlarge(x, self.scale)), inplace=True)
        return self.conv3(F.relu(self.conv2(y), inplace=True))


def _conv(inner: int, outer: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, padding=kernel // 2)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes; `scale` is the default."""
    shapes = [state[f"conv{layer}.weight"].shape for layer in range(1, LAYERS + 1)]
    return {
        "in_channels": shapes[0][1],
        "scale": SCALE,
        "channels": tuple(shape[0] for shape in shapes[:-1]),
        "kernels": tuple(shape[2] for shape in shapes),
    }
