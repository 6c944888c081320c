"""PReNet: one small residual net, applied to the rainy picture stage after stage.

Ren et al., "Progressive Image Deraining Networks: A Better and Simpler Baseline", CVPR 2019.
Published weights (github.com/csdwren/PReNet, no licence stated) exist for PReNet, for PRN, which
has no recurrent layer, and for forms of both (`_r`) whose five blocks are the same one.

State-dict keys are the authors'. Any height and width will do. Two things leave no trace in the
weights: the number of stages, six in the paper, and `late`, the form of the weights for real rain.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES = 6
BLOCKS = 5

Memory = tuple[Tensor, Tensor]
"""What the recurrent layer hands from stage to stage: hidden features and cell."""


class PReNet(nn.Module):
    """Estimate the clean picture `stages` times, from the rainy one and the estimate before.

    `recurrent` has a convolutional LSTM remember features between stages; `recursive` makes all
    blocks one. With `late`, the LSTM stands behind the blocks and its features become the picture,
    not what is to be added to the rainy one: the authors' weights for real rain, which have 4
    stages. Raises ValueError for less than one stage, or for `late` without `recurrent`.
    """

    def __init__(
        self,
        stages: int = STAGES,
        recurrent: bool = True,
        recursive: bool = False,
        late: bool = False,
        channels: int = 32,
    ) -> None:
        super().__init__()
        if stages < 1 or (late and not recurrent):
            raise ValueError(
                "PReNet needs at least one stage, and late needs recurrent; "
                f"got stages {stages}, late {late}, recurrent {recurrent}"
            )
        self.stages = stages
        self.recurrent = recurrent
        self.late = late
        self.conv0 = _conv(6, channels, nn.ReLU(inplace=True))
        for block in range(1, 2 if recursive else BLOCKS + 1):
            self.add_module(f"res_conv{block}", _residual(channels))
        self.blocks = [f"res_conv{1 if recursive else block}" for block in range(1, BLOCKS + 1)]
        if recurrent:
            self.conv_i = _conv(2 * channels, channels, nn.Sigmoid())
            self.conv_f = _conv(2 * channels, channels, nn.Sigmoid())
            self.conv_g = _conv(2 * channels, channels, nn.Tanh())
            self.conv_o = _conv(2 * channels, channels, nn.Sigmoid())
        self.conv = _conv(channels, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the estimates of all stages, the last of which is the result."""
        estimates = [x]
        memory: Memory | None = None
        for _ in range(self.stages):
            y = self.conv0(torch.cat([x, estimates[-1]], 1))
            if self.recurrent and not self.late:
                y, _ = memory = self._remember(y, memory)
            y = self._refine(y)
            if self.late:
                y, _ = memory = self._remember(y, memory)
            y = self.conv(y)
            estimates.append(y if self.late else y + x)
        return estimates[1:]

    def _remember(self, y: Tensor, memory: Memory | None) -> Memory:
        hidden, cell = memory or (torch.zeros_like(y), torch.zeros_like(y))
        both = torch.cat([y, hidden], 1)
        cell = torch.addcmul(self.conv_f(both) * cell, self.conv_i(both), self.conv_g(both))
        return self.conv_o(both) * cell.tanh(), cell

    def _refine(self, y: Tensor) -> Tensor:
        for block in self.blocks:
            y = F.relu(y + self.get_submodule(block)(y), inplace=True)
        return y


def _conv(inner: int, outer: int, *activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), *activation)


def _residual(channels: int) -> nn.Sequential:
    first, second = (_conv(channels, channels, nn.ReLU(inplace=True)) for _ in range(2))
    return nn.Sequential(*first, *second)


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict; `stages` and `late` are the paper's."""
    return {
        "stages": STAGES,
        "recurrent": "conv_i.0.weight" in state,
        "recursive": "res_conv2.0.weight" not in state,
        "late": False,
        "channels": state["conv0.0.weight"].shape[0],
    }
