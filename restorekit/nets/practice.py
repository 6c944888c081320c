"""Three small denoisers to learn with: plain, with a skip, with a skip and batch norm.

Five convolutions that turn CIFAR-10 pictures with Gaussian noise of 0.1 into clean ones, a common
exercise of courses on deep learning; there are no published weights. The form with batch norm is
sometimes written with four convolutions: `layers=4`.

State-dict keys are ours. Any height and width will do.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.nets.blocks import convolutions

# Keras' defaults, in torch's terms: there the momentum is what is kept.
_NORM_EPS = 1e-3
_NORM_MOMENTUM = 0.01


class PracticeNet(nn.Module):
    """Chain 3x3 convolutions with ReLUs between them.

    `skip` adds the noisy picture to the result; `norm` has a batch norm behind each convolution but
    the last. Raises ValueError for less than two layers.
    """

    skip: Tensor | None

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        layers: int = 5,
        skip: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"PracticeNet has at least 2 layers, got {layers}")
        chain: list[nn.Module] = []
        for inner in (in_channels, *[channels] * (layers - 2)):
            chain.append(_conv(inner, channels))
            if norm:
                chain.append(nn.BatchNorm2d(channels, eps=_NORM_EPS, momentum=_NORM_MOMENTUM))
            chain.append(nn.ReLU(inplace=True))
        self.stack = nn.Sequential(*chain, _conv(channels, in_channels))
        # A buffer, so that a bare state dict says which of the two forms it is.
        self.register_buffer("skip", torch.ones(1) if skip else None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        y = self.stack(x)
        return y if self.skip is None else y + self.skip * x


def _conv(inner: int, outer: int) -> nn.Conv2d:
    conv = nn.Conv2d(inner, outer, 3, padding=1)
    nn.init.xavier_uniform_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    weights = convolutions(state)
    channels, in_channels = weights[0].shape[:2]
    return {
        "in_channels": in_channels,
        "channels": channels,
        "layers": len(weights),
        "skip": "skip" in state,
        "norm": any(key.endswith("running_mean") for key in state),
    }
