"""ConvIR: SFNet's U with kernels of several shapes in place of its filters.

Cui et al., "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024. Published
weights (github.com/c-yn/ConvIR, MIT licence) exist for dehazing, desnowing, deraining and defocus
deblurring, with 4, 8 or 16 blocks a stage (S, B and L).

State-dict keys are the authors'. The last block of a stage filters maps of 1/8, 1/4 and 1/2 of its
size, by kernels made for each picture that reach `dilations` pixels there: 7, 9 and 11, or 3, 7 and
9 for deraining. So height and width must be multiples of 32, and at least 256 (128). The kernels
are made of means over the whole picture, which have no window in the authors' code and none here.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import check_size
from restorekit.nets.sfnet import GROUPS, Conv, PictureU

MULTIPLE: Final = 32
POOLS: Final = (8, 4, 2)
DILATIONS: Final = (7, 9, 11)
ROWS: Final = -2
COLUMNS: Final = -1


class Filter(nn.Module):
    """Weigh the low frequencies, by a kernel made for each picture, and the rest.

    The kernel has three taps along each of `axes`, `reach` pixels apart.
    """

    inside_all: Tensor
    lamb_l: Tensor
    lamb_h: Tensor

    def __init__(self, channels: int, axes: tuple[int, ...], reach: int) -> None:
        super().__init__()
        self.axes = axes
        self.reach = reach
        square = len(axes) > 1
        # In the authors' order, which their state dicts keep.
        names = ["lamb_l", "lamb_h"]
        for name in [*names, "inside_all"] if square else ["inside_all", *names]:
            size = (channels,) if name in names else (channels, 1, 1)
            self.register_parameter(name, nn.Parameter(torch.zeros(size)))
        taps = GROUPS * 3 ** len(axes)
        self.conv = nn.Conv2d(channels, taps, 1, bias=False)
        # Only a kernel of two axes is normalised.
        self.bn = nn.BatchNorm2d(taps) if square else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        taps = self.bn(self.conv(x.mean((ROWS, COLUMNS), keepdim=True))).tanh()
        mean = x.mean(self.axes, keepdim=True)
        low = self._low_pass(x, taps) * (self.inside_all + 1) - self.inside_all * mean
        gain = (self.lamb_h + 1)[:, None, None]
        return low * self.lamb_l[:, None, None] + x * gain

    def _low_pass(self, x: Tensor, taps: Tensor) -> Tensor:
        margins = [self.reach * (axis in self.axes) for axis in (ROWS, COLUMNS)]
        down, right = margins
        wide = F.pad(x, (right, right, down, down), mode="reflect")
        shares = taps.view(x.shape[0], GROUPS, -1, 1, 1).repeat_interleave(x.shape[1] // GROUPS, 1)
        places = product(*(range(0, 2 * margin + 1, max(margin, 1)) for margin in margins))
        height, width = x.shape[ROWS:]
        y = torch.zeros_like(x)
        for share, (top, left) in zip(shares.unbind(2), places, strict=True):
            y = y.addcmul(share, wide[..., top : top + height, left : left + width])
        return y


class Strips(nn.Module):
    """Filter along rows, then along columns, and weigh the result against the input."""

    def __init__(self, channels: int, reach: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))
        self.beta = nn.Parameter(torch.ones(channels, 1, 1))
        self.H_spatial_att = Filter(channels, (COLUMNS,), reach)
        self.W_spatial_att = Filter(channels, (ROWS,), reach)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return self.gamma * self.W_spatial_att(self.H_spatial_att(x)) + self.beta * x


class Shapes(nn.Module):
    """Add what a square filter and strips give."""

    def __init__(self, channels: int, reach: int) -> None:
        super().__init__()
        self.square_att = Filter(channels, (ROWS, COLUMNS), reach)
        self.strip_att = Strips(channels, reach)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return self.strip_att(x) + self.square_att(x)


class Pyramid(nn.Module):
    """Filter smaller and smaller maps, the smallest first, and add them all to the input."""

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels) for _ in POOLS)
        self.dynas = nn.ModuleList(Shapes(channels, reach) for reach in dilations)
        self.conv_sum = _conv(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W), multiples of 8, to the same shape."""
        total, y = x, None
        for pool, conv, shapes in zip(POOLS, self.convs, self.dynas, strict=True):
            small = F.avg_pool2d(x, pool)
            y = shapes(conv(small if y is None else small + _enlarged(y, small)))
            total = total + _enlarged(y, x)
        out: Tensor = self.conv_sum(F.gelu(total))
        return out


class ResBlock(nn.Module):
    """Two convolutions, with the pyramid between them if `dilations` are given, and the input."""

    def __init__(self, channels: int, dilations: Sequence[int] | None) -> None:
        super().__init__()
        middle = nn.Identity() if dilations is None else Pyramid(channels, dilations)
        self.main = nn.Sequential(
            Conv(channels, channels, 3), middle, Conv(channels, channels, 3, gelu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return self.main(x) + x


class ConvIR(PictureU):
    """`base` is the width at full size; each stage has `num_res` blocks.

    `dilations` are those at 1/8, 1/4 and 1/2 of a stage's size; they leave no trace in the weights.
    """

    def __init__(
        self, base: int = 32, num_res: int = 8, dilations: Sequence[int] = DILATIONS
    ) -> None:
        if base < 1 or base % GROUPS or num_res < 1:
            raise ValueError(
                f"ConvIR needs a base that is a multiple of {GROUPS} and at least one block a "
                f"stage, got base {base} and num_res {num_res}"
            )
        if len(dilations) != len(POOLS) or min(dilations) < 1:
            raise ValueError(f"ConvIR needs {len(POOLS)} dilations, got {tuple(dilations)}")
        super().__init__(base, lambda width: _stage(width, num_res, dilations))
        # The coarsest stage sees a quarter of the picture.
        self.minimum = max(
            4 * pool * (reach + 1) for pool, reach in zip(POOLS, dilations, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored pictures of 1/4, 1/2 and full size."""
        check_size("this ConvIR", x, MULTIPLE, self.minimum)
        return super().forward(x)

    def _run(self, stage: nn.Module, x: Tensor, scale: int) -> Tensor:
        # Not a forward of the stage: calling a module keeps its input alive until the end.
        for block in stage.get_submodule("layers").children():
            x = block(x)
        return x


def _conv(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[ROWS:], mode="bilinear", align_corners=True)


def _stage(channels: int, num_res: int, dilations: Sequence[int]) -> nn.ModuleDict:
    last = num_res - 1
    blocks = (ResBlock(channels, dilations if i == last else None) for i in range(num_res))
    return nn.ModuleDict({"layers": nn.ModuleList(blocks)})


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict; the dilations are the usual ones."""
    blocks = (key for key in state if key.startswith("Encoder.0.layers."))
    return {
        "base": state["feat_extract.0.main.0.weight"].shape[0],
        "num_res": sum(key.endswith(".main.0.main.0.weight") for key in blocks),
        "dilations": DILATIONS,
    }
