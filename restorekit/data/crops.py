"""Training crops: the same place and the same flips from every picture of a pair."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from restorekit.errors import DataError
from restorekit.media.image import read_image
from restorekit.types import Pixels

CACHE_BYTES = 4 * 1024**3


class PictureCache:
    """Decoded RGB pictures, kept in memory up to a limit.

    Fill it before worker processes fork: they then share it.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._kept: dict[Path, Pixels] = {}
        self._room = limit

    def read(self, path: Path) -> Pixels:
        """Return (H, W, 3) samples of the file, grey repeated."""
        if path in self._kept:
            return self._kept[path]
        pixels = read_image(path).pixels
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[path] = pixels
        return pixels


def require_side(path: Path, pixels: Pixels, patch: int) -> None:
    """Raise DataError for a picture smaller than the crop."""
    height, width = pixels.shape[:2]
    if min(height, width) < patch:
        raise DataError(
            f"{path}: {width}x{height} is smaller than the {patch}-pixel patch; "
            "leave the picture out or set data.patch lower"
        )


def random_crop(pictures: Sequence[Pixels], patch: int, rng: np.random.Generator) -> list[Pixels]:
    """Cut the same square out of every picture, turned by one of the eight symmetries."""
    height, width = pictures[0].shape[:2]
    top = int(rng.integers(height - patch + 1))
    left = int(rng.integers(width - patch + 1))
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    return [_turned(p[top : top + patch, left : left + patch], turns, mirrored) for p in pictures]


def sharpness(pixels: Pixels) -> float:
    """Mean absolute difference of neighbouring rows and columns of the middle channel."""
    plane = pixels[:, :, pixels.shape[2] // 2].astype(np.float32)
    return float(np.abs(np.diff(plane, axis=0)).mean() + np.abs(np.diff(plane, axis=1)).mean())


def centre_crop(pixels: Pixels, patch: int, multiple: int = 8) -> Pixels:
    """Cut at most patch x patch out of the middle; sides are multiples where they can be."""
    sides = []
    for side in pixels.shape[:2]:
        kept = min(side, patch)
        kept = kept - kept % multiple or kept
        sides.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    return pixels[sides[0], sides[1]]


def _turned(crop: Pixels, turns: int, mirrored: bool) -> Pixels:
    turned = np.rot90(crop, turns)
    return turned[:, ::-1] if mirrored else turned
