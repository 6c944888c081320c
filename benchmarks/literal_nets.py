"""Restormer, MIMO-UNet, NAFNet and DeepDeblur formula by formula, as yardsticks of our nets.

Functions of a state dict and a picture. Restormer makes queries, keys, values and gates of the
whole picture at once; MIMO-UNet concatenates maps before it convolves them; NAFNet's sums over
windows are differences of a two-dimensional running sum; DeepDeblur blurs a picture by one square
filter and halves it then. All have as many layers as the state.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count

import torch
import torch.nn.functional as F
from literal_means import window_mean
from torch import Tensor

State = Mapping[str, Tensor]
Pool = Callable[[Tensor, int], Tensor]
"""What maps features of 1/n of the picture's size, and n, to their means."""

CROP = 256
"""Side of the crops that NAFNet was trained on; its windows are 1.5 times as long."""

PEAK = 255
"""White in the range of DeepDeblur's weights, whose grey is half of it."""


def literal_restormer(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, C, H, W)."""
    y, maps = _conv(state, "patch_embed.proj", x), []
    skip = _conv(state, "skip_conv", y) if "skip_conv.weight" in state else None
    for level in (1, 2, 3):
        maps.append(_transformers(state, f"encoder_level{level}", y))
        down = _conv(state, f"down{level}_{level + 1}.body.0", maps[-1])
        y = F.pixel_unshuffle(down, 2)
    y = _transformers(state, "latent", y)
    for level in (3, 2, 1):
        up = F.pixel_shuffle(_conv(state, f"up{level + 1}_{level}.body.0", y), 2)
        y = torch.cat([up, maps.pop()], 1)
        if level > 1:
            y = _conv(state, f"reduce_chan_level{level}", y)
        y = _transformers(state, f"decoder_level{level}", y)
    y = _transformers(state, "refinement", y)
    return [_conv(state, "output", y) + x if skip is None else _conv(state, "output", y + skip)]


def _transformers(state: State, chain: str, x: Tensor) -> Tensor:
    for key in _blocks(state, chain, "attn.temperature"):
        x = x + _attention(state, f"{key}.attn", _norm(state, f"{key}.norm1.body", x))
        x = x + _feed_forward(state, f"{key}.ffn", _norm(state, f"{key}.norm2.body", x))
    return x


def _norm(state: State, key: str, x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Normalise the channels of each pixel; without a bias the mean stays in."""
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    weight = state[f"{key}.weight"][:, None, None]
    if f"{key}.bias" not in state:
        return x / (variance + epsilon).sqrt() * weight
    bias = state[f"{key}.bias"][:, None, None]
    return (x - mean) / (variance + epsilon).sqrt() * weight + bias


