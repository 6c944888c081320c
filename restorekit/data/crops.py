"""Training crops: the same place and the same flips from every picture of a pair."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from restorekit.data.pairs import Pair, read_pair
from restorekit.data.pictures import read_picture
from restorekit.errors import DataError
from restorekit.types import Pixels

CACHE_BYTES = 4 * 1024**3

Symmetries = Literal["square", "flips", "mirror", "none"]
"""How a crop may be turned: all eight of the square, both flips, left to right, or not at all."""


class PictureCache:
    """Decoded pictures, kept in memory up to a limit.

    Fill it before worker processes fork: they then share it.
    """

    def __init__(self, limit: int = CACHE_BYTES, reduce: int = 1) -> None:
        self._kept: dict[Path | Pair, tuple[Pixels, ...]] = {}
        self._room = limit
        self._reduce = reduce

    @property
    def has_room(self) -> bool:
        """Whether more pictures can be kept."""
        return self._room > 0

    def read(self, path: Path) -> Pixels:
        """Return (H, W, 3) samples of the file, grey repeated, `reduce` times smaller."""
        return self._remembered(path, lambda: (self._reduced(path),))[0]

    def read_pair(self, pair: Pair) -> tuple[Pixels, ...]:
        """Return the degraded picture and its reference, (H, W, 3) each, grey repeated."""
        return self._remembered(pair, lambda: tuple(map(_coloured, read_pair(pair))))

    def _reduced(self, path: Path) -> Pixels:
        pixels = _coloured(read_picture(path).pixels)
        return pixels if self._reduce == 1 else reduced(pixels, self._reduce)

    def _remembered(
        self, key: Path | Pair, read: Callable[[], tuple[Pixels, ...]]
    ) -> tuple[Pixels, ...]:
        if key in self._kept:
            return self._kept[key]
        pictures = read()
        self._room -= sum(pixels.nbytes for pixels in pictures)
        if self.has_room:
            self._kept[key] = pictures
        return pictures


def reduced(pixels: Pixels, factor: int) -> Pixels:
    """Return means of squares of factor x factor samples; what fills no square is cut off.

    A picture smaller than the factor stays as it is, for whoever checks sizes to refuse.
    """
    height, width = (side // factor for side in pixels.shape[:2])
    if not height or not width:
        return pixels
    whole = np.ascontiguousarray(pixels[: height * factor, : width * factor])
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def _coloured(pixels: Pixels) -> Pixels:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def require_side(path: Path, size: tuple[int, int], patch: int) -> None:
    """Raise DataError for a picture, of that (height, width), smaller than the crop."""
    if min(size) < patch:
        raise DataError(
            f"{path}: {size[1]}x{size[0]} is smaller than the {patch}-pixel patch; leave the "
            "picture out, set data.patch lower, or mirror small pictures with data.small=pad"
        )


def random_crop(
    pictures: Sequence[Pixels],
    patch: int,
    rng: np.random.Generator,
    symmetries: Symmetries = "square",
) -> list[Pixels]:
    """Cut the same square out of every picture, turned by one of the symmetries.

    `patch` is the side in the first picture; of one that is twice as large it is twice that.
    """
    height, width = pictures[0].shape[:2]
    top = int(rng.integers(height - patch + 1))
    left = int(rng.integers(width - patch + 1))
    turns, mirrored = _drawn(symmetries, rng)
    crops = []
    for pixels in pictures:
        scale = pixels.shape[0] // height
        rows, columns = (slice(scale * at, scale * (at + patch)) for at in (top, left))
        crops.append(_turned(pixels[rows, columns], turns, mirrored))
    return crops


def extended(pixels: Pixels, patch: int) -> Pixels:
    """Mirror a picture at its right and lower edges until it is as large as the crop."""
    rows, columns = (max(patch - side, 0) for side in pixels.shape[:2])
    if not rows and not columns:
        return pixels
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="symmetric")


def sharpness(pixels: Pixels) -> float:
    """Mean absolute difference of neighbouring rows and columns of the middle channel."""
    plane = pixels[:, :, pixels.shape[2] // 2].astype(np.float32)
    return float(np.abs(np.diff(plane, axis=0)).mean() + np.abs(np.diff(plane, axis=1)).mean())


def centre_crop(pictures: Sequence[Pixels], patch: int, multiple: int = 8) -> list[Pixels]:
    """Cut at most patch x patch out of the middle; sides are multiples where they can be.

    `patch` is the side in the first picture; of one that is twice as large it is twice that.
    """
    height, width = pictures[0].shape[:2]
    rows, columns = _middle(height, patch, multiple), _middle(width, patch, multiple)
    crops = []
    for pixels in pictures:
        scale = pixels.shape[0] // height
        top, bottom, left, right = (scale * at for at in (*rows, *columns))
        crops.append(pixels[top:bottom, left:right])
    return crops


def _middle(side: int, patch: int, multiple: int) -> tuple[int, int]:
    kept = min(side, patch)
    kept = kept - kept % multiple or kept
    return (side - kept) // 2, (side - kept) // 2 + kept


def _drawn(symmetries: Symmetries, rng: np.random.Generator) -> tuple[int, bool]:
    """Draw quarter turns and whether to mirror; upside down is half a turn, mirrored."""
    match symmetries:
        case "square":
            return int(rng.integers(4)), bool(rng.integers(2))
        case "flips":
            return 2 * int(rng.integers(2)), bool(rng.integers(2))
        case "mirror":
            return 0, bool(rng.integers(2))
        case "none":
            return 0, False


def _turned(crop: Pixels, turns: int, mirrored: bool) -> Pixels:
    turned = np.rot90(crop, turns)
    return turned[:, ::-1] if mirrored else turned
