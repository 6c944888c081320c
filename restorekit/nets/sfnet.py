"""SFNet: selection of frequencies, by means and by filters made for each picture.

Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023. Published weights
(github.com/c-yn/SFNet, MIT licence) exist for dehazing, desnowing, deraining and motion
deblurring: one net and one state dict, which differ at test time only in the window of their means
(`FRACTIONS`).

State-dict keys are the authors'. Height and width must be multiples of 8, at least 16. The formulas
are theirs, the order of summation is ours: a filter that a group of channels shares is a depthwise
convolution, and the two scalings of a block are together one multiply-add.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import check_size
from restorekit.nets.tlc import LocalStatistics, Window, local_mean, spread

MULTIPLE = 8
MINIMUM = 16
GROUPS = 8
HIDDEN = 32
WIDTHS = 2 * GROUPS
"""What the width at full size is a multiple of: half of the channels go into the filters."""

FRACTIONS: Final[Mapping[str, int]] = {
    "Indoor": 246,
    "Outdoor": 210,
    "GOPRO": 80,
    "HIDE": 110,
    "RSBlur": 75,
    "CSD": 200,
}
"""The `fraction` of the authors' test-time windows; the reference picture is the first of a set.

For their other sets (SRRS, Snow100K, deraining), and always in training, means are global.
"""


class Conv(nn.Module):
    """A convolution, or with `doubles` a transposed one of stride 2, and GELU if wanted."""

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int,
        stride: int = 1,
        *,
        doubles: bool = False,
        gelu: bool = True,
    ) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if doubles else nn.Conv2d
        padding = kernel // 2 - 1 if doubles else kernel // 2
        self.main = nn.Sequential(kind(inner, outer, kernel, stride, padding))
        self.gelu = gelu

    def forward(self, x: Tensor, side: Tensor | None = None) -> Tensor:
        """Map `x`, or the concatenation of `x` and `side`, which is never made."""
        y: Tensor = self.main(x) if side is None else self._join(x, side)
        return _gelu(y) if self.gelu else y

    def _join(self, x: Tensor, side: Tensor) -> Tensor:
        weight, bias = self.main.get_parameter("0.weight"), self.main.get_parameter("0.bias")
        padding, channels = weight.shape[-1] // 2, x.shape[1]
        y = F.conv2d(x, weight[:, :channels], bias, padding=padding)
        y += F.conv2d(side, weight[:, channels:], padding=padding)
        return y


class Gap(nn.Module):
    """Scale the mean of a channel and what deviates from it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fscale_d = nn.Parameter(torch.zeros(channels))
        self.fscale_h = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, window: Window | None) -> tuple[Tensor, Tensor]:
        """Give the gain and the shift of (N, C, H, W); the shift still lacks its borders."""
        gain = (self.fscale_h + 1)[:, None, None]
        return gain, local_mean(x, window) * (self.fscale_d[:, None, None] - gain)


