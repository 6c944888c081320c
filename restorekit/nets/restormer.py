"""Restormer: a U-Net of transformers that attend across channels.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022.
Published weights (github.com/swz30/Restormer, for non-commercial use only) exist for deraining,
motion and defocus deblurring and denoising. This file was written from the paper.

State-dict keys are the authors'. Height and width must be multiples of 8. The formulas are theirs,
the order of summation is ours: of queries and keys only the products of channels are needed, and
attention and projection are together one small matrix for each picture, so without gradients the
wide maps are made a few rows at a time.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product, takewhile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.nets.blocks import check_size
from restorekit.nets.tlc import LocalStatistics, Window, cover, shares

LEVELS = 4
EPSILON = 1e-5
SHORTEST = 1e-12
"""Queries and keys are normalised by their length, or by this if they are shorter."""
STRIP_PIXELS = 1 << 16

Box = tuple[slice, slice]
"""Rows and columns of a map."""
Pieces = Iterator[tuple[Box, Tensor]]
"""What to add to the boxes of a map, which may overlap."""


class Norm(nn.Module):
    """Normalise the channels of each pixel by their deviation, and by their mean if biased."""

    def __init__(self, channels: int, biased: bool) -> None:
        super().__init__()
        self.body = nn.LayerNorm(channels, EPSILON, bias=biased)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        if self.body.bias is not None:
            return self.body(x.movedim(1, -1)).movedim(-1, 1)
        # Not nn.LayerNorm without a bias: the mean stays in.
        variance = _widened(x).var(1, correction=0, keepdim=True)
        return x * (variance + EPSILON).rsqrt() * self.body.weight[:, None, None]


class Attention(nn.Module):
    """Weigh channels by their likeness to each other over the picture, or over windows."""

    def __init__(self, channels: int, heads: int, bias: bool) -> None:
        super().__init__()
        triple = 3 * channels
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, triple, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(triple, triple, 3, padding=1, groups=triple, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor, window: Window | None) -> Pieces:
        """Map (N, C, H, W) to what attention adds; windows overlap and are averaged."""
        height, width = window or x.shape[2:]
        rows, columns = cover(x.shape[2], height), cover(x.shape[3], width)
        share = shares(x, 2, rows) * shares(x, 3, columns)
        for box in product(rows, columns):
            matrix = self._matrix(x, box)
            for strip in _strips(*box):
                yield strip, self._project(x, strip, matrix) * share[..., *strip]

    def _matrix(self, x: Tensor, box: Box) -> Tensor:
        """Give attention and projection as one matrix for each picture, (N, C, C)."""
        moments = zip(*(self._moments(x, strip) for strip in _strips(*box)), strict=True)
        products, queries, keys = (sum(parts[1:], parts[0]) for parts in moments)
        lengths = (squares.clamp_min(SHORTEST**2).sqrt() for squares in (queries, keys))
        for axis, length in zip((-1, -2), lengths, strict=True):
            products = products / length.unsqueeze(axis)
        weights = (products * self.temperature).softmax(-1)
        projection = self.project_out.weight.flatten(1).unflatten(1, weights.shape[1:3])
        return torch.einsum("ohc,nhcd->nohd", projection, weights).flatten(2)

    def _moments(self, x: Tensor, strip: Box) -> tuple[Tensor, Tensor, Tensor]:
        """Sum queries times keys, and the squares of both, over the pixels of a strip."""
        both = _see(x, strip, self.qkv, self.qkv_dwconv, slice(2 * x.shape[1]))
        # Sums over a picture outgrow lower precisions. The meta device has no autocast.
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            heads = _widened(both).unflatten(1, (2, len(self.temperature), -1)).flatten(4)
            queries, keys = heads.unbind(1)
            return queries @ keys.mT, queries.square().sum(-1), keys.square().sum(-1)

    def _project(self, x: Tensor, strip: Box, matrix: Tensor) -> Tensor:
        values = _see(x, strip, self.qkv, self.qkv_dwconv, slice(2 * x.shape[1], None))
        y = values.flatten(2).mT @ matrix.to(values.dtype).mT
        if self.project_out.bias is not None:
            y = y + self.project_out.bias
        return y.unflatten(1, values.shape[2:]).movedim(-1, 1)


class FeedForward(nn.Module):
    """Two convolutions of which one half of the channels gates the other."""

    def __init__(self, channels: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Pieces:
        """Map (N, C, H, W) to what the layer adds."""
        for strip in _strips(slice(0, x.shape[2]), slice(0, x.shape[3])):
            gate, y = _see(x, strip, self.project_in, self.dwconv).chunk(2, 1)
            yield strip, self.project_out(F.gelu(gate) * y)


class Block(nn.Module):
    """Attention across channels, then a gated layer, each added to its input."""

    def __init__(self, channels: int, heads: int, hidden: int, bias: bool, biased: bool) -> None:
        super().__init__()
        self.norm1 = Norm(channels, biased)
        self.attn = Attention(channels, heads, bias)
        self.norm2 = Norm(channels, biased)
        self.ffn = FeedForward(channels, hidden, bias)

    def forward(self, x: Tensor, window: Window | None) -> Tensor:
        """Map (N, C, H, W) to the same shape; without gradients `x` is overwritten."""
        x = _add(x, self.attn(self.norm1(x), window))
        return _add(x, self.ffn(self.norm2(x)))


class Restormer(nn.Module):
    """A U of four scales; predicts what to add to the picture, or with `dual_pixel` the picture.

    `width` are the channels of the finest scale; `blocks` and `heads` have a number a scale, from
    the finest on; `bias` is that of convolutions, `biased` that of normalisations (WithBias or
    BiasFree). `dual_pixel` takes the left and the right view as six channels. Attention is global
    unless `statistics` is set; setting it changes no weights, and no picture changes it.
    """

    statistics: LocalStatistics | None

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        bias: bool = False,
        biased: bool = True,
        dual_pixel: bool = False,
    ) -> None:
        super().__init__()
        _check_config((in_channels, out_channels), width, blocks, heads, dual_pixel)

        widths = [width << scale for scale in range(LEVELS)]

        def level(scale: int, channels: int, count: int) -> nn.ModuleList:
            shape = (channels, heads[scale], int(channels * expansion), bias, biased)
            return nn.ModuleList(Block(*shape) for _ in range(count))

        self.patch_embed = nn.ModuleDict({"proj": _conv(in_channels, width)})
        for scale, channels in enumerate(widths[:-1]):
            self.add_module(f"encoder_level{scale + 1}", level(scale, channels, blocks[scale]))
            self.add_module(f"down{scale + 1}_{scale + 2}", _resized(channels, channels // 2))
        self.latent = level(LEVELS - 1, widths[-1], blocks[-1])
        for scale, channels in reversed([*enumerate(widths[:-1])]):
            self.add_module(f"up{scale + 2}_{scale + 1}", _resized(2 * channels, 4 * channels))
            if scale:
                reduce = nn.Conv2d(2 * channels, channels, 1, bias=bias)
                self.add_module(f"reduce_chan_level{scale + 1}", reduce)
            onward = level(scale, channels if scale else 2 * channels, blocks[scale])
            self.add_module(f"decoder_level{scale + 1}", onward)
        self.refinement = level(0, 2 * width, refinement)
        self.skip_conv = nn.Conv2d(width, 2 * width, 1, bias=bias) if dual_pixel else None
        self.output = _conv(2 * width, out_channels, bias)
        self.statistics = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        check_size("Restormer", x, 1 << LEVELS - 1)
        y, maps = self.patch_embed["proj"](x), []
        skip = None if self.skip_conv is None else self.skip_conv(y)
        for level in range(1, LEVELS):
            maps.append(self._run(f"encoder_level{level}", y, level))
            y = self.get_submodule(f"down{level}_{level + 1}.body")(maps[-1])
        y = self._run("latent", y, LEVELS)
        for level in range(LEVELS - 1, 0, -1):
            y = torch.cat([self.get_submodule(f"up{level + 1}_{level}.body")(y), maps.pop()], 1)
            if level > 1:
                y = self.get_submodule(f"reduce_chan_level{level}")(y)
            y = self._run(f"decoder_level{level}", y, level)
        y = self._run("refinement", y, 1)
        return self.output(y) + x if skip is None else self.output(y + skip)

    def _run(self, chain: str, x: Tensor, level: int) -> Tensor:
        window = self.statistics and self.statistics.window(1 << level - 1)
        for block in self.get_submodule(chain).children():
            x = block(x, window)
        return x


def _conv(inner: int, outer: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, padding=1, bias=bias)


def _resized(inner: int, outer: int) -> nn.ModuleDict:
    """Twice the size if `outer` is twice `inner`, half the size if it is the half."""
    shuffle = nn.PixelShuffle(2) if outer > inner else nn.PixelUnshuffle(2)
    return nn.ModuleDict({"body": nn.Sequential(_conv(inner, outer), shuffle)})


def _add(x: Tensor, pieces: Pieces) -> Tensor:
    if torch.is_grad_enabled():
        x = x.clone()
    for box, piece in pieces:
        x[..., *box] += piece
    return x


def _see(
    x: Tensor, box: Box, point: nn.Conv2d, depth: nn.Conv2d, part: slice = slice(None)
) -> Tensor:
    """Give the channels `part` of a pointwise and a depthwise convolution in a box of their map."""
    rows, columns = box
    top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
    x = x[..., top : rows.stop + 1, left : columns.stop + 1]
    inner, outer = (None if layer.bias is None else layer.bias[part] for layer in (point, depth))
    y = F.conv2d(x, point.weight[part], inner)
    # Padding is right at the borders of the picture; elsewhere what it spoils is cut off.
    y = F.conv2d(y, depth.weight[part], outer, padding=1, groups=y.shape[1])
    return y[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _strips(rows: slice, columns: slice) -> Iterator[Box]:
    """Cut a box into strips of at most `STRIP_PIXELS`; gradients would keep all of them anyway."""
    height = rows.stop - rows.start
    if not torch.is_grad_enabled():
        height = max(STRIP_PIXELS // (columns.stop - columns.start), 1)
    for top in range(rows.start, rows.stop, height):
        yield slice(top, min(top + height, rows.stop)), columns


def _widened(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_config(
    channels: tuple[int, int], width: int, blocks: Sequence[int], heads: Sequence[int], dual: bool
) -> None:
    numbers = len(blocks) == len(heads) == LEVELS and min(heads) > 0
    if not numbers or width < 1 or width % 2 or any((width << s) % n for s, n in enumerate(heads)):
        raise ValueError(
            f"Restormer needs {LEVELS} numbers of blocks and heads, and an even width of which "
            f"heads divide 1, 2, 4 and 8 times, got {tuple(blocks)}, {tuple(heads)} and {width}"
        )
    if channels[0] != channels[1] and not dual:
        raise ValueError(
            f"Restormer adds its output to the picture, got {channels[0]} channels in and "
            f"{channels[1]} out"
        )


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the constructor's arguments off a state dict's shapes."""
    levels = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")

    def blocks(level: str) -> int:
        keys = (f"{level}.{index}.attn.temperature" for index in count())
        return sum(1 for _ in takewhile(state.__contains__, keys))

    gates = [state[f"{level}.0.ffn.project_out.weight"].shape[:2] for level in levels]
    return {
        "in_channels": state["patch_embed.proj.weight"].shape[1],
        "out_channels": state["output.weight"].shape[0],
        "width": state["patch_embed.proj.weight"].shape[0],
        "blocks": tuple(map(blocks, levels)),
        "refinement": blocks("refinement"),
        "heads": tuple(state[f"{level}.0.attn.temperature"].shape[0] for level in levels),
        "expansion": _shortest_factor(gates),
        "bias": "output.bias" in state,
        "biased": "latent.0.norm1.body.bias" in state,
        "dual_pixel": "skip_conv.weight" in state,
    }


def _shortest_factor(products: Sequence[Sequence[int]]) -> float:
    """Find the shortest decimal whose products with the channels are the hidden ones, cut."""
    least = max(hidden / channels for channels, hidden in products)
    for digits in range(16):
        factor = round(math.ceil(least * 10**digits) / 10**digits, digits)
        if all(int(channels * factor) == hidden for channels, hidden in products):
            return factor
    raise ValueError(f"no factor leads from the channels to the hidden channels in {products}")
