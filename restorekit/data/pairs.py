"""Pairs of a degraded picture and its reference: their sizes checked, their pixels read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from restorekit.data.findings import Finding, Problem, listed
from restorekit.data.pictures import picture_size, read_picture
from restorekit.errors import DataError, PictureError
from restorekit.types import Pixels


@dataclass(frozen=True)
class Pair:
    """A degraded picture, its reference and the name under which both are reported."""

    degraded: Path
    reference: Path
    name: str
    scale: int = 1
    """The reference is so many times as wide and as high; its remainder at the right and at the
    bottom is cut off."""
    second: Path | None = None
    """The other view of a dual-pixel picture, which adds three channels to the degraded one."""
    border: int = 0
    """A frame of so many pixels that some copies of the reference have and others have not."""
    depth: int = 0
    """8 where deeper files are read as 8-bit ones; else as they are."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, each once: degraded, second view, reference."""
        return tuple(dict.fromkeys(filter(None, (self.degraded, self.second, self.reference))))

    @property
    def is_clean(self) -> bool:
        """True when there is no degraded picture on disk: the protocol makes one."""
        return self.degraded == self.reference


def at_their_scale(pairs: Sequence[Pair]) -> list[Pair]:
    """Take the scale of pairs from the sizes of the first; `check_sizes` tells whether all fit."""
    try:
        degraded, reference = (
            picture_size(path)[0] for path in (pairs[0].degraded, pairs[0].reference)
        )
    except PictureError:
        return list(pairs)
    return [replace(pair, scale=max(1, reference // degraded)) for pair in pairs]


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Raise DataError that lists unreadable files and sizes that do not fit; reads headers only."""
    unreadable, unequal = [], []
    for pair in pairs:
        found = size_findings(pair)
        if any(finding.problem is Problem.UNREADABLE for finding in found):
            unreadable.append(" and ".join(map(str, found)))
        else:
            unequal += [f"{pair.name} ({finding.details})" for finding in found]
    if unreadable:
        raise DataError(
            f"{len(unreadable)} of {len(pairs)} pairs cannot be read; nothing was computed: "
            f"{listed(unreadable)}"
        )
    if unequal:
        raise DataError(
            f"degraded picture and reference differ in size in {len(unequal)} of {len(pairs)} "
            f"pairs; nothing was resized nor computed: {listed(unequal)}"
        )


def size_findings(pair: Pair) -> list[Finding]:
    """What is wrong with the files of a pair, as far as their headers tell."""
    sizes, unreadable = [], []
    for path in pair.files:
        try:
            sizes.append(picture_size(path))
        except PictureError as error:
            unreadable.append(Finding(Problem.UNREADABLE, path, str(error)))
    if unreadable:
        return unreadable
    fits = _offset(pair, sizes[0], sizes[-1]) is not None and len(set(sizes[:-1])) < 2
    return [] if fits else [Finding(Problem.SIZE, pair.degraded, _sizes(pair, *sizes))]


def read_pair(pair: Pair) -> tuple[Pixels, Pixels]:
    """Read the degraded picture and the reference, which is cut to `scale` times its size.

    The degraded one has three more channels where there is a second view. A clean pair gives its
    picture twice, cut to multiples of the scale: the degraded one is still to be made. Raises
    DataError for sizes that do not fit, PictureError for files that cannot be read.
    """
    reference = _read(pair.reference, pair.depth)
    if pair.is_clean:
        height, width = (side - side % pair.scale for side in reference.shape[:2])
        return reference[:height, :width], reference[:height, :width]
    degraded = _read(pair.degraded, pair.depth)
    offset = _offset(pair, degraded.shape[:2], reference.shape[:2])
    if offset is None:
        sizes = _sizes(pair, degraded.shape[:2], reference.shape[:2])
        raise DataError(f"{pair.degraded} and {pair.reference} differ in size: {sizes}")
    height, width = (side * pair.scale for side in degraded.shape[:2])
    cut = reference[offset : offset + height, offset : offset + width]
    return _both_views(pair, degraded), cut


def _read(path: Path, depth: int) -> Pixels:
    pixels = read_picture(path).pixels
    if depth == 8 and pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)  # as libpng strips a PNG file for an 8-bit reader
    return pixels


def _both_views(pair: Pair, degraded: Pixels) -> Pixels:
    if pair.second is None:
        return degraded
    second = _read(pair.second, pair.depth)
    if second.shape != degraded.shape or second.dtype != degraded.dtype:
        raise DataError(f"{pair.degraded} and {pair.second} differ in size or depth")
    return np.concatenate((degraded, second), axis=2)


def _offset(pair: Pair, degraded: tuple[int, ...], reference: tuple[int, ...]) -> int | None:
    """Where the reference begins, from the top and from the left; None when sizes do not fit."""
    if pair.is_clean:
        return 0 if min(reference) >= pair.scale else None
    rest = [r - d * pair.scale for d, r in zip(degraded, reference, strict=True)]
    if all(0 <= side < pair.scale for side in rest):
        return 0
    return pair.border if rest == [2 * pair.border] * 2 else None


def _sizes(pair: Pair, *sizes: tuple[int, ...]) -> str:
    written = " and ".join(f"{width}x{height}" for height, width in sizes)
    return f"{written} at scale {pair.scale}" if pair.scale > 1 else written
