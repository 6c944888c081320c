"""GuidedUNet: sees the whole picture made small, and brings what it did there to the full size.

How far a haze or a darkness goes cannot be told from a part of a picture: thin haze over a near
wall and a pale wall without haze look alike. So a U-Net restores a reduced copy, and a guided
filter finds, for every place, the line J = a I + b by which the small picture became the restored
one (He and Sun, "Fast Guided Filter", 2015; inside of a net: Wu et al., "Fast End-to-End Trainable
Guided Filter", CVPR 2018). The lines are interpolated to the picture's size and applied to each of
its pixels. So nothing is blurred, what the net leaves alone stays as it is to the bit, and tiles
agree as long as they share what the net saw of the whole. Haze is such a line of slope 1/t
(Koschmieder's law), the light of a lamp one through the origin; noise and blur are none.

With `dark` the U-Net is also told the dark channel of the small picture (He et al., CVPR 2009): how
dark the darkest is within some windows and at all. Without haze there is black nearly everywhere.

With `shrinkage` a change that is small in the whole picture is made smaller still: what a picture
without haze seems to need is small, what haze needs is not. Where s is the shrinkage, of a change
of root mean square m a share of m^4 / (m^4 + s^4) is left.

The U-Net is a DRUNet that adds its output, with its keys. Any height and width will do.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from restorekit.nets.drunet import DRUNet
from restorekit.nets.drunet import infer_config as infer_drunet
from restorekit.nets.overview import SIDE, Overview, side_buffer

RADIUS = 4
"""Of the windows of the guided filter, in pixels of the small picture."""
STEEPEST = 9.0
"""The most that is added to a slope: a tenth of the light is left of what is ten times steeper."""
FLAT = 3e-4
"""Variance below which a window counts as flat and its line keeps the slope of the picture."""
NO_CHANGE = 1e-18
"""Fourth power that a change of nothing counts as, so that no shrinkage leaves it as it is."""
DARK = (5, 15, 45)
"""Windows of the dark channels, in pixels of the small picture; one more is of all of it."""


class GuidedUNet(Overview, DRUNet):
    """Restores a reduced copy of a picture and changes the picture in the same way.

    `widths` and `blocks` are DRUNet's, `side` the longer side of the small picture in pixels; with
    `dark` the U-Net is told the dark channels. `shrinkage` is the root mean square of a picture's
    change, in 1/255, of which half is left; 0 leaves changes as they are. Raises ValueError for a
    `side` below 8 and a `shrinkage` below 0.
    """

    shrinkage: Tensor

    def __init__(
        self,
        widths: Sequence[int] = (16, 48, 96, 160),
        blocks: int = 2,
        side: int = SIDE,
        dark: bool = False,
        shrinkage: float = 0.0,
    ) -> None:
        if shrinkage < 0:
            raise ValueError(f"the shrinkage is 0 or more, not {shrinkage}")
        channels = 3 + (len(DARK) + 1) * dark
        super().__init__(channels, 3, widths, blocks, residual=True, bias=True)
        self.dark = dark
        self.register_buffer("side", side_buffer(side))
        # Kept where it does something, so that files from before it existed are whole.
        half = torch.full((1,), float(shrinkage))
        self.register_buffer("shrinkage", half, persistent=shrinkage > 0)

    def overview(self, small: Tensor) -> Tensor:
        """Restore the small picture (N, 3, h, w); return the lines (N, 6, h, w) of its change.

        Of the three channels first what is added to the slopes, a - 1, then the offsets b.
        """
        small = small.float()
        told = torch.cat([small, *_dark_channels(small)], 1) if self.dark else small
        change = DRUNet.forward(self, told).float() - small
        mean, mean_change = _box_mean(small), _box_mean(change)
        covariance = _box_mean(small * change) - mean * mean_change
        variance = _box_mean(small * small) - mean * mean
        slopes = (covariance / (variance + FLAT)).clamp(-1, STEEPEST)
        offsets = mean_change - slopes * mean
        return self.shrunk(small, _box_mean(torch.cat([slopes, offsets], 1)))

    def shrunk(self, small: Tensor, lines: Tensor) -> Tensor:
        """Make lines (N, 6, h, w) flatter that change their picture (N, 3, h, w) but little."""
        change = self.follow(small, lines) - small
        power = change.square().mean((1, 2, 3), keepdim=True).square() + NO_CHANGE
        return lines * (power / (power + (self.shrinkage.float() / 255) ** 4))

    def follow(self, x: Tensor, seen: Tensor) -> Tensor:
        """Change pixels (N, 3, H, W) by their lines (N, 6, H, W)."""
        slopes, offsets = seen.chunk(2, 1)
        return x + slopes * x + offsets


def _dark_channels(x: Tensor) -> Iterator[Tensor]:
    """Yield the least of the channels within each window, (N, 1, H, W) each, then of the whole."""
    least = x.amin(1, keepdim=True)
    for window in DARK:
        yield -F.max_pool2d(-least, window, 1, window // 2)
    yield least.amin((2, 3), keepdim=True).expand_as(least)


def _box_mean(x: Tensor) -> Tensor:
    # Rows, then columns: a fifth of the work of one square window.
    window = 2 * RADIUS + 1
    rows = F.avg_pool2d(x, (window, 1), 1, (RADIUS, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, window), 1, (0, RADIUS), count_include_pad=False)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict."""
    inner = infer_drunet(state)
    return {
        "widths": inner["widths"],
        "blocks": inner["blocks"],
        "side": int(state["side"]),
        "dark": inner["in_channels"] > 3,
        "shrinkage": float(state.get("shrinkage", 0.0)),
    }
