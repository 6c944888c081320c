"""SFNet written down formula by formula, as the yardstick of `restorekit.nets.sfnet`.

A function of a state dict and a picture: filters unfold the map into k*k shifted copies, quadrants
are rearranged into channels and back, means and deviations are maps of their own, and sums over
windows are differences of a two-dimensional running sum.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

GROUPS = 8

State = Mapping[str, Tensor]
Pool = Callable[[Tensor], Tensor]


def literal_sfnet(state: State, x: Tensor, fraction: int | None = None) -> list[Tensor]:
    """Restore (N, 3, H, W): pictures of 1/4, 1/2 and full size.

    `fraction` is the window of the means in 256ths of this picture; without it they are global.
    """
    pool: Pool = _global_mean if fraction is None else lambda y: _window_mean(y, fraction)
    x2 = F.interpolate(x, scale_factor=0.5)
    x4 = F.interpolate(x2, scale_factor=0.5)
    side2, side4 = _side(state, "SCM2", x2), _side(state, "SCM1", x4)
    wide = _stage(state, "Encoder.0", _conv(state, "feat_extract.0", x), pool)
    y = _conv(state, "feat_extract.1", wide, stride=2)
    y = _conv(state, "FAM2.merge", torch.cat([y, side2], 1), gelu=False)
    middle = _stage(state, "Encoder.1", y, pool)
    y = _conv(state, "feat_extract.2", middle, stride=2)
    y = _conv(state, "FAM1.merge", torch.cat([y, side4], 1), gelu=False)
    y = _stage(state, "Encoder.2", y, pool)
    y = _stage(state, "Decoder.0", y, pool)
    quarter = _conv(state, "ConvsOut.0", y, gelu=False) + x4
    y = _conv(state, "Convs.0", torch.cat([_double(state, "feat_extract.3", y), middle], 1))
    y = _stage(state, "Decoder.1", y, pool)
    half = _conv(state, "ConvsOut.1", y, gelu=False) + x2
    y = _conv(state, "Convs.1", torch.cat([_double(state, "feat_extract.4", y), wide], 1))
    y = _stage(state, "Decoder.2", y, pool)
    return [quarter, half, _conv(state, "feat_extract.5", y, gelu=False) + x]


def _conv(state: State, key: str, x: Tensor, stride: int = 1, gelu: bool = True) -> Tensor:
    weight, bias = state[f"{key}.main.0.weight"], state[f"{key}.main.0.bias"]
    y = F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)
    return F.gelu(y) if gelu else y


def _double(state: State, key: str, x: Tensor) -> Tensor:
    weight, bias = state[f"{key}.main.0.weight"], state[f"{key}.main.0.bias"]
    return F.gelu(F.conv_transpose2d(x, weight, bias, 2, 1))


def _side(state: State, key: str, x: Tensor) -> Tensor:
    for layer in range(4):
        x = _conv(state, f"{key}.main.{layer}", x, gelu=layer < 3)
    return F.instance_norm(
        x, None, None, state[f"{key}.main.4.weight"], state[f"{key}.main.4.bias"]
    )


def _stage(state: State, key: str, x: Tensor, pool: Pool) -> Tensor:
    blocks = sum(k.startswith(f"{key}.") and k.endswith("conv1.main.0.weight") for k in state)
    for block in range(blocks):
        x = _block(state, f"{key}.layers.{block}", x, pool)
    return x


def _block(state: State, key: str, x: Tensor, pool: Pool) -> Tensor:
    y = _conv(state, f"{key}.conv1", x)
    if f"{key}.dyna.conv.weight" in state:
        first, second = y.chunk(2, 1)
        first = _dynamic_filter(state, f"{key}.dyna", first, 3, pool)
        second = _dynamic_filter(state, f"{key}.dyna_2", second, 5, pool)
        y = torch.cat([first, second], 1)
    first, second = y.chunk(2, 1)
    first = _gap(state, f"{key}.global_ap", first, pool)
    second = _patch_gap(state, f"{key}.localap", second, pool)
    return _conv(state, f"{key}.conv2", torch.cat([first, second], 1), gelu=False) + x


def _gap(state: State, key: str, x: Tensor, pool: Pool) -> Tensor:
    d = pool(x)
    h = (x - d) * (state[f"{key}.fscale_h"][None, :, None, None] + 1)
    return d * state[f"{key}.fscale_d"][None, :, None, None] + h


def _patch_gap(state: State, key: str, x: Tensor, pool: Pool) -> Tensor:
    n, c, height, width = x.shape
    h, w = height // 2, width // 2
    patches = x.reshape(n, c, 2, h, 2, w).permute(0, 1, 2, 4, 3, 5).reshape(n, 4 * c, h, w)
    low = pool(patches)
    high = (patches - low) * state[f"{key}.h"][None, :, None, None]
    y = high + low * state[f"{key}.l"][None, :, None, None]
    return y.reshape(n, c, 2, 2, h, w).permute(0, 1, 2, 4, 3, 5).reshape(n, c, height, width)


def _dynamic_filter(state: State, key: str, x: Tensor, k: int, pool: Pool) -> Tensor:
    n, c, h, w = x.shape
    kernel = F.conv2d(_global_mean(x), state[f"{key}.conv.weight"])
    running = state[f"{key}.bn.running_mean"], state[f"{key}.bn.running_var"]
    kernel = F.batch_norm(kernel, *running, state[f"{key}.bn.weight"], state[f"{key}.bn.bias"])
    kernel = kernel.reshape(n, GROUPS, 1, k * k, 1).softmax(3)
    copies = F.unfold(F.pad(x, (k // 2,) * 4, mode="reflect"), k)
    copies = copies.reshape(n, GROUPS, c // GROUPS, k * k, h * w)
    low = (copies * kernel).sum(3).reshape(n, c, h, w)
    return _modulate(state, f"{key}.modulate", low, x - low, pool)


def _modulate(state: State, key: str, low: Tensor, high: Tensor, pool: Pool) -> Tensor:
    def pointwise(name: str, y: Tensor) -> Tensor:
        return F.conv2d(y, state[f"{key}.{name}.weight"], state[f"{key}.{name}.bias"])

    code = pointwise("fc", pool(low + high))
    logits = torch.cat([pointwise("fcs.0", code), pointwise("fcs.1", code)], 1)
    on_high, on_low = logits.softmax(1).chunk(2, 1)
    return pointwise("out", high * on_high + low * on_low)


def _global_mean(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def _window_mean(x: Tensor, fraction: int) -> Tensor:
    h, w = x.shape[-2:]
    kh, kw = h * fraction // 256, w * fraction // 256
    sums = F.pad(x.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    upper, lower = sums[..., :-kh, :], sums[..., kh:, :]
    boxes = lower[..., kw:] - lower[..., :-kw] - upper[..., kw:] + upper[..., :-kw]
    vh, vw = boxes.shape[-2:]
    border = ((w - vw) // 2, (w - vw + 1) // 2, (h - vh) // 2, (h - vh + 1) // 2)
    return F.pad(boxes / (kh * kw), border, mode="replicate")
