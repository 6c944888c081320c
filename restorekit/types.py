"""The nouns that every layer shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""A picture's samples, (H, W, C) with C = 1 or 3 (RGB); uint8, uint16 or float32 in [0, 1]."""


class Task(StrEnum):
    """What the user wants done."""

    DERAIN = "derain"
    RAINDROP = "raindrop"
    DEHAZE = "dehaze"
    DESNOW = "desnow"
    DEBLUR = "deblur"
    DEFOCUS = "defocus"
    DENOISE = "denoise"
    DEJPEG = "dejpeg"
    SR = "sr"
    LOWLIGHT = "lowlight"
    DESCRATCH = "descratch"


class Precision(StrEnum):
    """The arithmetic of a net; `auto` is what is fast and exact enough on the device."""

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, eq=False)
class Image:
    """A picture with all that has to survive a restoration.

    Orientation is already applied: `pixels` are upright and the orientation tag in `exif` is 1.
    """

    pixels: Pixels
    """(H, W, 1) grey or (H, W, 3) RGB; uint8, uint16 or float32 in [0, 1]."""
    alpha: Pixels | None = None
    """(H, W), same dtype as `pixels`; not premultiplied."""
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    """The XMP packet: what editors write about a picture, as UTF-8 text."""

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def is_grey(self) -> bool:
        """True when there is one channel."""
        return self.pixels.shape[2] == 1

    @property
    def depth(self) -> int:
        """Bits per sample: 8, 16 or 32."""
        return self.pixels.dtype.itemsize * 8

    def with_pixels(self, pixels: Pixels) -> Image:
        """The same picture with other samples."""
        return replace(self, pixels=np.ascontiguousarray(pixels))
