"""Pictures to file contents, and what a format cannot hold."""

import io
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import DTypeLike, NDArray

from restorekit.media import png, tiff
from restorekit.media.formats import Format, FormatError
from restorekit.media.opencv import encode_png
from restorekit.types import Image, Pixels

MAX_SIDE = {Format.JPEG: 65500, Format.WEBP: 16383}
"""Pixels; the other formats hold more than there is memory for."""
_MAX_JPEG_EXIF, _MAX_JPEG_XMP = 65533 - 6, 65533 - 29  # bytes of one segment without its prefix
_LOSSLESS = 100


def encode(image: Image, form: Format, quality: int) -> bytes:
    """Encode a picture with its metadata, as far as the format holds them (see `losses`).

    Quality (0 to 100) is for JPEG, always without chroma subsampling, and WebP, where 100 is
    lossless; the other formats are lossless.

    Raises:
        FormatError: the picture is larger than the format allows.
    """
    limit = MAX_SIDE.get(form)
    if limit and max(image.width, image.height) > limit:
        raise FormatError(
            f"cannot hold {image.width} x {image.height} pixels; {form} ends at {limit} a side, "
            "write a .png or .tif"
        )
    fitting = _fitting(image, form)
    if form is Format.PNG:
        return png.with_extras(_encode_png(fitting), image.icc, image.exif, image.xmp)
    if form is Format.TIFF:
        return tiff.encode_tiff(fitting)
    return _encode_shallow(fitting, form, quality)


def losses(form: Format, image: Image) -> list[str]:
    """Say what a format cannot hold of a picture, one phrase each; empty when it holds all.

    The lossy compression of JPEG and WebP is no news and not listed.
    """
    lost = []
    if _stored_dtype(form, image.pixels.dtype) != image.pixels.dtype:
        depth = 8 * _stored_dtype(form, image.pixels.dtype).itemsize
        lost.append(f"{image.depth}-bit samples are rounded to {depth} bit")
    if image.alpha is not None and form in (Format.JPEG, Format.BMP):
        lost.append("the alpha channel is dropped")
    if image.icc and form is Format.BMP:
        lost.append("the colour profile is dropped")
    if image.exif and not _holds(form, image.exif, _MAX_JPEG_EXIF):
        lost.append("the EXIF data are dropped")
    if image.xmp and not _holds(form, image.xmp, _MAX_JPEG_XMP):
        lost.append("the XMP data are dropped")
    return lost


def _holds(form: Format, metadata: bytes, jpeg_limit: int) -> bool:
    return form is not Format.BMP and (form is not Format.JPEG or len(metadata) <= jpeg_limit)


def _stored_dtype(form: Format, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    if form is Format.TIFF or dtype == np.uint8:
        return dtype
    return np.dtype(np.uint16 if form is Format.PNG else np.uint8)


def _fitting(image: Image, form: Format) -> Image:
    """Round to the depth of the format and leave out what it does not hold."""
    dtype = _stored_dtype(form, image.pixels.dtype)
    alpha = None if form in (Format.JPEG, Format.BMP) else image.alpha
    exif = image.exif if image.exif and _holds(form, image.exif, _MAX_JPEG_EXIF) else None
    xmp = image.xmp if image.xmp and _holds(form, image.xmp, _MAX_JPEG_XMP) else None
    alpha = None if alpha is None else with_depth(alpha, dtype)
    return Image(with_depth(image.pixels, dtype), alpha, image.icc, exif, xmp)


def with_depth(samples: Pixels, dtype: DTypeLike) -> Pixels:
    """Rescale samples to an integer depth: clipped and rounded, a half up."""
    target = np.dtype(dtype)
    if samples.dtype == target:
        return samples
    top = np.iinfo(target).max
    if samples.dtype.kind == "f":
        unit: NDArray[np.float32] = np.clip(samples, 0, 1)
        return np.floor(unit * np.float32(top) + np.float32(0.5)).astype(target)
    source_top = np.iinfo(samples.dtype).max
    scaled: NDArray[np.uint32] = samples.astype(np.uint32) * top
    return ((scaled + source_top // 2) // source_top).astype(target)


def _encode_png(image: Image) -> bytes:
    if image.alpha is None:
        return encode_png(image.pixels)
    samples = np.concatenate([image.pixels, image.alpha[..., None]], axis=2)
    if not image.is_grey:
        return encode_png(samples)
    # OpenCV writes no grey with alpha, so the rows are encoded as a type with as many bytes.
    if image.depth == 8:
        return png.declared_as(encode_png(samples.view(">u2").astype(np.uint16)), 8, 4)
    return png.declared_as(encode_png(samples.astype(">u2").view(np.uint8)), 16, 4)


def _encode_shallow(image: Image, form: Format, quality: int) -> bytes:
    options: dict[str, Any] = {
        "icc_profile": image.icc,
        "exif": b"Exif\0\0" + image.exif if image.exif else b"",
        "xmp": image.xmp or b"",
    }
    if form is Format.JPEG:
        options |= {"quality": quality, "subsampling": 0}
    elif form is Format.WEBP:
        options |= {"quality": quality, "lossless": quality >= _LOSSLESS, "exact": True}
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, form, **options)
    return buffer.getvalue()


def to_pillow(image: Image) -> PIL.Image.Image:
    """Make an 8-bit L, LA, RGB or RGBA picture of Pillow."""
    pixels = with_depth(image.pixels, np.uint8)
    if image.alpha is None:
        return PIL.Image.fromarray(pixels[..., 0] if image.is_grey else pixels)
    alpha = with_depth(image.alpha, np.uint8)
    return PIL.Image.fromarray(np.concatenate([pixels, alpha[..., None]], axis=2))
