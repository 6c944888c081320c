"""FFDNet: denoising at half size, told the noise level.

Zhang et al., "FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising", TIP 2018.
Published weights (KAIR, MIT licence) predict the picture and have batch norm merged. Those of the
port by Tassano et al. (IPOL 2019, GPL-3.0) predict the noise and have batch norm and no biases.

State-dict keys are KAIR's; `adopt` takes the port's. Any height and width will do: odd ones are
made even inside, by repeating the last row or column. `sigma` is the standard deviation of the
noise in units of 1/255.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import convolutions
from restorekit.nets.dncnn import SIGMA, checked_sigma, row, with_noise_map

FOLD = 2
_PORT = "intermediate_dncnn.itermediate_dncnn."


class FFDNet(nn.Module):
    """Restore a picture, folded to half its size, from itself and its noise level.

    The level is `sigma`, which may be set at any time, unless `forward` is given another.
    `residual` is the port's form. Grey pictures have 64 channels and 15 layers in the paper.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 96,
        layers: int = 12,
        sigma: float = SIGMA,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.sigma = checked_sigma(sigma)
        self.residual = residual
        folded = in_channels * FOLD**2
        self.model = row(folded + 1, folded, channels, layers, norm=residual, bias=not residual)

    def forward(self, x: Tensor, level: Tensor | float | None = None) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape.

        `level` is a noise level of values in [0, 1]; a tensor is (N, 1, 1, 1).
        """
        height, width = x.shape[-2:]
        even = F.pad(x, (0, width % FOLD, 0, height % FOLD), mode="replicate")
        level = self.sigma / 255 if level is None else level
        y = self.model(with_noise_map(F.pixel_unshuffle(even, FOLD), level))
        y = F.pixel_shuffle(y, FOLD)[..., :height, :width]
        return x - y if self.residual else y


def adopt(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Rename the port's keys; its equal noise maps, the first channels, become the last."""
    first = f"{_PORT}0.weight"
    if first not in state:
        return state
    # One map for each channel of the picture, which FOLD**2 channels are folded from.
    maps, picture = state[first].tensor_split([state[first].shape[1] // (FOLD**2 + 1)], 1)
    ours = {key.replace(_PORT, "model.", 1): value for key, value in state.items()}
    return {**ours, "model.0.weight": torch.cat([picture, maps.sum(1, keepdim=True)], 1)}


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict; ValueError where it is a relative's.

    `sigma` is the default.
    """
    weights = convolutions(state)
    in_channels, rest = divmod(weights[-1].shape[0], FOLD**2)
    if rest:
        raise ValueError("a relative of FFDNet")
    return {
        "in_channels": in_channels,
        "channels": weights[0].shape[0],
        "layers": len(weights),
        "sigma": SIGMA,
        "residual": "model.0.bias" not in state,
    }
