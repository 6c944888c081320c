"""How different two pictures look to a net that was trained to name what is in them.

LPIPS: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018,
version 0.1.
DISTS: Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020.
The backbones are torchvision's AlexNet, VGG16 and SqueezeNet 1.1 under their state-dict keys; their
weights and the authors' own come from files. Without them there is no number.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorekit.backends.legacy import read_weights
from restorekit.errors import CheckpointError, UnknownNameError
from restorekit.metrics.full_reference import require_comparable, require_side
from restorekit.metrics.weights import (
    ALEXNET,
    DISTS,
    LPIPS_HEADS,
    SQUEEZENET,
    VGG16,
    WeightsFile,
)

# ImageNet's mean and standard deviation; LPIPS has them rounded, for pictures in [-1, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LPIPS_MEAN, LPIPS_DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

DISTS_CHANNELS = (3, 64, 128, 256, 512, 512)
DISTS_STABILISER = 1e-6


class Fire(nn.Module):
    """SqueezeNet's block: few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inner: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inner, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inner, H, W) to (N, 2 * expanded, H, W)."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


def alexnet() -> list[nn.Module]:
    """The convolutional layers of AlexNet."""
    return [
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, 1, 1),
        nn.ReLU(),
    ]


def vgg16() -> list[nn.Module]:
    """The convolutional layers of VGG16."""
    layers: list[nn.Module] = []
    inner = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [nn.MaxPool2d(2, 2)] if layers else []
        for _ in range(count):
            layers += [nn.Conv2d(inner, width, 3, 1, 1), nn.ReLU()]
            inner = width
    return layers


def squeezenet() -> list[nn.Module]:
    """The convolutional layers of SqueezeNet 1.1."""
    return [
        nn.Conv2d(3, 64, 3, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    ]


@dataclass(frozen=True)
class Backbone:
    """A net whose features are compared."""

    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]
    """Compared are the outputs of these layers."""
    file: WeightsFile
    minimum: int
    """The least height and width."""


BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        "alex": Backbone(alexnet, (1, 4, 7, 9, 11), ALEXNET, 31),
        "vgg": Backbone(vgg16, (3, 8, 15, 22, 29), VGG16, 16),
        "squeeze": Backbone(squeezenet, (1, 4, 7, 9, 10, 11, 12), SQUEEZENET, 17),
    }
)


def lpips(
    restored: Tensor,
    reference: Tensor,
    net: str = "alex",
    backbone: Path | None = None,
    heads: Path | None = None,
) -> Tensor:
    """Perceptual distance, 0 for equal pictures: two (N, 3, H, W) in [0, 1] to (N,).

    `net` is alex, the metric of papers, vgg or squeeze. `backbone` is a file with torchvision's
    weights of that net, `heads` one with the authors' linear weights; by default the first that are
    found. Raises UsageError when there is none, CheckpointError when one does not fit.
    """
    if net not in BACKBONES:
        raise UnknownNameError("LPIPS net", net, BACKBONES)
    require_comparable(restored, reference)
    require_side(restored, BACKBONES[net].minimum, f"LPIPS ({net})")
    layers = _load_backbone(net, backbone or BACKBONES[net].file.find())
    weights = _load_heads(net, heads or LPIPS_HEADS[net].find())
    shift, scale = _per_channel(LPIPS_MEAN), _per_channel(LPIPS_DEVIATION)
    a, b = (((_colour(x) * 2 - 1) - shift) / scale for x in (restored, reference))
    total = torch.zeros(len(a))
    with torch.inference_mode():
        for head, fa, fb in zip(weights, layers.features(a), layers.features(b), strict=True):
            distance = (_unit(fa) - _unit(fb)).square()
            total += (distance * head).sum(1).mean((1, 2))
    return total.double()


