"""EXIF blocks and TIFF directories, copied entry by entry without interpreting their values.

XMP packets are text, of which only what would be false of the restored picture is changed.

An EXIF block is a small TIFF file without pixels (EXIF 2.32, section 4.5; TIFF 6.0, section 2), so
one reader and one writer of directories serve both, and also BigTIFF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

_VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_VALUE_SIZES |= {16: 8, 17: 8, 18: 8}
_SHORT, _LONG, _LONG8 = 3, 4, 16
_WHOLE = {_SHORT: "H", _LONG: "I"}
"""The `struct` codes of whole numbers: an orientation should be the first; some are the other."""

_ORIENTATION = 274
_RESOLUTION_UNIT = 296
_SUBDIRECTORIES = {34665, 34853, 40965}  # EXIF, GPS, interoperability
_RESOLUTION = {282, 283, _RESOLUTION_UNIT}
_DESCRIPTIVE = {270, 271, 272, 305, 306, 315, 316, 33432}  # text, camera, software, date, owner
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[1-8]")
_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails>.*?</\1:Thumbnails>", re.DOTALL)
_PORTABLE = _DESCRIPTIVE | _RESOLUTION | _SUBDIRECTORIES | {_ORIENTATION}


ByteOrder = Literal["<", ">"]


class Layout(NamedTuple):
    """How a TIFF structure stores numbers: byte order `<` or `>`, and whether it is BigTIFF."""

    order: ByteOrder
    big: bool

    @property
    def word(self) -> str:
        """The `struct` code of offsets and counts."""
        return "Q" if self.big else "I"

    @property
    def inline(self) -> int:
        """Bytes of value that fit into an entry."""
        return 8 if self.big else 4

    @property
    def entry_size(self) -> int:
        """Bytes of one entry."""
        return 20 if self.big else 12

    def unpack(self, kinds: str, data: bytes | memoryview, at: int) -> tuple[int, ...]:
        """Read numbers at a position."""
        return struct.unpack_from(self.order + kinds, data, at)

    def pack(self, kinds: str, *values: int) -> bytes:
        """Write numbers."""
        return struct.pack(self.order + kinds, *values)


class Entry(NamedTuple):
    """One tag of a directory: its values as bytes, or the directory that it points to."""

    tag: int
    kind: int
    length: int
    data: bytes | memoryview
    children: tuple[Entry, ...] = ()


_MAGIC = {
    b"II*\0": Layout("<", big=False),
    b"MM\0*": Layout(">", big=False),
    b"II+\0": Layout("<", big=True),
    b"MM\0+": Layout(">", big=True),
}


def without_prefix(exif: bytes) -> bytes:
    """Strip the `Exif` marker that JPEG files put before the block."""
    return re.sub(rb"\A(Exif\0\0)+", b"", exif)


def upright(block: bytes) -> tuple[bytes, int]:
    """Set the orientation tag to 1 and unlink what follows the first directory.

    In an EXIF block the second directory is a thumbnail, which would go on showing the degraded
    picture. Returns the block and the orientation (1 to 8) it had; a block that cannot be
    understood is returned as it is, with 1.
    """
    layout = _MAGIC.get(block[:4])
    if layout is None:
        return block, 1
    patched, orientation = bytearray(block), 1
    try:
        first = _first_directory(block, layout)
        link = first
        for at, tag, kind, _ in _entries(block, layout, first):
            link = at + layout.entry_size
            if tag == _ORIENTATION and kind in _WHOLE:
                value_at = link - layout.inline
                (orientation,) = layout.unpack(_WHOLE[kind], block, value_at)
                one = layout.pack(_WHOLE[kind], 1)
                patched[value_at : value_at + len(one)] = one
        if link > first:
            struct.pack_into(layout.order + layout.word, patched, link, 0)
    except struct.error:
        return block, 1
    return bytes(patched), orientation if 1 <= orientation <= 8 else 1


def packet_of(xmp: bytes, *, is_turned: bool) -> bytes:
    """Strip an XMP packet of padding bytes and of thumbnails, which show the degraded picture.

    If the pixels were turned, the orientation it repeats is set to 1.
    """
    packet = _THUMBNAILS.sub(b"", xmp.rstrip(b"\0"))
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet) if is_turned else packet


def values_end(tiff: bytes, tags: Collection[int]) -> int:
    """Return the position behind the last byte that some tags of a TIFF file point to."""
    layout = _MAGIC[tiff[:4]]
    end = 0
    for at, tag, kind, length in _entries(tiff, layout, _first_directory(tiff, layout)):
        size = _VALUE_SIZES.get(kind, 0) * length
        if tag in tags and size > layout.inline:
            value_at = at + layout.entry_size - layout.inline
            end = max(end, layout.unpack(layout.word, tiff, value_at)[0] + size)
    return end


def exif_of_tiff(tiff: bytes) -> bytes | None:
    """Collect what a TIFF file says of camera, date, owner, resolution and place as an EXIF block.

    Values are copied byte for byte, so a maker note that holds offsets into its old file is as
    broken as any other program leaves it. None when there is nothing to keep.
    """
    layout = _MAGIC[tiff[:4]]
    try:
        entries = _read(memoryview(tiff), layout, _first_directory(tiff, layout), _PORTABLE)
    except struct.error:
        return None
    entries = _without_empty_resolution(entries, layout)
    if all(entry.tag == _ORIENTATION for entry in entries):
        return None
    plain = Layout(layout.order, big=False)
    return _magic_of(plain) + plain.pack("I", 8) + _write(entries, plain, 8)


def with_exif(tiff: bytes, exif: bytes) -> bytes:
    """Add to a TIFF file what an EXIF block says; both in the same byte order.

    The enlarged directory is appended and the header made to point to it, because offsets to
    the pixels are absolute and stay valid.
    """
    layout, source = _MAGIC[tiff[:4]], _MAGIC.get(exif[:4])
    if source is None:
        return tiff
    try:
        added = _read(memoryview(exif), source, _first_directory(exif, source), _PORTABLE)
    except struct.error:
        return tiff
    first = _first_directory(tiff, layout)
    entries = {entry.tag: entry for entry in _read(memoryview(tiff), layout, first, None)}
    entries |= {entry.tag: entry for entry in added}
    at = len(tiff) + len(tiff) % 2
    word = layout.inline
    header = tiff[:word] + layout.pack(layout.word, at)
    body = tiff[2 * word :].ljust(at - 2 * word, b"\0")
    return header + body + _write(entries.values(), layout, at)


def byte_order(exif: bytes | None) -> ByteOrder:
    """Return the order of an EXIF block, `<` or `>`; `<` where there is none."""
    layout = _MAGIC.get(exif[:4]) if exif else None
    return layout.order if layout else "<"


def _magic_of(layout: Layout) -> bytes:
    return next(magic for magic, known in _MAGIC.items() if known == layout)


def _first_directory(block: bytes, layout: Layout) -> int:
    (offset,) = layout.unpack(layout.word, block, layout.inline)
    return offset


def _entries(
    block: bytes | memoryview, layout: Layout, offset: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield position, tag, kind and count of each entry of the directory at an offset."""
    counter = "Q" if layout.big else "H"
    (number,) = layout.unpack(counter, block, offset)
    start = offset + struct.calcsize(layout.order + counter)
    for index in range(number):
        at = start + index * layout.entry_size
        tag, kind, count = layout.unpack("HH" + layout.word, block, at)
        yield at, tag, kind, count


