"""What a picture file is, told by its content, and how large a picture may be."""

import os
from enum import StrEnum

from restorekit.errors import UsageError

MAX_PIXELS = 1_000_000_000
"""A picture with more pixels is refused before it is decoded.

It stays below the 2^30 pixels that OpenCV decodes.
"""

MAX_PIXELS_VARIABLE = "RESTOREKIT_MAX_PIXELS"


class FormatError(Exception):
    """A file or a picture does not fit a format.

    The message says why and what to do; whoever knows the path puts it in front.
    """


class Format(StrEnum):
    """The picture formats that are read and written."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WebP"
    TIFF = "TIFF"
    BMP = "BMP"


HEAD = 16
"""So many bytes are enough to tell the format."""

FORMAT_OF_SUFFIX = {
    ".png": Format.PNG,
    ".jpg": Format.JPEG,
    ".jpeg": Format.JPEG,
    ".webp": Format.WEBP,
    ".tif": Format.TIFF,
    ".tiff": Format.TIFF,
    ".bmp": Format.BMP,
}

_STARTS = {
    b"\x89PNG\r\n\x1a\n": Format.PNG,
    b"\xff\xd8\xff": Format.JPEG,
    b"II*\0": Format.TIFF,
    b"MM\0*": Format.TIFF,
    b"II+\0": Format.TIFF,
    b"MM\0+": Format.TIFF,
    b"BM": Format.BMP,
}

_STRANGERS = {
    b"GIF8": "a GIF",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
}


def sniff(head: bytes) -> Format:
    """Tell the format from the first `HEAD` bytes of a file.

    Raises:
        FormatError: the file is empty or something else.
    """
    if not head:
        raise FormatError("is empty; copy or export the picture again")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    for start, form in _STARTS.items():
        if head.startswith(start):
            return form
    known = "PNG, JPEG, WebP, TIFF or BMP"
    raise FormatError(f"is {_stranger(head)}; convert it to {known}")


def _stranger(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        brand = head[8:12].decode("ascii", "replace").strip()
        return f"a HEIC, AVIF or video file ('{brand}')"
    names = (name for start, name in _STRANGERS.items() if head.startswith(start))
    return next(names, "not a picture in a known format")


def check_size(width: int, height: int) -> None:
    """Refuse a picture without pixels or with more than the limit.

    Raises:
        FormatError: the size is out of range.
        UsageError: the limit in the environment is not a number.
    """
    if width < 1 or height < 1:
        raise FormatError(f"holds no pixels ({width} x {height}); export the picture again")
    limit = max_pixels()
    if width * height > limit:
        raise FormatError(
            f"says it has {width} x {height} pixels, more than the limit of {limit}; "
            f"if it really is that large, set {MAX_PIXELS_VARIABLE}={width * height}"
        )


def max_pixels() -> int:
    """Return the limit in force: `MAX_PIXELS`, or the environment's RESTOREKIT_MAX_PIXELS.

    Raises:
        UsageError: the variable holds no whole number above zero.
    """
    value = os.environ.get(MAX_PIXELS_VARIABLE)
    if value is None:
        return MAX_PIXELS
    try:
        limit = int(value)
    except ValueError:
        limit = 0
    if limit < 1:
        raise UsageError(
            f"{MAX_PIXELS_VARIABLE}='{value}' is not a number of pixels; "
            f"write a whole number such as {MAX_PIXELS}, or unset it"
        )
    return limit