class PatchGap(nn.Module):
    """Scale the mean of each quadrant of a channel and what deviates from it."""

    AXES = (-3, -1)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.h = nn.Parameter(torch.zeros(4 * channels))
        self.l = nn.Parameter(torch.zeros(4 * channels))

    def forward(self, x: Tensor, window: Window | None) -> tuple[Tensor, Tensor]:
        """Give the gain and the shift of quadrants (N, C, 2, H/2, 2, W/2), as `Gap` does."""
        gain, low = (scale.view(-1, 2, 1, 2, 1) for scale in (self.h, self.l))
        half = window and (max(window[0] // 2, 1), max(window[1] // 2, 1))
        return gain, local_mean(x, half, self.AXES) * (low - gain)


class Modulator(nn.Module):
    """Weigh the low and the high frequencies of all channels against each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 2, HIDDEN)
        self.fc = nn.Conv2d(channels, hidden, 1)
        self.fcs = nn.ModuleList(nn.Conv2d(hidden, channels, 1) for _ in range(2))
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, low: Tensor, window: Window | None) -> Tensor:
        """Map `x` (N, C, H, W) and its low frequencies to the same shape."""
        on_high, on_low = self._weights(local_mean(x, window).to(x.dtype)).chunk(2, 1)
        extent = x[:, :, :1] if on_low.shape[2] == 1 else x
        y = x * spread(on_high, torch.empty_like(extent))
        y.addcmul_(low, spread(on_low - on_high, torch.empty_like(extent)))
        out: Tensor = self.out(y)
        return out

    def _weights(self, means: Tensor) -> Tensor:
        code = self.fc(means)
        # One softmax over both halves: all channels compete, not the two weights of a channel.
        return torch.cat([branch(code) for branch in self.fcs], 1).softmax(1)


class DynamicFilter(nn.Module):
    """Filter each picture with low-pass kernels made from it, one for an eighth of the channels."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        # Nothing uses these two, but the published state dicts have them.
        self.lamb_l = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.lamb_h = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.conv = nn.Conv2d(channels, GROUPS * kernel**2, 1, bias=False)
        self.bn = nn.BatchNorm2d(GROUPS * kernel**2)
        self.modulate = Modulator(channels)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, window: Window | None) -> Tensor:
        """Map (N, C, H, W) to the same shape; training takes batches of two and more."""
        y: Tensor = self.modulate(x, self._low_pass(x), window)
        return y

    def _low_pass(self, x: Tensor) -> Tensor:
        size, margin = self.kernel, self.kernel // 2
        taps = self.bn(self.conv(local_mean(x, None).to(x.dtype)))
        kernels = taps.view(-1, 1, size**2).softmax(2).view(-1, 1, size, size)
        kernels = kernels.repeat_interleave(x.shape[1] // GROUPS, 0)
        # The samples of a batch have kernels of their own, as channels have: they become channels.
        padded = F.pad(x, (margin,) * 4, mode="reflect").flatten(0, 1)[None]
        return F.conv2d(padded, kernels, groups=len(kernels)).unflatten(1, x.shape[:2])[0]


class ResBlock(nn.Module):
    """Two convolutions with the scalings between them, added to the input."""

    def __init__(self, channels: int, filters: bool) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = Conv(channels, channels, 3)
        self.conv2 = Conv(channels, channels, 3, gelu=False)
        self.filters = filters
        if filters:
            self.dyna = DynamicFilter(half, 3)
            self.dyna_2 = DynamicFilter(half, 5)
        self.localap = PatchGap(half)
        self.global_ap = Gap(half)

    def forward(self, x: Tensor, window: Window | None) -> Tensor:
        """Map (N, C, H, W) to the same shape; means are global if `window` is None."""
        y = self.conv1(x)
        if self.filters:
            first, second = y.chunk(2, 1)
            y = torch.cat([self.dyna(first, window), self.dyna_2(second, window)], 1)
        y = self.conv2(self._scale(y, window))
        y += x
        return y

    def _scale(self, y: Tensor, window: Window | None) -> Tensor:
        first, second = y.chunk(2, 1)
        gains, shifts = zip(
            self.global_ap(first, window), self.localap(_quadrants(second), window), strict=True
        )
        rows = y[:, :, :2]
        gain = _fill(torch.empty_like(rows[:1]), *gains)
        shift = _fill(torch.empty_like(rows if window is None else y), *shifts)
        return _multiply_add(y, gain, shift)


class SideFeatures(nn.Module):
    """Features of the picture at a smaller scale, normalised over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            Conv(3, channels // 4, 3),
            Conv(channels // 4, channels // 2, 1),
            Conv(channels // 2, channels // 2, 3),
            Conv(channels // 2, channels, 1, gelu=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, channels, H, W)."""
        y: Tensor = self.main(x)
        return y


class PictureU(nn.Module):
    """A U of three scales with 1/2, 1/4 and full pictures at both ends.

    `base` is the width at full size, a multiple of 4; `stage` makes a stage of a width.
    """

    def __init__(self, base: int, stage: Callable[[int], nn.Module]) -> None:
        super().__init__()
        one, two, four = base, 2 * base, 4 * base
        self.Encoder = nn.ModuleList(stage(width) for width in (one, two, four))
        self.feat_extract = nn.ModuleList(
            [
                Conv(3, one, 3),
                Conv(one, two, 3, 2),
                Conv(two, four, 3, 2),
                Conv(four, two, 4, 2, doubles=True),
                Conv(two, one, 4, 2, doubles=True),
                Conv(one, 3, 3, gelu=False),
            ]
        )
        self.Decoder = nn.ModuleList(stage(width) for width in (four, two, one))
        self.Convs = nn.ModuleList([Conv(four, two, 1), Conv(two, one, 1)])
        self.ConvsOut = nn.ModuleList([Conv(four, 3, 3, gelu=False), Conv(two, 3, 3, gelu=False)])
        self.FAM1 = nn.ModuleDict({"merge": Conv(2 * four, four, 3, gelu=False)})
        self.SCM1 = SideFeatures(four)
        self.FAM2 = nn.ModuleDict({"merge": Conv(2 * two, two, 3, gelu=False)})
        self.SCM2 = SideFeatures(two)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored pictures of 1/4, 1/2 and full size."""
        x2, x4 = x[..., ::2, ::2], x[..., ::4, ::4]
        skips = [self._run(self.Encoder[0], self.feat_extract[0](x), 1)]
        y = self.FAM2["merge"](self.feat_extract[1](skips[0]), self.SCM2(x2))
        skips.append(self._run(self.Encoder[1], y, 2))
        y = self.FAM1["merge"](self.feat_extract[2](skips[1]), self.SCM1(x4))
        y = self._run(self.Decoder[0], self._run(self.Encoder[2], y, 4), 4)
        quarter = self.ConvsOut[0](y) + x4
        y = self._run(self.Decoder[1], self._rise(0, y, skips.pop()), 2)
        half = self.ConvsOut[1](y) + x2
        y = self._run(self.Decoder[2], self._rise(1, y, skips.pop()), 1)
        return [quarter, half, self.feat_extract[5](y) + x]

    @abstractmethod
    def _run(self, stage: nn.Module, x: Tensor, scale: int) -> Tensor:
        """Run a stage on maps of 1/`scale` of the picture's size."""

    def _rise(self, step: int, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.Convs[step](self.feat_extract[3 + step](x), skip)
        return y


class SFNet(PictureU):
    """Blocks that weigh frequencies in a U of three scales.

    `base` is the width at full size, a multiple of 16; each stage has `num_res` blocks. Means are
    global unless `statistics` is set; setting it changes no weights, and no picture changes it.
    """

    statistics: LocalStatistics | None

    def __init__(self, base: int = 32, num_res: int = 16) -> None:
        if base < 1 or base % WIDTHS or num_res < 1:
            raise ValueError(
                f"SFNet needs a base that is a multiple of {WIDTHS} and at least one block "
                f"a stage, got base {base} and num_res {num_res}"
            )
        super().__init__(base, lambda width: _stage(width, num_res))
        self.statistics = None

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored pictures of 1/4, 1/2 and full size."""
        check_size("SFNet", x, MULTIPLE, MINIMUM)
        return super().forward(x)

    def _run(self, stage: nn.Module, x: Tensor, scale: int) -> Tensor:
        window = self.statistics and self.statistics.window(scale)
        # Not a forward of the stage: calling a module keeps its input alive until the end.
        for block in stage.get_submodule("layers").children():
            x = block(x, window)
        return x


def _stage(channels: int, num_res: int) -> nn.ModuleDict:
    """A chain of blocks, of which the last one filters."""
    blocks = (ResBlock(channels, filters=block == num_res - 1) for block in range(num_res))
    return nn.ModuleDict({"layers": nn.ModuleList(blocks)})


def _gelu(x: Tensor) -> Tensor:
    # A fresh map of a large picture costs more time, in page faults, than what is written to it:
    # where no gradient needs the old one, it is overwritten.
    y: Tensor = F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)
    return y


def _multiply_add(y: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Take y * gain + shift; factors of two rows hold one for each vertical half."""
    halves, gain, shift = (factor.unflatten(2, (2, -1)) for factor in (y, gain, shift))
    into = None if torch.is_grad_enabled() else halves
    return torch.addcmul(shift, halves, gain, out=into).flatten(2, 3)


def _fill(onto: Tensor, whole: Tensor, cut: Tensor) -> Tensor:
    """Write the factors of whole channels and those of quadrants into the halves of a map."""
    half = onto.shape[1] // 2
    spread(whole, onto[:, :half])
    spread(cut, _quadrants(onto[:, half:]), PatchGap.AXES)
    return onto


def _quadrants(x: Tensor) -> Tensor:
    """View (N, C, H, W) as (N, C, 2, H/2, 2, W/2)."""
    return x.unflatten(3, (2, -1)).unflatten(2, (2, -1))


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    blocks = (key for key in state if key.startswith("Encoder.0."))
    return {
        "base": state["feat_extract.0.main.0.weight"].shape[0],
        "num_res": sum(key.endswith(".conv1.main.0.weight") for key in blocks),
    }