def _read(
    block: memoryview, layout: Layout, offset: int, wanted: set[int] | None, depth: int = 2
) -> list[Entry]:
    entries = []
    for at, tag, kind, count in _entries(block, layout, offset):
        size = _VALUE_SIZES.get(kind, 0) * count
        if not size or (wanted is not None and tag not in wanted):
            continue
        value_at = at + layout.entry_size - layout.inline
        (pointer,) = layout.unpack(layout.word, block, value_at)
        if tag in _SUBDIRECTORIES:
            children = tuple(_read(block, layout, pointer, None, depth - 1)) if depth else ()
            if children:
                entries.append(Entry(tag, kind, count, b"", children))
            continue
        start = value_at if size <= layout.inline else pointer
        entries.append(Entry(tag, kind, count, block[start : start + size]))
    whole = [entry for entry in entries if entry.children or _is_whole(entry)]
    if sum(len(entry.data) for entry in whole) > len(block):
        raise struct.error("the values overlap")
    return whole


def _is_whole(entry: Entry) -> bool:
    return len(entry.data) == _VALUE_SIZES[entry.kind] * entry.length


def _without_empty_resolution(entries: list[Entry], layout: Layout) -> list[Entry]:
    units = [e.data for e in entries if e.tag == _RESOLUTION_UNIT and e.kind == _SHORT]
    if units and layout.unpack("H", units[0], 0) != (1,):
        return entries
    return [entry for entry in entries if entry.tag not in _RESOLUTION]


def _write(entries: Iterable[Entry], layout: Layout, at: int) -> bytes:
    """Lay out a directory that begins at the absolute position `at`, its values behind it."""
    ordered = sorted(entries, key=lambda entry: entry.tag)
    counter = "Q" if layout.big else "H"
    table = layout.pack(counter, len(ordered))
    position = at + len(table) + len(ordered) * layout.entry_size + struct.calcsize(layout.word)
    values = b""
    for entry in ordered:
        kind, count, data = entry.kind, entry.length, bytes(entry.data)
        if entry.children:
            kind, count = _LONG8 if layout.big else _LONG, 1
            data = _write(entry.children, layout, position)
        if entry.children or len(data) > layout.inline:
            inline = layout.pack(layout.word, position)
            data += b"\0" * (len(data) % 2)
            values += data
            position += len(data)
        else:
            inline = data.ljust(layout.inline, b"\0")
        table += layout.pack("HH" + layout.word, entry.tag, kind, count) + inline
    return table + layout.pack(layout.word, 0) + values
