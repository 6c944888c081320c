"""Read and write pictures: depth, alpha, greyness, profile, EXIF and XMP survive the trip."""

from pathlib import Path

from restorekit.errors import PictureError, UsageError
from restorekit.files import atomic_path
from restorekit.media.decode import decode
from restorekit.media.encode import encode, losses
from restorekit.media.formats import FORMAT_OF_SUFFIX, HEAD, Format, FormatError, sniff
from restorekit.media.quiet import quiet
from restorekit.types import Image

QUALITY = 95
"""JPEG and WebP quality where none is asked for."""


def read_image(path: Path | str) -> Image:
    """Read a PNG, JPEG, WebP, TIFF or BMP file; its content decides, not its suffix.

    8 and 16-bit samples and float32 TIFF (values in [0, 1]) are exact, grey stays one channel,
    palettes and CMYK become RGB. The orientation is applied, its tag in the EXIF data set to 1
    and the thumbnail in them, which would show the old picture, unlinked; so it is in the XMP
    packet, of which JPEG files with more than 64 kB give the main part. IPTC and comments are not
    kept. Animations and files of several pages are refused rather than cut to their first picture.

    Raises:
        PictureError: the file is missing, no picture, damaged, cut off or above the limit of
            pixels (`formats.MAX_PIXELS`, or RESTOREKIT_MAX_PIXELS).
    """
    path = Path(path)
    try:
        data = _read_bytes(path)
        with quiet:
            return decode(data)
    except FormatError as error:
        raise PictureError(f"{path} {error}") from error
    except UsageError:
        raise
    except MemoryError as error:
        raise PictureError(
            f"{path} does not fit into memory; close other programs or cut the picture"
        ) from error
    except Exception as error:  # decoders raise anything on damaged bytes
        raise PictureError(
            f"{path} holds damaged or incomplete data ({_brief(error)}); copy or export it again"
        ) from error


def write_image(path: Path | str, image: Image, *, quality: int = QUALITY) -> None:
    """Write a picture in the format that the suffix names, whole or not at all.

    PNG holds 8 and 16 bits, TIFF also float32, JPEG, WebP and BMP 8 bits; deeper samples are
    rounded and what does not fit is left out (`lost_in` says it before). Quality (0 to 100) is
    for JPEG, always 4:4:4, and WebP, where 100 is lossless; WebP stores grey as RGB. An EXIF
    block is kept byte for byte, in TIFF tag by tag, an XMP packet byte for byte.

    Raises:
        PictureError: the format is unknown, the picture too large for it, or the place cannot
            be written to.
    """
    path = Path(path)
    try:
        with quiet:
            data = encode(image, _format_for(path), quality)
        _require_writable_kind(path)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except FormatError as error:
        raise PictureError(f"{path} {error}") from error
    except OSError as error:
        raise PictureError(
            f"{path} cannot be written ({_brief(error)}); choose another place"
        ) from error


def lost_in(path: Path | str, image: Image) -> list[str]:
    """Say what `write_image` would lose of a picture because of the format, one phrase each.

    The lossy compression of JPEG and WebP is no news and not listed.

    Raises:
        PictureError: the format is unknown.
    """
    try:
        return losses(_format_for(Path(path)), image)
    except FormatError as error:
        raise PictureError(f"{path} {error}") from error


def _format_for(path: Path) -> Format:
    form = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if form is None:
        known = ", ".join(sorted(FORMAT_OF_SUFFIX))
        raise FormatError(f"ends in '{path.suffix}', which cannot be written; use one of {known}")
    return form


def _require_writable_kind(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise FormatError(f"is {kind} and cannot be written over; name a file")


def _require_file(path: Path) -> None:
    if not path.exists():
        raise FormatError("does not exist; check the name")
    if path.is_dir():
        raise FormatError("is a folder; name a picture in it")
    if not path.is_file():
        raise FormatError("is not a regular file; name a picture")


def _read_bytes(path: Path) -> bytes:
    try:
        _require_file(path)
        with path.open("rb") as file:
            head = file.read(HEAD)
            sniff(head)  # before gigabytes of something else are read
            return head + file.read()
    except OSError as error:
        raise FormatError(
            f"cannot be read ({_brief(error)}); check its permissions and its disk"
        ) from error


def _brief(error: Exception) -> str:
    """Put what an error says on one short line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join((text or type(error).__name__).split())[:120]