def _attention(state: State, key: str, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    temperature = state[f"{key}.temperature"]
    qkv = _conv(state, f"{key}.qkv_dwconv", _conv(state, f"{key}.qkv", x), groups=3 * c)
    q, k, v = (part.reshape(n, len(temperature), -1, h * w) for part in qkv.chunk(3, 1))
    likeness = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT
    out = (likeness * temperature).softmax(-1) @ v
    return _conv(state, f"{key}.project_out", out.reshape(n, c, h, w))


def _feed_forward(state: State, key: str, x: Tensor) -> Tensor:
    y = _conv(state, f"{key}.project_in", x)
    gate, y = _conv(state, f"{key}.dwconv", y, groups=y.shape[1]).chunk(2, 1)
    return _conv(state, f"{key}.project_out", F.gelu(gate) * y)


def literal_mimo_unet(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, 3, H, W): pictures of 1/4, 1/2 and full size."""
    x2 = F.interpolate(x, scale_factor=0.5)
    x4 = F.interpolate(x2, scale_factor=0.5)
    side2, side4 = _side(state, "SCM2", x2), _side(state, "SCM1", x4)
    one = _residuals(state, "Encoder.0", _relu(state, "feat_extract.0", x))
    two = _merged(state, "FAM2", _relu(state, "feat_extract.1", one, stride=2), side2)
    two = _residuals(state, "Encoder.1", two)
    four = _merged(state, "FAM1", _relu(state, "feat_extract.2", two, stride=2), side4)
    four = _residuals(state, "Encoder.2", four)
    half_of_one, twice_two = (F.interpolate(y, scale_factor=s) for y, s in ((one, 0.5), (two, 2.0)))
    twice_four = F.interpolate(four, scale_factor=2.0)
    narrow = _fused(state, "AFFs.1", half_of_one, two, twice_four)
    wide = _fused(state, "AFFs.0", one, twice_two, F.interpolate(twice_four, scale_factor=2.0))
    y = _residuals(state, "Decoder.0", four)
    outputs = [_conv(state, "ConvsOut.0.main.0", y) + x4]
    y = torch.cat([_doubled(state, "feat_extract.3", y), narrow], 1)
    y = _residuals(state, "Decoder.1", _relu(state, "Convs.0", y))
    outputs.append(_conv(state, "ConvsOut.1.main.0", y) + x2)
    y = torch.cat([_doubled(state, "feat_extract.4", y), wide], 1)
    y = _residuals(state, "Decoder.2", _relu(state, "Convs.1", y))
    return [*outputs, _conv(state, "feat_extract.5.main.0", y) + x]


def _relu(state: State, key: str, x: Tensor, stride: int = 1) -> Tensor:
    return F.relu(_conv(state, f"{key}.main.0", x, stride))


def _doubled(state: State, key: str, x: Tensor) -> Tensor:
    weight, bias = state[f"{key}.main.0.weight"], state[f"{key}.main.0.bias"]
    return F.relu(F.conv_transpose2d(x, weight, bias, stride=2, padding=1))


def _residuals(state: State, key: str, x: Tensor) -> Tensor:
    for block in _blocks(state, f"{key}.layers", "main.0.main.0.weight"):
        x = _conv(state, f"{block}.main.1.main.0", _relu(state, f"{block}.main.0", x)) + x
    return x


def _side(state: State, key: str, x: Tensor) -> Tensor:
    y = x
    for layer in range(4):
        y = _relu(state, f"{key}.main.{layer}", y)
    return _conv(state, f"{key}.conv.main.0", torch.cat([x, y], 1))


def _merged(state: State, key: str, x: Tensor, side: Tensor) -> Tensor:
    return x + _conv(state, f"{key}.merge.main.0", x * side)


def _fused(state: State, key: str, *maps: Tensor) -> Tensor:
    y = _relu(state, f"{key}.conv.0", torch.cat(maps, 1))
    return _conv(state, f"{key}.conv.1.main.0", y)


def literal_nafnet(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, C, H, W) with means over the whole picture."""
    return _nafnet(state, x, lambda y, _: y.mean((2, 3), keepdim=True))


def literal_local_nafnet(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, C, H, W) with means over windows, as the authors test on GoPro."""
    return _nafnet(state, x, lambda y, scale: _window_mean(y, CROP // scale * 3 // 2))


def _nafnet(state: State, x: Tensor, pool: Pool) -> list[Tensor]:
    y, skips = _conv(state, "intro", x), []
    scales = sum(1 for _ in _blocks(state, "downs", "weight"))
    for scale in range(scales):
        skips.append(_gated(state, f"encoders.{scale}", y, 1 << scale, pool))
        key = f"downs.{scale}"
        y = F.conv2d(skips[-1], state[f"{key}.weight"], state[f"{key}.bias"], stride=2)
    y = _gated(state, "middle_blks", y, 1 << scales, pool)
    for step in range(scales):
        y = F.pixel_shuffle(_conv(state, f"ups.{step}.0", y), 2) + skips.pop()
        y = _gated(state, f"decoders.{step}", y, 1 << len(skips), pool)
    return [_conv(state, "ending", y) + x]


def _gated(state: State, chain: str, x: Tensor, scale: int, pool: Pool) -> Tensor:
    for key in _blocks(state, chain, "conv1.weight"):
        y = _conv(state, f"{key}.conv1", _norm(state, f"{key}.norm1", x, 1e-6))
        y = _gate(_conv(state, f"{key}.conv2", y, groups=y.shape[1]))
        y = y * _conv(state, f"{key}.sca.1", pool(y, scale))
        x = x + _conv(state, f"{key}.conv3", y) * state[f"{key}.beta"]
        y = _gate(_conv(state, f"{key}.conv4", _norm(state, f"{key}.norm2", x, 1e-6)))
        x = x + _conv(state, f"{key}.conv5", y) * state[f"{key}.gamma"]
    return x


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return first * second


def _window_mean(x: Tensor, window: int) -> Tensor:
    h, w = x.shape[-2:]
    return window_mean(x, min(window, h), min(window, w))


def literal_deepdeblur(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, 3, H, W): pictures of full, 1/2 and 1/4 size."""
    pictures, outputs = [x], []
    while f"body_models.{len(pictures)}.body.0.weight" in state:
        pictures.append(_blurred_half(pictures[-1]))
    for scale in reversed(range(len(pictures))):
        y = PEAK * pictures[scale] - PEAK / 2
        if outputs:
            up = _conv(state, f"conv_end_models.{scale + 1}.uppath.0", outputs[0])
            y = torch.cat([y, F.pixel_shuffle(up, 2)], 1)
        outputs.insert(0, _row(state, f"body_models.{scale}.body", y))
    return [(y + PEAK / 2) / PEAK for y in outputs]


def _row(state: State, key: str, x: Tensor) -> Tensor:
    x = _conv(state, f"{key}.0", x)
    last = 1
    for block in _blocks(state, key, "body.0.weight", 1):
        x = x + _conv(state, f"{block}.body.2", F.relu(_conv(state, f"{block}.body.0", x)))
        last += 1
    return _conv(state, f"{key}.{last}", x)


def _blurred_half(x: Tensor) -> Tensor:
    """Blur by a Gaussian of 2/3 pixel, cut off at 3, with mirrored borders; take means of 2x2."""
    distance = torch.arange(-3, 4, dtype=x.dtype)
    taps = torch.exp(-0.5 * (distance * 3 / 2) ** 2)
    square = torch.outer(taps, taps) / taps.sum() ** 2
    for axis in (2, 3):
        first, last = x.narrow(axis, 0, 3), x.narrow(axis, x.shape[axis] - 3, 3)
        x = torch.cat([first.flip(axis), x, last.flip(axis)], axis)
    channels = x.shape[1]
    return F.avg_pool2d(F.conv2d(x, square.expand(channels, 1, 7, 7), groups=channels), 2)


def _conv(state: State, key: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    weight = state[f"{key}.weight"]
    padding = weight.shape[-1] // 2
    return F.conv2d(x, weight, state.get(f"{key}.bias"), stride, padding, groups=groups)


def _blocks(state: State, chain: str, has: str, first: int = 0) -> Iterator[str]:
    """The keys of a chain of blocks, each of which has a certain weight."""
    for index in count(first):
        if f"{chain}.{index}.{has}" not in state:
            return
        yield f"{chain}.{index}"
