"""FSNet: SFNet whose stages at full size are small U-nets themselves.

Cui et al., "Image Restoration via Frequency Selection", TPAMI 2024. Published weights
(github.com/c-yn/FSNet, MIT licence) exist for dehazing, desnowing and motion deblurring. The window
of their means is SFNet's: 210/256 for outdoor haze, 80/256 for motion, else the whole picture.

State-dict keys are the authors'. Height and width must be multiples of 8, at least 16.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.sfnet import ResBlock, SFNet
from restorekit.nets.tlc import LocalStatistics

QUARTERS = 4


class SmallU(nn.Module):
    """A chain of blocks of which the middle half works at half size."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ResBlock(channels, filters=block == blocks - 1) for block in range(blocks)
        )
        self.down = nn.Conv2d(channels, channels, 2, stride=2, groups=channels)
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, statistics: LocalStatistics | None) -> Tensor:
        """Map (N, C, H, W) to the same shape; means are global if `statistics` is None."""
        quarter = len(self.layers) // QUARTERS
        wide = self._chain(x, 0, quarter, statistics, 1)
        y = self._chain(self.down(wide), quarter, -quarter, statistics, 2)
        y = F.interpolate(y, scale_factor=2, mode="bilinear")
        y = self._chain(self.conv(torch.cat([y, wide], 1)), -quarter, None, statistics, 1)
        return y + x

    def _chain(
        self, x: Tensor, first: int, end: int | None, statistics: LocalStatistics | None, scale: int
    ) -> Tensor:
        window = statistics and statistics.window(scale)
        for block in list(self.layers)[first:end]:
            x = block(x, window)
        return x


class FSNet(SFNet):
    """SFNet with a small U in place of the first and of the last stage.

    `base` is the width at full size, a multiple of 16; each stage has `num_res` blocks, 4 or more.
    Means are global unless `statistics` is set.
    """

    def __init__(self, base: int = 32, num_res: int = 16) -> None:
        super().__init__(base, num_res)
        if num_res < QUARTERS:
            raise ValueError(f"FSNet needs at least {QUARTERS} blocks a stage, got {num_res}")
        self.Encoder[0] = nn.ModuleDict({"layers": SmallU(base, num_res)})
        self.Decoder[2] = nn.ModuleDict({"layers": SmallU(base, num_res)})

    def _run(self, stage: nn.Module, x: Tensor, scale: int) -> Tensor:
        layers = stage.get_submodule("layers")
        if isinstance(layers, SmallU):
            y: Tensor = layers(x, self.statistics)
            return y
        return super()._run(stage, x, scale)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    blocks = (key for key in state if key.startswith("Encoder.1."))
    return {
        "base": state["feat_extract.0.main.0.weight"].shape[0],
        "num_res": sum(key.endswith(".conv1.main.0.weight") for key in blocks),
    }
