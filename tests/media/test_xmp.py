"""XMP packets that other programs wrote go from every format to every format."""

import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile
from PIL.PngImagePlugin import PngInfo

from restorekit.media.image import lost_in, read_image, write_image
from restorekit.types import Image

PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF><rdf:Description xmp:Rating="4" dc:title="Größe 写真"/></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
).encode()
PIXELS = np.random.default_rng(3).integers(0, 256, (16, 24, 3), np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257


def save_png(path, packet, **options):
    info = PngInfo()
    info.add_itxt("Comment", "<x:xmpmeta>not this</x:xmpmeta>")
    info.add_itxt("XML:com.adobe.xmp", packet.decode(), **options)
    PIL.Image.fromarray(PIXELS).save(path, pnginfo=info)


def save_zipped_png(path, packet):
    save_png(path, packet, lang="en", tkey="title", zip=True)


def save_deep_png(path, packet):
    write_image(path, Image(DEEP, xmp=packet))


def save_by_pillow(path, packet, **options):
    options |= {"tiffinfo": {700: packet}} if path.suffix == ".tif" else {"xmp": packet}
    PIL.Image.fromarray(PIXELS).save(path, **options)


def save_tiff(path, packet, orientation=1):
    tags = [(700, 1, len(packet), packet, True), (274, 3, 1, orientation, True)]
    tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=tags, metadata=None)


def save_deep_tiff(path, packet):
    tags = [(700, 7, len(packet), packet, True)]
    tifffile.imwrite(path, DEEP, photometric="rgb", bigtiff=True, extratags=tags, metadata=None)


SOURCES = {
    "text.png": save_png,
    "zipped.png": save_zipped_png,
    "deep.png": save_deep_png,
    "a.jpg": save_by_pillow,
    "a.webp": save_by_pillow,
    "pillow.tif": save_by_pillow,
    "bytes.tif": save_tiff,
    "undefined.tif": save_deep_tiff,
}


def packet_by_others(path):
    """What Pillow, or tifffile for TIFF, finds in a file."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            return file.pages.first.tags[700].value
    with PIL.Image.open(path) as opened:
        return opened.info["xmp"]


@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_packet_goes_from_format_to_format(tmp_path, source, target):
    SOURCES[source](tmp_path / source, PACKET)
    image = read_image(tmp_path / source)
    assert image.xmp == PACKET
    write_image(tmp_path / target, image)
    assert packet_by_others(tmp_path / target) == PACKET
    assert read_image(tmp_path / target).xmp == PACKET
    assert not [loss for loss in lost_in(tmp_path / target, image) if "XMP" in loss]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_the_packet_lies_beside_profile_and_exif(tmp_path, name):
    exif = PIL.Image.Exif()
    exif[271] = "Maker"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    write_image(tmp_path / name, Image(PIXELS, None, b"profile" * 40, block, PACKET))
    image = read_image(tmp_path / name)
    assert (image.icc, image.xmp) == (b"profile" * 40, PACKET)
    kept = PIL.Image.Exif()
    kept.load(image.exif)
    assert kept[271] == "Maker"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_no_packet_is_made_up(tmp_path, name):
    write_image(tmp_path / name, Image(PIXELS))
    assert read_image(tmp_path / name).xmp is None


def orientation_of(tag, turned):
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "Maker", turned
    return exif, f"<x:xmpmeta>{tag}</x:xmpmeta>".encode()


@pytest.mark.parametrize(
    "tag",
    [
        '<d tiff:Orientation="{}" tiff:Make="6"/>',
        "<d tiff:Orientation = '{}'/>",
        "<tiff:Orientation>{}</tiff:Orientation>",
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_the_packet_of_a_turned_picture_says_that_it_is_upright(tmp_path, name, tag):
    exif, packet = orientation_of(tag.format(6), 6)
    save_by_pillow(tmp_path / name, packet, exif=exif)
    image = read_image(tmp_path / name)
    assert image.pixels.shape == (24, 16, 3)
    assert image.xmp == orientation_of(tag.format(1), 6)[1]


def test_the_packet_of_a_turned_tiff_says_that_it_is_upright(tmp_path):
    save_tiff(tmp_path / "a.tif", b'<d tiff:Orientation="8"/>', orientation=8)
    assert read_image(tmp_path / "a.tif").xmp == b'<d tiff:Orientation="1"/>'


def test_the_packet_of_a_picture_that_was_not_turned_is_left_alone(tmp_path):
    exif, packet = orientation_of('<d tiff:Orientation="6"/>', 1)
    save_by_pillow(tmp_path / "a.jpg", packet, exif=exif)
    assert read_image(tmp_path / "a.jpg").xmp == packet


def test_thumbnails_of_the_old_picture_and_padding_go(tmp_path):
    thumbnail = b"<xmp:Thumbnails>\n<xmpGImg:image>/9j/4AA</xmpGImg:image></xmp:Thumbnails>"
    save_tiff(tmp_path / "a.tif", PACKET + thumbnail + b" " * 40 + bytes(9))
    assert read_image(tmp_path / "a.tif").xmp == PACKET + b" " * 40


def test_bmp_and_a_full_jpeg_segment_say_that_they_drop_it(tmp_path):
    most = Image(PIXELS, xmp=b"x" * (65533 - 29))
    too_much = Image(PIXELS, xmp=most.xmp + b"x")
    assert lost_in("a.jpg", most) == []
    assert lost_in("a.jpg", too_much) == ["the XMP data are dropped"]
    assert lost_in("a.bmp", most) == ["the XMP data are dropped"]
    for name, image, kept in (
        ("a.jpg", most, most.xmp),
        ("b.jpg", too_much, None),
        ("c.bmp", most, None),
        ("d.png", too_much, too_much.xmp),
        ("e.webp", too_much, too_much.xmp),
        ("f.tif", too_much, too_much.xmp),
    ):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).xmp == kept


def chunk(name, payload):
    body = name + payload
    return len(payload).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0en",
        b"\0\0en\0title\0",
        b"\1\0\0\0no zlib stream",
        b"\1\0\0\0" + zlib.compress(PACKET)[:-5],
    ],
)
def test_a_broken_packet_in_png_counts_as_none(tmp_path, rest):
    path = tmp_path / "a.png"
    write_image(path, Image(PIXELS))
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0" + rest) + whole[33:])
    image = read_image(path)
    assert image.xmp is None
    np.testing.assert_array_equal(image.pixels, PIXELS)
