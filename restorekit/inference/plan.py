"""Where the tiles of a picture lie: integers only.

All tiles of a picture have the same size (the last of a row or column may lack the few pixels that
the net's padding adds). They begin on multiples of the net's size multiple, so a net that halves
and doubles sees every tile in the phase in which it would see the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from restorekit.errors import UsageError


@dataclass(frozen=True)
class Span:
    """A stretch of rows or columns, `stop` excluded."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Pixels."""
        return self.stop - self.start


@dataclass(frozen=True)
class Box:
    """One tile: its rows and columns in the picture."""

    rows: Span
    columns: Span

    def __str__(self) -> str:
        return (
            f"rows {self.rows.start} to {self.rows.stop - 1}, "
            f"columns {self.columns.start} to {self.columns.stop - 1}"
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index with."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)


@dataclass(frozen=True)
class Grid:
    """The tiles of a box: every pair of a span of `rows` and one of `columns`."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Box]:
        return (Box(rows, columns) for rows in self.rows for columns in self.columns)


def whole(height: int, width: int) -> Box:
    """The box of a whole picture."""
    return Box(Span(0, height), Span(0, width))


def split(box: Box, tile: int, overlap: int, multiple: int = 1) -> Grid:
    """Cut a box into tiles of at most `tile` pixels a side; 0 is one tile.

    A `tile` that is no multiple of `multiple` is rounded down (up, below the first); an `overlap`
    is rounded up, and more than half of a tile counts as half.
    """
    if tile < 0 or overlap < 0:
        raise UsageError(f"tile and overlap must be 0 or more pixels, not {tile} and {overlap}")
    return Grid(
        split_span(box.rows, tile, overlap, multiple),
        split_span(box.columns, tile, overlap, multiple),
    )


def split_span(span: Span, tile: int, overlap: int, multiple: int = 1) -> tuple[Span, ...]:
    """Cut one axis as `split` does."""
    units = -(-span.length // multiple)
    limit = max(tile // multiple, 1)
    if tile == 0 or units <= limit:
        return (span,)
    shared = min(-(-overlap // multiple), limit // 2)
    count = -(-(units - shared) // (limit - shared))
    size = -(-(units + (count - 1) * shared) // count)
    starts = [index * (units - size) // (count - 1) for index in range(count)]
    return tuple(
        Span(
            span.start + start * multiple,
            min(span.start + (start + size) * multiple, span.stop),
        )
        for start in starts
    )
