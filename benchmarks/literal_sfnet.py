"""SFNet, FSNet and ConvIR written down formula by formula, as yardsticks of our nets.

Functions of a state dict and a picture: filters unfold the map into shifted copies, one for each of
their taps, maps are concatenated before they are convolved, quadrants are rearranged into channels
and back, means and deviations are maps of their own, and sums over windows are differences of a
two-dimensional running sum.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from literal_means import window_mean
from torch import Tensor

GROUPS = 8

State = Mapping[str, Tensor]
Pool = Callable[[Tensor], Tensor]
Stage = Callable[[str, Tensor], Tensor]
"""What maps the name of a stage of the U and a map to another map."""


def literal_sfnet(state: State, x: Tensor, fraction: int | None = None) -> list[Tensor]:
    """Restore (N, 3, H, W): pictures of 1/4, 1/2 and full size.

    `fraction` is the window of the means in 256ths of this picture; without it they are global.
    """
    pool: Pool = _global_mean if fraction is None else lambda y: _window_mean(y, fraction)
    return _u(state, x, lambda key, y: _chain(state, _blocks(state, key), y, pool))


def literal_fsnet(state: State, x: Tensor) -> list[Tensor]:
    """Restore (N, 3, H, W) with means over the whole picture, as `literal_sfnet` does."""

    def stage(key: str, y: Tensor) -> Tensor:
        if f"{key}.layers.down.weight" in state:
            return _small_u(state, f"{key}.layers", y)
        return _chain(state, _blocks(state, key), y, _global_mean)

    return _u(state, x, stage)


def literal_convir(state: State, x: Tensor, dilations: Sequence[int] = (7, 9, 11)) -> list[Tensor]:
    """Restore (N, 3, H, W), as `literal_sfnet` does; `dilations` at 1/8, 1/4 and 1/2 size."""

    def stage(key: str, y: Tensor) -> Tensor:
        for block in _blocks(state, key):
            inner = _conv(state, f"{block}.main.0", y)
            if f"{block}.main.1.conv_sum.weight" in state:
                inner = _pyramid(state, f"{block}.main.1", inner, dilations)
            y = _conv(state, f"{block}.main.2", inner, gelu=False) + y
        return y

    return _u(state, x, stage)


def _u(state: State, x: Tensor, stage: Stage) -> list[Tensor]:
    x2 = F.interpolate(x, scale_factor=0.5)
    x4 = F.interpolate(x2, scale_factor=0.5)
    side2, side4 = _side(state, "SCM2", x2), _side(state, "SCM1", x4)
    wide = stage("Encoder.0", _conv(state, "feat_extract.0", x))
    y = _conv(state, "feat_extract.1", wide, stride=2)
    y = _conv(state, "FAM2.merge", torch.cat([y, side2], 1), gelu=False)
    middle = stage("Encoder.1", y)
    y = _conv(state, "feat_extract.2", middle, stride=2)
    y = _conv(state, "FAM1.merge", torch.cat([y, side4], 1), gelu=False)
    y = stage("Encoder.2", y)
    y = stage("Decoder.0", y)
    quarter = _conv(state, "ConvsOut.0", y, gelu=False) + x4
    y = _conv(state, "Convs.0", torch.cat([_double(state, "feat_extract.3", y), middle], 1))
    y = stage("Decoder.1", y)
    half = _conv(state, "ConvsOut.1", y, gelu=False) + x2
    y = _conv(state, "Convs.1", torch.cat([_double(state, "feat_extract.4", y), wide], 1))
    y = stage("Decoder.2", y)
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


def _blocks(state: State, stage: str) -> list[str]:
    chain = f"{stage}.layers."
    keys = [key.removeprefix(chain) for key in state if key.startswith(chain)]
    return [f"{chain}{block}" for block in range(len({key.split(".")[0] for key in keys}))]


def _chain(state: State, blocks: Sequence[str], x: Tensor, pool: Pool) -> Tensor:
    for block in blocks:
        x = _block(state, block, x, pool)
    return x


def _small_u(state: State, key: str, x: Tensor) -> Tensor:
    blocks = _blocks(state, key)
    quarter = len(blocks) // 4
    wide = _chain(state, blocks[:quarter], x, _global_mean)
    down = state[f"{key}.down.weight"], state[f"{key}.down.bias"]
    y = F.conv2d(wide, *down, stride=2, groups=wide.shape[1])
    y = _chain(state, blocks[quarter:-quarter], y, _global_mean)
    y = torch.cat([F.interpolate(y, scale_factor=2, mode="bilinear"), wide], 1)
    y = F.conv2d(y, state[f"{key}.conv.weight"], state[f"{key}.conv.bias"])
    return _chain(state, blocks[-quarter:], y, _global_mean) + x


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
    return window_mean(x, h * fraction // 256, w * fraction // 256)


def _pyramid(state: State, key: str, x: Tensor, dilations: Sequence[int]) -> Tensor:
    total, finer = x, None
    for level, (pool, reach) in enumerate(zip((8, 4, 2), dilations, strict=True)):
        y = F.avg_pool2d(x, pool)
        if finer is not None:
            y = y + _enlarged(finer, y)
        y = F.conv2d(y, state[f"{key}.convs.{level}.weight"], padding=1)
        finer = _shapes(state, f"{key}.dynas.{level}", y, reach)
        total = total + _enlarged(finer, x)
    return F.conv2d(F.gelu(total), state[f"{key}.conv_sum.weight"], padding=1)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)


def _shapes(state: State, key: str, x: Tensor, reach: int) -> Tensor:
    strips = f"{key}.strip_att"
    y = _shaped(state, f"{strips}.H_spatial_att", x, reach, (1, 3))
    y = _shaped(state, f"{strips}.W_spatial_att", y, reach, (3, 1))
    y = state[f"{strips}.gamma"] * y + state[f"{strips}.beta"] * x
    return y + _shaped(state, f"{key}.square_att", x, reach, (3, 3))


def _shaped(state: State, key: str, x: Tensor, reach: int, kernel: tuple[int, int]) -> Tensor:
    """Filter by a kernel made for the picture, three taps long on the axes where it has any."""
    n, c, h, w = x.shape
    taps = F.conv2d(_global_mean(x), state[f"{key}.conv.weight"])
    if f"{key}.bn.weight" in state:
        running = state[f"{key}.bn.running_mean"], state[f"{key}.bn.running_var"]
        taps = F.batch_norm(taps, *running, state[f"{key}.bn.weight"], state[f"{key}.bn.bias"])
    taps = taps.tanh().reshape(n, GROUPS, 1, -1, 1)
    down, right = (reach if size == 3 else 0 for size in kernel)
    wide = F.pad(x, (right, right, down, down), mode="reflect")
    copies = F.unfold(wide, kernel, dilation=reach).reshape(n, GROUPS, c // GROUPS, -1, h * w)
    low = (copies * taps).sum(3).reshape(n, c, h, w)
    axes = [axis for axis, size in zip((-2, -1), kernel, strict=True) if size == 3]
    inside = state[f"{key}.inside_all"]
    low = low * (inside + 1) - inside * x.mean(axes, keepdim=True)
    on_low, on_high = (state[f"{key}.{name}"][:, None, None] for name in ("lamb_l", "lamb_h"))
    return low * on_low + x * (on_high + 1)