def dists(
    restored: Tensor,
    reference: Tensor,
    weights: Path | None = None,
    backbone: Path | None = None,
) -> Tensor:
    """Distance in structure and texture, 0 for equal pictures: two (N, 3, H, W) to (N,).

    The pictures are not resized; the authors' script reduces them to 256 pixels. `weights` is the
    authors' file with alpha and beta, `backbone` torchvision's VGG16. Raises as `lpips` does.
    """
    require_comparable(restored, reference)
    require_side(restored, BACKBONES["vgg"].minimum, "DISTS")
    alpha, beta = _load_dists(weights or DISTS.find())
    layers = _load_pooled(backbone or VGG16.find())
    whole = sum(float(w.sum()) for w in (*alpha, *beta))
    similarity = torch.zeros(len(restored))
    with torch.inference_mode():
        maps = (_dists_maps(layers, _colour(x)) for x in (restored, reference))
        for a, b, texture, structure in zip(*maps, alpha, beta, strict=True):
            means, spreads = _alike(a, b)
            similarity += (texture * means + structure * spreads).sum(1) / whole
    return 1 - similarity.double()


class Layers(nn.Module):
    """The layers of a backbone under torchvision's keys, and what comes out at the taps."""

    def __init__(self, layers: Iterable[nn.Module], taps: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.taps = taps

    def features(self, x: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the outputs at the taps."""
        maps = []
        for start, stop in pairwise((-1, *self.taps)):
            x = self.layers[start + 1 : stop + 1](x)
            maps.append(x)
        return maps


class SmoothPool(nn.Module):
    """Pooling of squares with Hanning weights, which does not alias: DISTS has it for maxima."""

    def forward(self, x: Tensor) -> Tensor:
        """Halve (N, C, H, W)."""
        taps = torch.tensor([0.25, 0.5, 0.25], device=x.device)
        weights = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        pooled = F.conv2d(x.square(), weights, stride=2, padding=1, groups=x.shape[1])
        return (pooled + 1e-12).sqrt()


def _dists_maps(layers: Layers, x: Tensor) -> list[Tensor]:
    return [x, *layers.features((x - _per_channel(MEAN)) / _per_channel(DEVIATION))]


def _alike(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Compare the means and the deviations of each channel: (N, C) each, 1 where equal."""
    mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
    spread_a, spread_b = a.var((2, 3), correction=0), b.var((2, 3), correction=0)
    together = (a * b).mean((2, 3)) - mean_a * mean_b
    c = DISTS_STABILISER
    means = (2 * mean_a * mean_b + c) / (mean_a**2 + mean_b**2 + c)
    return means, (2 * together + c) / (spread_a + spread_b + c)


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _colour(x: Tensor) -> Tensor:
    return x.detach().cpu().float().expand(-1, 3, -1, -1)


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


@cache
def _load_backbone(net: str, file: Path) -> Layers:
    backbone = BACKBONES[net]
    return _loaded(backbone.layers(), backbone.taps, read_weights(file).state, file)


@cache
def _load_heads(net: str, file: Path) -> list[Tensor]:
    state = read_weights(file).state
    keys = [f"lin{index}.model.1.weight" for index in range(len(BACKBONES[net].taps))]
    missing = [key for key in keys if key not in state]
    if missing:
        raise CheckpointError(
            f"{file}: not the linear weights of LPIPS ({net}): {missing[0]} is missing"
        )
    return [state[key] for key in keys]


@cache
def _load_pooled(file: Path) -> Layers:
    layers = [SmoothPool() if isinstance(x, nn.MaxPool2d) else x for x in vgg16()]
    return _loaded(layers, BACKBONES["vgg"].taps, read_weights(file).state, file)


@cache
def _load_dists(file: Path) -> tuple[list[Tensor], list[Tensor]]:
    state = read_weights(file).state
    total = sum(DISTS_CHANNELS)
    if any(key not in state or state[key].numel() != total for key in ("alpha", "beta")):
        raise CheckpointError(
            f"{file}: not the weights of DISTS, which are alpha and beta of {total} numbers each"
        )
    alpha, beta = (list(state[key].flatten().split(DISTS_CHANNELS)) for key in ("alpha", "beta"))
    return alpha, beta


def _loaded(
    layers: Iterable[nn.Module], taps: tuple[int, ...], state: Mapping[str, Tensor], file: Path
) -> Layers:
    """Give the layers their weights; the classifier that torchvision's files end with is left."""
    net = Layers(layers, taps)
    own = {
        key.replace("features", "layers", 1): value
        for key, value in state.items()
        if key.startswith("features.")
    }
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise CheckpointError(
            f"{file}: not torchvision's weights of this net: {str(error).splitlines()[1].strip()}"
        ) from None
    return net.eval().requires_grad_(False)
