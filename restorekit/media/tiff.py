"""TIFF files: pages checked, deep samples read, pictures written with their metadata.

8-bit pages are left to Pillow, which knows palettes, fax coding and JPEG within TIFF. Deeper
pages must not go through Pillow, which cuts 16-bit colour to 8 bit without a word, and those whose
kind of samples is undefined cannot, for it knows no such kind.
"""

import io
import logging
import math
from itertools import islice
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import TiffPage

from restorekit.media.formats import FormatError, check_size
from restorekit.media.metadata import byte_order, values_end, with_exif
from restorekit.media.opencv import decode_unchanged
from restorekit.types import Image, Pixels

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED = 1
_UNDEFINED = 4
_DNG_VERSION = 50706
_XMP, _BYTE = 700, 1
_DECODING_TAGS = {258, 273, 279, 320, 324, 325, 338, 339, 347}  # samples, strips, palette, tables
_WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # in bits; others are packed across the bounds of bytes
_STRIP_BYTES = 2**20
_LEVEL = 1  # higher ones make photographs 3 % smaller in up to four times the time

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its notes are not for the user


def read_page(data: bytes) -> TiffPage:
    """Return the one page of a file, its size and the presence of all its bytes checked.

    Raises:
        FormatError: there are several pages, bytes are missing, it is a camera raw file, or its
            samples are of a kind that is not handled.
    """
    file = tifffile.TiffFile(io.BytesIO(data))
    page = file.pages.first
    check_size(page.imagewidth, page.imagelength)
    if page.is_reduced or _DNG_VERSION in page.tags or data[8:10] == b"CR":
        raise FormatError("looks like a camera raw file; develop it to a 16-bit TIFF first")
    if any(_is_full(other) for other in islice(file.pages, 1, None)):
        raise FormatError(f"holds {len(file.pages)} pages; split it into single pictures first")
    _check_kind(page)
    _check_extents(page, data)
    return page


def suits_pillow(page: TiffPage) -> bool:
    """Whether Pillow decodes a page as it is: at most 8 bits per sample, of a defined kind."""
    return _bits(page) < 8 or (_bits(page) == 8 and page.sampleformat != _UNDEFINED)


def xmp(page: TiffPage) -> bytes | None:
    """Return the XMP packet of a page, if it has one."""
    tag = page.tags.get(_XMP)
    return tag.value if tag is not None and isinstance(tag.value, bytes) else None


def read_samples(page: TiffPage, data: bytes) -> tuple[Pixels, Pixels | None]:
    """Decode a page that does not suit Pillow into pixels and alpha, orientation not applied.

    Raises:
        FormatError: the colour model or the values are not handled.
    """
    _check_channels(page)
    samples = _decode(page, data)
    if page.photometric == _WHITE_IS_ZERO:
        samples = _inverted(samples)
    channels = 3 if page.photometric == _RGB else 1
    pixels = np.ascontiguousarray(samples[..., :channels])
    if samples.shape[2] == channels:
        return pixels, None
    alpha = np.ascontiguousarray(samples[..., channels])
    if page.extrasamples[:1] == (_ASSOCIATED,):
        pixels = _unpremultiplied(pixels, alpha)
    return pixels, alpha


def encode_tiff(image: Image) -> bytes:
    """Encode 8, 16 or 32-bit samples losslessly (zlib; for integers with a predictor)."""
    samples = image.pixels
    if image.alpha is not None:
        samples = np.concatenate([samples, image.alpha[..., None]], axis=2)
    row = math.prod(samples.shape[1:]) * samples.itemsize
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples if samples.shape[2] > 1 else samples[..., 0],
        byteorder=byte_order(image.exif),
        photometric="minisblack" if image.is_grey else "rgb",
        planarconfig="contig" if samples.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if image.alpha is not None else None,
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=samples.dtype.kind == "u",
        rowsperstrip=max(1, _STRIP_BYTES // row),
        iccprofile=image.icc,
        extratags=[(_XMP, _BYTE, len(image.xmp), image.xmp, True)] if image.xmp else None,
        metadata=None,
        software=False,
    )
    return with_exif(buffer.getvalue(), image.exif) if image.exif else buffer.getvalue()


def _bits(page: TiffPage) -> int:
    """Bits per sample, the largest if they differ."""
    return int(np.max(page.bitspersample))


def _is_full(page: TiffPage | tifffile.TiffFrame) -> bool:
    """False for the thumbnail of another page."""
    return isinstance(page, TiffPage) and not page.is_reduced


def _check_extents(page: TiffPage, data: bytes) -> None:
    ends = [at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(*ends, values_end(data, _DECODING_TAGS)) > len(data):
        raise FormatError(f"is cut off after {len(data)} bytes; copy the file again")


def _check_kind(page: TiffPage) -> None:
    is_whole = _bits(page) in _WIDTHS
    if is_whole and page.dtype in (np.bool_, np.uint8, np.uint16, np.float32):
        return
    kind = page.dtype if is_whole and page.dtype else f"{_bits(page)}-bit samples"
    raise FormatError(f"holds {kind}; save it with unsigned integers of 8 or 16 bits or float32")


def _check_channels(page: TiffPage) -> None:
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(page.photometric)
    if colours is None:
        model = getattr(page.photometric, "name", page.photometric)
        raise FormatError(f"has the colour model {model}; save it as grey or RGB")
    if page.samplesperpixel - colours not in (0, 1):
        raise FormatError(
            f"has {page.samplesperpixel} channels; save it as grey or RGB with at most one alpha"
        )


def _decode(page: TiffPage, data: bytes) -> NDArray[Any]:
    """Decode to (H, W, C): tifffile knows all layouts, OpenCV more packings (LZW, predictor 3)."""
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    try:
        samples = page.asarray()
        if page.axes.startswith("S"):
            samples = np.moveaxis(samples, 0, -1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        samples = decode_unchanged(data)
    if samples.dtype != page.dtype or samples.size != math.prod(shape):
        name = getattr(page.compression, "name", page.compression)
        raise FormatError(f"has samples that cannot be decoded ({name}); save it with ZIP")
    samples = samples.reshape(shape).astype(page.dtype.newbyteorder("="), copy=False)
    _check_range(samples)
    return samples


def _check_range(samples: NDArray[Any]) -> None:
    if samples.dtype.kind != "f":
        return
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0.0 and high <= 1.0):
        raise FormatError(
            f"holds values from {low:g} to {high:g}; scale or tone-map them to 0 to 1 first"
        )


def _inverted(samples: NDArray[Any]) -> NDArray[Any]:
    """White is zero: turn the colours over, never the alpha."""
    turned = samples.copy()
    top = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else np.float32(1)
    turned[..., 0] = top - samples[..., 0]
    return turned


def _unpremultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    weight = alpha[..., None] / np.float64(top)
    divided = np.divide(pixels, weight, out=np.zeros(pixels.shape), where=weight > 0)
    clipped = np.clip(divided, 0, top)
    return (np.rint(clipped) if pixels.dtype.kind == "u" else clipped).astype(pixels.dtype)
