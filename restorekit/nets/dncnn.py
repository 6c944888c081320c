"""DnCNN and its relatives: a straight row of convolutions that predicts the noise.

Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", TIP
2017 (DnCNN, and FDnCNN, which is told the noise level); Zhang et al., "Learning Deep CNN Denoiser
Prior for Image Restoration", CVPR 2017 (IRCNN). Published weights: KAIR (MIT licence), with the
batch norm of the training merged into the convolutions, and SaoYan/DnCNN-PyTorch (GPL-3.0), with
batch norm and without biases.

State-dict keys are KAIR's; `adopt` takes SaoYan's. Any height and width will do. Every net returns
the restored picture. `sigma` is the standard deviation of the noise in units of 1/255.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.nets.blocks import convolutions

SIGMA = 25.0
"""The noise level that a net assumes until it is told, in units of 1/255."""
DILATIONS = (1, 2, 3, 4, 3, 2, 1)
LEVEL_STEP = 2
"""What the noise levels of neighbouring nets of an `IRCNNSet` differ by."""

_BIASED_EPS = 1e-4
_PLAIN_EPS = 1e-5


class DnCNN(nn.Module):
    """Subtract the noise that `layers` convolutions find in the picture.

    `norm` has a batch norm behind each convolution but the first and the last. Without `bias` it is
    SaoYan's form, whose batch norm has another epsilon.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        layers: int = 20,
        norm: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.model = row(in_channels, in_channels, channels, layers, norm, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        return x - self.model(x)


class FDnCNN(nn.Module):
    """Restore a picture from itself and a map of its noise level.

    The level is `sigma`, which may be set at any time, unless `forward` is given another.
    """

    def __init__(
        self, in_channels: int = 3, channels: int = 64, layers: int = 20, sigma: float = SIGMA
    ) -> None:
        super().__init__()
        self.sigma = checked_sigma(sigma)
        self.model = row(in_channels + 1, in_channels, channels, layers)

    def forward(self, x: Tensor, level: Tensor | float | None = None) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape.

        `level` is a noise level of values in [0, 1] and expands to (N, 1, H, W).
        """
        return self.model(with_noise_map(x, self.sigma / 255 if level is None else level))


class IRCNN(nn.Module):
    """Subtract the noise that seven dilated convolutions find; one net for each noise level."""

    def __init__(self, in_channels: int = 3, channels: int = 64) -> None:
        super().__init__()
        widths = [in_channels, *[channels] * (len(DILATIONS) - 1), in_channels]
        layers: list[nn.Module] = []
        for inner, outer, reach in zip(widths, widths[1:], DILATIONS, strict=False):
            layers += [_conv(inner, outer, dilation=reach), nn.ReLU(inplace=True)]
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        return x - self.model(x)


class IRCNNSet(nn.Module):
    """The nets of one of KAIR's files, one for each noise level 2, 4, 6 and so on.

    The net for `sigma`, rounded up, restores the picture; `sigma` may be set at any time.
    """

    def __init__(
        self, in_channels: int = 3, channels: int = 64, levels: int = 25, sigma: float = SIGMA
    ) -> None:
        super().__init__()
        self.sigma = checked_sigma(sigma)
        for level in range(levels):
            self.add_module(str(level), IRCNN(in_channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        nets = list(self.children())
        level = min(max(math.ceil(self.sigma / LEVEL_STEP) - 1, 0), len(nets) - 1)
        y: Tensor = nets[level](x)
        return y


def row(
    inner: int, outer: int, channels: int, layers: int, norm: bool = False, bias: bool = True
) -> nn.Sequential:
    """Chain `layers` convolutions with ReLUs between them, and batch norms if told so.

    Raises ValueError for less than two.
    """
    if layers < 2:
        raise ValueError(f"the row has at least 2 layers, got {layers}")
    chain: list[nn.Module] = [_conv(inner, channels, bias), nn.ReLU(inplace=True)]
    for _ in range(layers - 2):
        chain.append(_conv(channels, channels, bias))
        if norm:
            chain.append(nn.BatchNorm2d(channels, eps=_BIASED_EPS if bias else _PLAIN_EPS))
        chain.append(nn.ReLU(inplace=True))
    return nn.Sequential(*chain, _conv(channels, outer, bias))


def _conv(inner: int, outer: int, bias: bool = True, dilation: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inner, outer, 3, padding=dilation, dilation=dilation, bias=bias)
    # torch's default would let the signal fade out in a row without batch norm.
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def checked_sigma(sigma: float) -> float:
    """Return a noise level in units of 1/255; ValueError unless it is 0 to 255."""
    if not 0 <= sigma <= 255:
        raise ValueError(f"sigma is a noise level in units of 1/255, 0 to 255, got {sigma}")
    return sigma


def with_noise_map(x: Tensor, level: Tensor | float) -> Tensor:
    """Append a channel that holds the noise level, which expands to (N, 1, H, W)."""
    levels = torch.as_tensor(level, dtype=x.dtype, device=x.device)
    return torch.cat([x, levels.expand(x.shape[0], 1, *x.shape[2:])], 1)


def adopt(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Rename the keys of SaoYan/DnCNN-PyTorch."""
    if "dncnn.0.weight" not in state:
        return state
    return {key.replace("dncnn.", "model.", 1): value for key, value in state.items()}


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict; ValueError where it is a relative's."""
    weights = convolutions(state)
    in_channels, out_channels = weights[0].shape[1], weights[-1].shape[0]
    norm = "model.3.running_mean" in state
    if in_channels != out_channels or (len(weights) == len(DILATIONS) and not norm):
        raise ValueError("a relative of DnCNN")
    return {
        "in_channels": in_channels,
        "channels": weights[0].shape[0],
        "layers": len(weights),
        "norm": norm,
        "bias": "model.0.bias" in state,
    }


def infer_fdncnn(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict; `sigma` is the default."""
    weights = convolutions(state)
    in_channels = weights[-1].shape[0]
    # FFDNet's row has four channels out for each of the picture.
    if in_channels not in (1, 3):
        raise ValueError("a relative of FDnCNN")
    return {
        "in_channels": in_channels,
        "channels": weights[0].shape[0],
        "layers": len(weights),
        "sigma": SIGMA,
    }


def infer_ircnn(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    channels, in_channels = state["model.0.weight"].shape[:2]
    return {"in_channels": in_channels, "channels": channels}


def infer_set(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes; `sigma` is the default."""
    channels, in_channels = state["0.model.0.weight"].shape[:2]
    levels = sum(key.endswith(".model.0.weight") for key in state)
    return {"in_channels": in_channels, "channels": channels, "levels": levels, "sigma": SIGMA}
