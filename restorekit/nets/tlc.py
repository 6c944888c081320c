"""Local statistics: means over a window in place of means over the whole picture.

Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022.
A net that was trained on crops has seen the statistics of crops; in a large picture, means over
windows are nearer to those than one mean over everything. What is no mean but attention is taken
over fewer windows, which overlap, and averaged. The idea and the rules for borders are theirs; the
sums are taken one axis after the other, so that a large window costs no more than a small one and
rounding stays that of a single window.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

PARTS = 256
"""A window is given in 256ths of the reference picture."""

Window = tuple[int, int]
"""Rows and columns."""

SPATIAL = (-2, -1)


@dataclass(frozen=True)
class LocalStatistics:
    """Ask a net for means over a window, `fraction` 256ths of a reference picture.

    `height` and `width` are the reference picture's, in pixels, as the net would see it: padded.
    `LocalStatistics(256, 256)` is a window of 256x256 pixels, whatever the picture. Raises
    ValueError unless all are positive.
    """

    height: int
    width: int
    fraction: int = PARTS

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.fraction) < 1:
            raise ValueError(f"height, width and fraction must be positive, got {self}")

    def window(self, scale: int) -> Window:
        """Give the window on a feature map of 1/`scale` of the picture's size, at least 1x1."""
        rows, columns = (
            side // scale * self.fraction // PARTS for side in (self.height, self.width)
        )
        return max(rows, 1), max(columns, 1)


def local_mean(x: Tensor, window: Window | None, axes: tuple[int, int] = SPATIAL) -> Tensor:
    """Average over every window inside the map, or over all of it if `window` is None.

    An axis of n positions keeps n - window + 1 of them, one where the window covers it. `axes` are
    those of rows and columns, counted from the end. The result is float32, or float64 for float64.
    """
    rows, columns = axes
    if x.stride(1) < x.stride(columns):
        # Channels innermost: sums that write in the order they read are up to twenty times faster.
        return local_mean(x.movedim(1, -1), window, (rows - 1, columns - 1)).movedim(-1, 1)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    height, width = window or (x.shape[rows], x.shape[columns])
    return _slide(_slide(x, columns, width), rows, height)


def _slide(x: Tensor, axis: int, window: int) -> Tensor:
    count = x.shape[axis]
    if window >= count:
        return x.mean(axis, keepdim=True)
    # A running sum of what enters and leaves is as small as one window, and so is its rounding.
    first = x.narrow(axis, 0, window).sum(axis, keepdim=True)
    enters = x.narrow(axis, window, count - window)
    leaves = x.narrow(axis, 0, count - window)
    return torch.cat([first, enters - leaves], axis).cumsum(axis).div_(window)


def spread(means: Tensor, onto: Tensor, axes: tuple[int, int] = SPATIAL) -> Tensor:
    """Write the means of `local_mean` into `onto`, repeated outwards at the borders.

    An axis of one position is repeated all along. Returns `onto`.
    """
    rows, columns = axes
    for into_rows, from_rows in _bands(onto.shape[rows], means.shape[rows]):
        target, source = onto.narrow(rows, *into_rows), means.narrow(rows, *from_rows)
        for into, taken in _bands(onto.shape[columns], means.shape[columns]):
            part = target.narrow(columns, *into)
            part.copy_(source.narrow(columns, *taken).expand_as(part))
    return onto


def _bands(count: int, valid: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pair (start, length) in the whole with (start, length) in the valid part."""
    if valid in (1, count):
        return [((0, count), (0, valid))]
    before = (count - valid) // 2
    after = count - valid - before
    bands = [((before, valid), (0, valid))]
    if before:
        bands.append(((0, before), (0, 1)))
    if after:
        bands.append(((before + valid, after), (valid - 1, 1)))
    return bands


def cover(size: int, window: int) -> list[slice]:
    """Cover an axis with as few windows as possible, evenly spaced; the last one is moved in."""
    if window >= size:
        return [slice(0, size)]
    number = -(-size // window)
    step = -(-(size - window) // (number - 1))
    starts = (min(index * step, size - window) for index in range(number))
    return [slice(start, start + window) for start in starts]


def shares(x: Tensor, axis: int, windows: Iterable[slice]) -> Tensor:
    """Give each position of an axis the reciprocal of how many windows it is in.

    The result has the dimensions of `x`, of which all but `axis` are of one position.
    """
    covers = x.new_zeros([size if dim == axis else 1 for dim, size in enumerate(x.shape)])
    for window in windows:
        covers.narrow(axis, window.start, window.stop - window.start).add_(1)
    return covers.reciprocal_()
