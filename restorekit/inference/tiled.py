"""Run a net over a picture in tiles and join them without a seam.

Only one tile is on the device at a time. Tiles are joined to strips and strips to the picture by
interpolation, `a + w (b - a)`, where they overlap: the weights sum to one by construction, and
where two tiles agree the result is exactly what they agree on. A strip is handed over as soon as no
later tile can change it, so the only picture in memory is the one that the caller keeps.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from restorekit.errors import RestorekitError
from restorekit.events import TileDone, Warned
from restorekit.inference.memory import SMALLEST_TILE
from restorekit.inference.plan import Box, Grid, split
from restorekit.types import Precision

Net = Callable[[Tensor, Precision], Tensor]
Events = Generator[TileDone | Warned, None, None]

_OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut; all in pixels of the degraded picture but `scale`."""

    tile: int
    """The longest side of a tile; 0 is the whole picture."""
    overlap: int
    multiple: int = 1
    minimum: int = 1
    scale: int = 1


class TiledRun:
    """One picture's way through a net; not to be used twice.

    `read` gives a tile of the degraded picture as (N, C, H, W), `net` restores it in the wanted
    precision.
    """

    def __init__(
        self,
        net: Net,
        read: Callable[[Box], Tensor],
        tiling: Tiling,
        precision: Precision = Precision.FLOAT32,
    ) -> None:
        self._net = net
        self._read = read
        self._tiling = tiling
        self._precision = precision
        self._tile = tiling.tile
        self._done = 0
        self._warned = False
        self._waiting: list[tuple[int, Box]] = []

    def run(self, box: Box, write: Callable[[Tensor], None]) -> Events:
        """Restore a box; `write` gets its finished rows (N, C, h, scale * W) from top to bottom.

        A tile that does not fit into memory is cut into smaller ones, and so are those that follow;
        a tile that is not finite in half precision is done again in float32. Raises RestorekitError
        when the smallest tile does not fit, or is not finite in float32.
        """
        grid = self._split(box)
        cuts = [self._scaled(after.start - before.start) for before, after in pairwise(grid.rows)]
        below: Tensor | None = None
        for row, rows in enumerate(grid.rows):
            strip = yield from self._strip(grid, row)
            if below is not None:
                head = strip.narrow(-2, 0, below.shape[-2])
                head.copy_(_blend(below, head, -2))
            cut = cuts[row] if row < len(cuts) else self._scaled(rows.length)
            write(strip[..., :cut, :])
            below = strip[..., cut:, :]

    def _strip(self, grid: Grid, row: int) -> Generator[TileDone | Warned, None, Tensor]:
        """Restore a row of tiles and join them."""
        rows, left = grid.rows[row], grid.columns[0].start
        width = self._scaled(grid.columns[-1].stop - left)
        strip, filled = torch.empty(0), 0
        for column, columns in enumerate(grid.columns):
            box = Box(rows, columns)
            self._waiting.append((len(grid) - row * len(grid.columns) - column - 1, box))
            tile = yield from self._restore(box)
            self._waiting.pop()
            if column == 0:
                strip = tile.new_empty((*tile.shape[:-1], width))
            start = self._scaled(columns.start - left)
            shared = filled - start
            head = strip[..., start:filled]
            head.copy_(_blend(head, tile[..., :shared], -1))
            filled = start + tile.shape[-1]
            strip[..., start + shared : filled] = tile[..., shared:]
        return strip

    def _scaled(self, pixels: int) -> int:
        return pixels * self._tiling.scale

    def _split(self, box: Box) -> Grid:
        return split(box, self._tile, self._tiling.overlap, self._tiling.multiple)

    def _restore(self, box: Box) -> Generator[TileDone | Warned, None, Tensor]:
        while len(self._split(box)) == 1:
            restored = yield from self._finite(box)
            if restored is not None:
                self._done += 1
                yield TileDone(self._done, self._done + self._left())
                return restored
            self._shrink(box)
            yield Warned(f"out of memory; going on with tiles of {self._tile} pixels")
        strips: list[Tensor] = []
        yield from self.run(box, strips.append)
        return torch.cat(strips, -2)

    def _left(self) -> int:
        return sum(count * len(self._split(like)) for count, like in self._waiting)

    def _finite(self, box: Box) -> Generator[Warned, None, Tensor | None]:
        """Restore a tile at once; None when it does not fit into memory."""
        restored = self._attempt(box, self._precision)
        if restored is None or _is_finite(restored):
            return restored
        if self._precision is not Precision.FLOAT32:
            if not self._warned:
                yield Warned(f"not finite in {self._precision}; such tiles are redone in float32")
            self._warned = True
            restored = self._attempt(box, Precision.FLOAT32)
            if restored is None or _is_finite(restored):
                return restored
        raise RestorekitError(
            f"the net's result is not finite in the tile at {box}; look for infinite or huge "
            "values there, else the checkpoint is damaged"
        )

    def _attempt(self, box: Box, precision: Precision) -> Tensor | None:
        try:
            return self._net(self._read(box), precision).cpu()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _shrink(self, box: Box) -> None:
        multiple = self._tiling.multiple
        height, width = box.rows.length, box.columns.length
        side = max(height, width)
        half = (side + min(self._tiling.overlap, side // 2)) // 2
        self._tile = max(-(-half // multiple) * multiple, SMALLEST_TILE, self._tiling.minimum)
        if len(self._split(box)) == 1:
            raise RestorekitError(
                f"out of memory: not even a tile of {height} x {width} pixels fits; "
                "close other programs or use another device"
            )


def _blend(before: Tensor, after: Tensor, dim: int) -> Tensor:
    """Go over from one tensor to another along their rows (-2) or columns (-1)."""
    weight = ramp(before.shape[dim]).to(before.dtype)
    return torch.lerp(before, after, weight if dim == -1 else weight[:, None])


def ramp(length: int) -> Tensor:
    """The weight of the later tile in an overlap: 0, a raised cosine in the middle half, 1.

    The outer quarters are left to the other tile, because a tile is worst at its border.
    """
    place = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    return 0.5 - 0.5 * torch.cos(math.pi * (2 * place - 0.5).clamp(0, 1))


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(sign in str(error) for sign in _OUT_OF_MEMORY)


def _is_finite(x: Tensor) -> bool:
    # A sum, which is cheaper, is seldom infinite without a reason.
    return bool(x.sum().isfinite()) or bool(x.isfinite().all())
