"""PNG files: chunks checked, metadata taken out and put in.

After the PNG specification, third edition.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from restorekit.media.formats import FormatError

_SIGNATURE = 8
_HEADER_END = 33
_MAX_UNPACKED = 16 * 2**20  # bytes; printer profiles have one or two million
_XMP = b"XML:com.adobe.xmp\0"


class Header(NamedTuple):
    """The IHDR chunk: size in pixels, bits per sample, colour type."""

    width: int
    height: int
    depth: int
    colour: int

    @property
    def is_grey(self) -> bool:
        """True for grey, with or without alpha."""
        return self.colour in (0, 4)

    @property
    def has_alpha(self) -> bool:
        """True when there is a channel of opacity."""
        return self.colour in (4, 6)


class Extras(NamedTuple):
    """What a PNG file says besides its pixels."""

    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    frames: int
    transparent: bytes | None
    """The colour that is transparent where there is no alpha channel (big-endian samples)."""


def read_header(data: bytes) -> Header:
    """Read size and depth without looking at the rest.

    Raises:
        FormatError: the file ends within its header.
    """
    if len(data) < _HEADER_END or data[12:16] != b"IHDR":
        raise FormatError("is cut off within its PNG header; copy the file again")
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    return Header(width, height, data[24], data[25])


def read_extras(data: bytes) -> Extras:
    """Walk through all chunks; every length and checksum has to be right up to the last chunk.

    Raises:
        FormatError: the file is cut off or damaged.
    """
    found: dict[bytes, bytes] = {}
    for name, payload in _chunks(memoryview(data)):
        is_packet = name == b"iTXt" and payload[: len(_XMP)] == _XMP
        if is_packet or name in (b"iCCP", b"eXIf", b"acTL", b"tRNS"):
            found.setdefault(name, bytes(payload))
    frames = int.from_bytes(found[b"acTL"][:4]) if b"acTL" in found else 1
    _, _, profile = found.get(b"iCCP", b"").partition(b"\0")
    xmp = _packet(found.get(b"iTXt", b""))
    return Extras(_inflated(profile[1:]), found.get(b"eXIf"), xmp, frames, found.get(b"tRNS"))


def read_exif(path: Path) -> bytes | None:
    """Find the EXIF block of a file, which may stand behind the pixels; only it is read."""
    at = _SIGNATURE
    with path.open("rb", buffering=0) as file:
        while True:
            file.seek(at)
            length, name = int.from_bytes(file.read(4)), file.read(4)
            if name == b"eXIf":
                return file.read(length)
            if name in (b"IEND", b""):
                return None
            at += 12 + length


def with_extras(data: bytes, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """Add an ICC profile, an EXIF block and an XMP packet to an encoded picture."""
    chunks = b""
    if icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif:
        chunks += _chunk(b"eXIf", exif)
    if xmp:
        chunks += _chunk(b"iTXt", _XMP + bytes(4) + xmp)
    return data[:_HEADER_END] + chunks + data[_HEADER_END:]


def declared_as(data: bytes, depth: int, colour: int) -> bytes:
    """Change what the header says of the samples, leaving the compressed rows as they are.

    The filters of PNG work on bytes and know only the bytes per pixel, so rows encoded as one
    pixel type are valid rows of any other type with as many bytes per pixel.
    """
    body = data[16:24] + bytes((depth, colour)) + data[26:29]
    return data[:_SIGNATURE] + _chunk(b"IHDR", body) + data[_HEADER_END:]


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at, name = _SIGNATURE, b""
    while name != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data) or len(data) < at + 12:
            raise FormatError(f"is cut off after {len(data)} bytes; copy the file again")
        name = bytes(data[at + 4 : at + 8])
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise FormatError(f"is damaged at byte {at} (PNG checksum); copy the file again")
        yield name, data[at + 8 : end - 4]
        at = end


def _chunk(name: bytes, payload: bytes) -> bytes:
    body = name + payload
    return len(payload).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


def _packet(chunk: bytes) -> bytes | None:
    """Take the XMP packet out of an iTXt chunk: keyword, coding, language, title, text."""
    coding, rest = chunk[len(_XMP) : len(_XMP) + 2], chunk[len(_XMP) + 2 :]
    _, _, text = rest.partition(b"\0")[2].partition(b"\0")
    return _inflated(text) if coding[:1] == b"\1" else text or None


def _inflated(packed: bytes) -> bytes | None:
    """Unpack a profile or packet; a broken or absurdly large one counts as none."""
    try:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(packed, _MAX_UNPACKED)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None
