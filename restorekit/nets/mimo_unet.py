"""MIMO-UNet: one U-Net with pictures of three sizes at both ends.

Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring", ICCV 2021. Published
weights (github.com/chosj95/MIMO-UNet, no licence file) exist for motion deblurring; MIMO-UNet+ is
the net with 20 blocks a stage.

State-dict keys are the authors'. Height and width must be multiples of 4. The formulas are theirs,
the order of summation is ours: a pointwise convolution of several maps is a sum of convolutions,
each taken at the size of its own map before that is enlarged.
"""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import check_size

MULTIPLE = 4


class Conv(nn.Module):
    """A convolution, or with `doubles` a transposed one of stride 2, and ReLU if wanted."""

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int,
        stride: int = 1,
        *,
        doubles: bool = False,
        relu: bool = True,
    ) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if doubles else nn.Conv2d
        padding = kernel // 2 - 1 if doubles else kernel // 2
        self.main = nn.Sequential(kind(inner, outer, kernel, stride, padding))
        self.relu = relu

    def forward(self, *maps: Tensor) -> Tensor:
        """Map (N, inner, H, W) to (N, outer, H, W), halved by a stride of 2.

        Of several maps, those smaller than the first enlarged, a 1x1 convolution maps the
        concatenation, which is never made.
        """
        y: Tensor = self.main(*maps) if len(maps) == 1 else self._join(*maps)
        return y.relu_() if self.relu else y

    def _join(self, first: Tensor, *others: Tensor) -> Tensor:
        weight, bias = self.main.get_parameter("0.weight"), self.main.get_parameter("0.bias")
        part, *parts = weight.split([x.shape[1] for x in (first, *others)], 1)
        y = F.conv2d(first, part, bias)
        for x, part in zip(others, parts, strict=True):
            z = F.conv2d(x, part)
            y += z if z.shape == y.shape else F.interpolate(z, y.shape[2:])
        return y


class ResBlock(nn.Module):
    """Two 3x3 convolutions around a ReLU, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            Conv(channels, channels, 3), Conv(channels, channels, 3, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y: Tensor = self.main(x)
        y += x
        return y


class Stage(nn.Module):
    """A chain of residual blocks."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(ResBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y: Tensor = self.layers(x)
        return y


class SideFeatures(nn.Module):
    """Features of the picture at a smaller size, three of them its own channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            Conv(3, channels // 4, 3),
            Conv(channels // 4, channels // 2, 1),
            Conv(channels // 2, channels // 2, 3),
            Conv(channels // 2, channels - 3, 1),
        )
        self.conv = Conv(channels, channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, channels, H, W)."""
        y: Tensor = self.conv(x, self.main(x))
        return y


class Merge(nn.Module):
    """Add what the features of two sources have in common."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.merge = Conv(channels, channels, 3, relu=False)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        """Map two (N, C, H, W) to one."""
        y: Tensor = self.merge(x * side)
        y += x
        return y


class Fusion(nn.Module):
    """A skip connection from all three encoder stages."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(Conv(inner, outer, 1), Conv(outer, outer, 3, relu=False))

    def forward(self, *maps: Tensor) -> Tensor:
        """Map features of three sizes, the first as large as the result, to (N, outer, H, W)."""
        y: Tensor = self.conv[1](self.conv[0](*maps))
        return y


class MIMOUNet(nn.Module):
    """A U of three scales with 1/4, 1/2 and full pictures at both ends.

    `base` is the width at full size, a multiple of 4; each stage has `num_res` blocks: 8, or 20 in
    MIMO-UNet+.
    """

    def __init__(self, base: int = 32, num_res: int = 8) -> None:
        super().__init__()
        if base < 4 or base % 4 or num_res < 1:
            raise ValueError(
                f"MIMO-UNet needs a base that is a multiple of 4 and at least one block a stage, "
                f"got base {base} and num_res {num_res}"
            )
        one, two, four = base, 2 * base, 4 * base
        self.Encoder = nn.ModuleList(Stage(width, num_res) for width in (one, two, four))
        self.feat_extract = nn.ModuleList(
            [
                Conv(3, one, 3),
                Conv(one, two, 3, 2),
                Conv(two, four, 3, 2),
                Conv(four, two, 4, 2, doubles=True),
                Conv(two, one, 4, 2, doubles=True),
                Conv(one, 3, 3, relu=False),
            ]
        )
        self.Decoder = nn.ModuleList(Stage(width, num_res) for width in (four, two, one))
        self.Convs = nn.ModuleList([Conv(four, two, 1), Conv(two, one, 1)])
        self.ConvsOut = nn.ModuleList([Conv(four, 3, 3, relu=False), Conv(two, 3, 3, relu=False)])
        self.AFFs = nn.ModuleList(Fusion(one + two + four, width) for width in (one, two))
        self.FAM1, self.SCM1 = Merge(four), SideFeatures(four)
        self.FAM2, self.SCM2 = Merge(two), SideFeatures(two)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored pictures of 1/4, 1/2 and full size."""
        check_size("MIMO-UNet", x, MULTIPLE)
        half, quarter = x[..., ::2, ::2], x[..., ::4, ::4]
        one, two, y = self._encode(x, half, quarter)
        wide = self.AFFs[0](one, two, y)
        narrow = self.AFFs[1](one[..., ::2, ::2], two, y)
        y = self.Decoder[0](y)
        outputs = [self.ConvsOut[0](y) + quarter]
        y = self.Decoder[1](self.Convs[0](self.feat_extract[3](y), narrow))
        outputs.append(self.ConvsOut[1](y) + half)
        y = self.Decoder[2](self.Convs[1](self.feat_extract[4](y), wide))
        return [*outputs, self.feat_extract[5](y) + x]

    def _encode(self, x: Tensor, half: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the features of full, half and quarter size."""
        one = self.Encoder[0](self.feat_extract[0](x))
        two = self.Encoder[1](self.FAM2(self.feat_extract[1](one), self.SCM2(half)))
        four = self.Encoder[2](self.FAM1(self.feat_extract[2](two), self.SCM1(quarter)))
        return one, two, four


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    blocks = (key for key in state if key.startswith("Encoder.0.layers."))
    return {
        "base": state["feat_extract.0.main.0.weight"].shape[0],
        "num_res": sum(key.endswith(".main.0.main.0.weight") for key in blocks),
    }
