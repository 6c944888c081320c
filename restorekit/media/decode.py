"""File contents to pictures.

Pillow decodes samples of up to 8 bits: it reports missing bytes, and knows palettes, transparent
colours and CMYK. It would cut 16-bit colour to 8 bit, so deeper samples go to OpenCV and tifffile.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Image as PillowImage
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from restorekit.media import png, tiff
from restorekit.media.color_profile import to_srgb
from restorekit.media.formats import HEAD, Format, FormatError, check_size, sniff
from restorekit.media.metadata import exif_of_tiff, packet_of, upright, without_prefix
from restorekit.media.opencv import decode_unchanged
from restorekit.types import Image, Pixels

_SHALLOW: dict[Format, Callable[[io.BytesIO], ImageFile]] = {
    Format.JPEG: JpegImageFile,
    Format.WEBP: WebPImageFile,
    Format.BMP: BmpImageFile,
}

_RUN_LENGTHS = (1, 2)  # codings of BMP with 8 and 4 bits: two bytes make one run
_LONGEST_RUN = 255


def decode(data: bytes) -> Image:
    """Decode a PNG, JPEG, WebP, TIFF or BMP file, its orientation applied.

    Raises:
        FormatError: it is something else, animated, larger than the limit or cut off. Damaged
            files raise whatever the decoder of the format raises.
    """
    form = sniff(data[:HEAD])
    if form is Format.PNG:
        return _decode_png(data)
    if form is Format.TIFF:
        return _decode_tiff(data)
    picture = _SHALLOW[form](io.BytesIO(data))
    if form is Format.BMP:
        _check_runs(picture, len(data))
    return _from_pillow(picture, *map(picture.info.get, ("icc_profile", "exif", "xmp")))


def _decode_png(data: bytes) -> Image:
    header = png.read_header(data)
    check_size(header.width, header.height)
    extras = png.read_extras(data)
    _refuse_animation(extras.frames)
    if header.depth == 16:
        pixels, alpha = _deep_png(data, header, extras.transparent)
        return _upright(Image(pixels, alpha, extras.icc, extras.exif, extras.xmp))
    picture = PngImageFile(io.BytesIO(data))
    if header.is_grey and header.depth in (2, 4) and "transparency" in picture.info:
        # Pillow spreads the samples over 8 bits, but not the one that is transparent.
        picture.info["transparency"] *= 255 // (2**header.depth - 1)
    return _from_pillow(picture, extras.icc, extras.exif, extras.xmp)


def _deep_png(
    data: bytes, header: png.Header, transparent: bytes | None
) -> tuple[Pixels, Pixels | None]:
    samples = np.atleast_3d(decode_unchanged(data))
    pixels = np.ascontiguousarray(samples[..., : 1 if header.is_grey else 3])
    if header.has_alpha:
        return pixels, np.ascontiguousarray(samples[..., 3])
    if transparent is None:
        return pixels, None
    key = np.frombuffer(transparent, ">u2")
    return pixels, np.where((pixels == key).all(axis=2), 0, 65535).astype(np.uint16)


def _decode_tiff(data: bytes) -> Image:
    page = tiff.read_page(data)
    # The decoders differ in whether they apply the orientation, of the tag or of the XMP packet,
    # so they get to see none.
    plain, orientation = upright(data)
    icc, xmp = page.iccprofile, tiff.xmp(page)
    if tiff.suits_pillow(page):
        picture = TiffImageFile(io.BytesIO(plain))
        picture.info.pop("xmp", None)
        image = _from_pillow(picture, icc, None, xmp)
    else:
        pixels, alpha = tiff.read_samples(page, plain)
        image = Image(pixels, alpha, icc, xmp=xmp)
    return _turned(image, orientation, exif_of_tiff(plain))


def _from_pillow(
    picture: ImageFile, icc: bytes | None, exif: bytes | None, xmp: bytes | None
) -> Image:
    check_size(picture.width, picture.height)
    _refuse_animation(getattr(picture, "n_frames", 1))
    picture.load()
    flat: PillowImage = picture
    if picture.mode == "CMYK":
        flat, icc = to_srgb(picture, icc), None
    if flat.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"):
        raise FormatError(f"has the colour model {flat.mode}; save it as grey or RGB with 8 bits")
    colours = "L" if flat.mode in ("1", "L", "LA") else "RGB"
    if not flat.has_transparency_data:
        return _upright(Image(_samples(flat, colours), None, icc, exif, xmp))
    samples = _samples(flat, colours + "A")
    pixels = np.ascontiguousarray(samples[..., :-1])
    return _upright(Image(pixels, np.ascontiguousarray(samples[..., -1]), icc, exif, xmp))


def _samples(picture: PillowImage, mode: str) -> NDArray[np.uint8]:
    return np.atleast_3d(np.array(picture.convert(mode), dtype=np.uint8))


def _check_runs(picture: ImageFile, size: int) -> None:
    """Refuse a run-length coded BMP too short for its pixels, which would be padded at length."""
    pixels = picture.width * picture.height
    if picture.info.get("compression") in _RUN_LENGTHS and 2 * pixels > _LONGEST_RUN * size:
        raise FormatError(f"is cut off after {size} bytes; copy the file again")


def _refuse_animation(frames: int) -> None:
    if frames > 1:
        raise FormatError(f"is animated ({frames} frames); export the frames as single pictures")


def _upright(image: Image) -> Image:
    exif, orientation = upright(without_prefix(image.exif or b""))
    return _turned(image, orientation, exif or None)


def _turned(image: Image, orientation: int, exif: bytes | None) -> Image:
    alpha = None if image.alpha is None else _turn(image.alpha, orientation)
    xmp = packet_of(image.xmp or b"", is_turned=orientation != 1)
    return Image(_turn(image.pixels, orientation), alpha, image.icc or None, exif, xmp or None)


def _turn(samples: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation (1 to 8) to rows and columns."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
