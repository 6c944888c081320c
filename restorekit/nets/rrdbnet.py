"""RRDBNet: the generator of ESRGAN, dense blocks within residual blocks.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018, and
Wang et al., "Real-ESRGAN", ICCVW 2021, whose nets for scales 1 and 2 fold the picture first.
Published weights: xinntao/ESRGAN and BasicSR (Apache-2.0), Real-ESRGAN (BSD-3-Clause).

State-dict keys are BasicSR's; `adopt` takes the two layouts of xinntao/ESRGAN. Height and width
must be multiples of `unshuffle`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
RESIDUAL = 0.2
DENSE_CONVS = 5

Renames = Sequence[tuple[str, str]]

_EARLY = (
    (r"^model\.0\.", "conv_first."),
    (r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"^model\.1\.sub\.\d+\.(weight|bias)$", r"conv_body.\1"),
)
_LATER = (
    (r"^RRDB_trunk\.(\d+)\.RDB", r"body.\1.rdb"),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the input and all results before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for index in range(DENSE_CONVS):
            outer = growth if index < DENSE_CONVS - 1 else channels
            conv = _conv(channels + index * growth, outer)
            # So small that a deep net starts near the identity.
            nn.init.kaiming_normal_(conv.weight).data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(f"conv{index + 1}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        seen = x
        for index in range(1, DENSE_CONVS):
            seen = torch.cat([seen, _activate(self.get_submodule(f"conv{index}")(seen))], 1)
        return x + RESIDUAL * self.get_submodule(f"conv{DENSE_CONVS}")(seen)


class ResidualInResidual(nn.Module):
    """Three dense blocks, added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth)
        self.rdb2 = DenseBlock(channels, growth)
        self.rdb3 = DenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """Blocks at one size, then doublings up to `scale` times the size of the picture.

    `unshuffle` folds squares of pixels into channels first; Real-ESRGAN's nets have 2 for scale 2
    and 4 for scale 1. Raises ValueError unless scale times `unshuffle` is a power of two.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 23,
        growth: int = 32,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        self.doublings = (scale * unshuffle).bit_length() - 1
        if scale * unshuffle != 2**self.doublings:
            raise ValueError(
                f"RRDBNet doubles, so scale times unshuffle is a power of two, not {scale} times "
                f"{unshuffle}"
            )
        self.conv_first = _conv(in_channels * unshuffle**2, channels)
        self.body = nn.Sequential(*(ResidualInResidual(channels, growth) for _ in range(blocks)))
        self.conv_body = _conv(channels, channels)
        for index in range(self.doublings):
            self.add_module(f"conv_up{index + 1}", _conv(channels, channels))
        self.conv_hr = _conv(channels, channels)
        self.conv_last = _conv(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, scale * H, scale * W)."""
        y = self.conv_first(F.pixel_unshuffle(x, self.unshuffle))
        y = y + self.conv_body(self.body(y))
        for index in range(self.doublings):
            y = F.interpolate(y, scale_factor=2, mode="nearest")
            y = _activate(self.get_submodule(f"conv_up{index + 1}")(y))
        return self.conv_last(_activate(self.conv_hr(y)))


def _conv(inner: int, outer: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, padding=1)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE, inplace=True)


def adopt(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Rename the keys of the early and the later layout of xinntao/ESRGAN."""
    if "RRDB_trunk.0.RDB1.conv1.weight" in state:
        return _renamed(state, _LATER)
    if "model.1.sub.0.RDB1.conv1.0.weight" in state:
        return _renamed(state, [*_EARLY, *_early_tail(state)])
    return state


def _early_tail(state: Mapping[str, Tensor]) -> Renames:
    """Name what follows the blocks: any number of doublings, then two convolutions."""
    indices = sorted({int(key.split(".")[1]) for key in state} - {0, 1})
    names = [f"conv_up{number}" for number in range(1, len(indices) - 1)]
    return [
        (rf"^model\.{index}\.", f"{name}.")
        for index, name in zip(indices, [*names, "conv_hr", "conv_last"], strict=True)
    ]


def _renamed(state: Mapping[str, Tensor], renames: Renames) -> dict[str, Tensor]:
    return {_rename(key, renames): value for key, value in state.items()}


def _rename(key: str, renames: Renames) -> str:
    for pattern, name in renames:
        renamed, count = re.subn(pattern, name, key)
        if count:
            return renamed
    return key


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    channels, folded = state["conv_first.weight"].shape[:2]
    out_channels = state["conv_last.weight"].shape[0]
    doublings = sum(k.startswith("conv_up") and k.endswith(".weight") for k in state)
    # Folded or not, a picture goes in with as many channels as come out.
    unshuffle = math.isqrt(folded // out_channels)
    return {
        "in_channels": folded // unshuffle**2,
        "out_channels": out_channels,
        "scale": 2**doublings // unshuffle,
        "channels": channels,
        "blocks": len({key.split(".")[1] for key in state if key.startswith("body.")}),
        "growth": state["body.0.rdb1.conv1.weight"].shape[0],
        "unshuffle": unshuffle,
    }
