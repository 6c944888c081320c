"""Pictures of data sets: files, and pictures packed together in one file.

The path of a packed picture goes on into its file: `test_batch.bin/00042`.
"""

import warnings
from pathlib import Path

import PIL.Image

from restorekit.data.packed import is_packed, read_packed
from restorekit.media import png
from restorekit.media.image import read_image
from restorekit.media.metadata import upright, without_prefix
from restorekit.types import Image

SIDEWAYS = 5
"""From this value on an EXIF orientation exchanges rows and columns."""


def read_picture(path: Path) -> Image:
    """Read a picture file or a picture packed in a file; PictureError when it cannot be read."""
    return Image(read_packed(path)) if is_packed(path.parent) else read_image(path)


def picture_size(path: Path) -> tuple[int, int]:
    """Read the upright (height, width) from a picture's header; PictureError when it has none."""
    if is_packed(path.parent):
        height, width, _ = read_packed(path).shape
        return height, width
    try:
        with warnings.catch_warnings(action="ignore"), PIL.Image.open(path) as picture:
            width, height = picture.size
            is_turned = _orientation(picture, path) >= SIDEWAYS
    except Exception:  # Pillow does not know every picture that read_image does
        image = read_image(path)
        return image.height, image.width
    return (width, height) if is_turned else (height, width)


def _orientation(picture: PIL.Image.Image, path: Path) -> int:
    """Return the EXIF orientation that `read_image` applies and Pillow has not yet."""
    if picture.format == "TIFF":  # of which Pillow gives the upright size
        return 1
    # Pillow decodes a whole PNG to find a block behind the pixels.
    exif = png.read_exif(path) if picture.format == "PNG" else picture.info.get("exif")
    return upright(without_prefix(exif or b""))[1]
