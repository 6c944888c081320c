"""A net that corrects what a classical method gives, and starts as that method.

After the residual nets of Kim et al. (VDSR, CVPR 2016) and Zhang et al. (DnCNN, TIP 2017), with any
method as the first stage. The last layer is zero at the start, so that the untrained net equals the
method, and training can only be told to improve on it.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.classical import deblur, denoise, resize, weather
from restorekit.classical.base import Method

METHODS: Mapping[str, Method] = {
    name.replace("_", "-"): method
    for place in (resize, denoise, deblur, weather)
    for name, method in vars(place).items()
    if isinstance(method, Method)
}


class Refinement(nn.Module):
    """Add what `layers` convolutions find in the result of a method.

    `method` is the name of a method, whose parameters are the default ones; `scale` is for those
    that enlarge. No gradient passes the method. Raises ValueError for an unknown method, a scale
    that it does not have, and less than two layers.
    """

    first: Tensor

    def __init__(
        self,
        method: str = "median",
        scale: int = 1,
        in_channels: int = 3,
        channels: int = 64,
        layers: int = 8,
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"the refinement has at least 2 layers, got {layers}")
        self.method = _stage(method, scale)
        # A buffer, so that a bare state dict says what the first stage is.
        name = list(f"{method}-x{scale}".encode())
        self.register_buffer("first", torch.tensor(name, dtype=torch.uint8))
        widths = [in_channels, *[channels] * (layers - 1), in_channels]
        chain: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            chain += [nn.Conv2d(inner, outer, 3, padding=1), nn.ReLU(inplace=True)]
        self.refine = nn.Sequential(*chain[:-1])
        for weight in self.refine[-1].parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, in_channels, scale * H, scale * W)."""
        y: Tensor = self.method(x)
        return y + self.refine(y)


def _stage(name: str, scale: int) -> nn.Module:
    if name not in METHODS:
        raise ValueError(f"no method '{name}'; there are {', '.join(METHODS)}")
    method = METHODS[name]
    scales = "scale" in method.model.model_fields
    if scale != 1 and not scales:
        raise ValueError(f"{name} does not enlarge, got scale {scale}")
    return method(scale=scale) if scales else method()


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    method, _, scale = bytes(state["first"].tolist()).decode().rpartition("-x")
    channels, in_channels = state["refine.0.weight"].shape[:2]
    return {
        "method": method,
        "scale": int(scale),
        "in_channels": in_channels,
        "channels": channels,
        "layers": sum(value.ndim == 4 for value in state.values()),
    }
