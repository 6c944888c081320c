"""Nets that look at the whole picture made small: every tile is told what was seen there."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from restorekit.backends.model import Model
from restorekit.inference.plan import Box, Span
from restorekit.inference.tiled import Net
from restorekit.types import Precision

Read = Callable[[Box], Tensor]


def follow_overview(
    model: Model, picture: Box, read: Read, around: Callable[[Net], Net]
) -> tuple[Read, Net]:
    """Look at a picture once; return how to read its tiles, and the net that restores them.

    `around` is what is done around the looking and the restoring, as an ensemble. The tiles have
    what was seen there as further channels. Looking is done in float32: it costs little.
    """
    net: Any = model.net
    height, width = picture.rows.length, picture.columns.length
    model.check(_coloured(read(Box(Span(0, 1), Span(0, 1)))))
    small = _coloured(reduced(picture, read, *net.reduced_size(height, width)))
    with torch.inference_mode():
        seen = around(lambda x, _: net.overview(x))(small.to(model.device), Precision.FLOAT32)
    planes = seen.shape[1]

    def read_told(box: Box) -> Tensor:
        tile = read(box).to(model.device, torch.float32)
        rows, columns = (
            (span.start / length, span.stop / length)
            for span, length in ((box.rows, height), (box.columns, width))
        )
        return torch.cat([tile, net.spread(seen, tile.shape[-2:], rows, columns)], 1)

    def follow(x: Tensor) -> Tensor:
        restored: Tensor = net.follow(_coloured(x[:, :-planes]), x[:, -planes:])
        return restored

    def restore_told(x: Tensor, precision: Precision) -> Tensor:
        restored = model.run(follow, x, precision)
        return restored if x.shape[1] > 1 + planes else restored.mean(1, keepdim=True)

    return read_told, around(restore_told)


def reduced(picture: Box, read: Read, rows: int, columns: int) -> Tensor:
    """Average a picture to so many rows and columns without having all of it in memory."""
    height = picture.rows.length
    strips = (Span(row * height // rows, -(-(row + 1) * height // rows)) for row in range(rows))
    read_strips = (read(Box(span, picture.columns)) for span in strips)
    return torch.cat([F.adaptive_avg_pool2d(x, (1, columns)) for x in read_strips], -2)


def _coloured(x: Tensor) -> Tensor:
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
