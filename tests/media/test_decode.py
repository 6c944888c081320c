"""Pictures that other programs wrote: every orientation, colour type, depth and packing."""

import io
import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from PIL import ImageCms, ImageOps

from restorekit.errors import PictureError
from restorekit.media.image import read_image, write_image

SIZE = (5, 7)  # rows and columns: odd and different


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture
def deep(rgb):
    return rgb.astype(np.uint16) * 257 - (rgb > 0)


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def exif_with(orientation):
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "Maker", orientation
    return exif


def upright_by_pillow(pixels, orientation):
    picture = PIL.Image.fromarray(pixels)
    picture.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_orientation_is_applied_exactly_once(tmp_path, rgb, name, orientation):
    options = {"lossless": True} if name == "a.webp" else {}
    path = tmp_path / name
    saved(path, PIL.Image.fromarray(rgb), exif=exif_with(orientation), **options)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, upright_by_pillow(rgb, orientation))
    kept = PIL.Image.Exif()
    kept.load(image.exif)
    assert (kept[271], kept[274]) == ("Maker", 1)
    write_image(path, image, quality=100)
    np.testing.assert_array_equal(read_image(path).pixels, image.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_orientation(tmp_path, orientation):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 255
    path = saved(tmp_path / "a.jpg", PIL.Image.fromarray(pixels), exif=exif_with(orientation))
    image = read_image(path)
    expected = upright_by_pillow(pixels, orientation)
    np.testing.assert_allclose(image.pixels, expected, atol=8)
    assert image.exif.startswith((b"II*\0", b"MM\0*"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bigtiff", [False, True])
def test_deep_tiff_orientation_with_alpha(tmp_path, deep, orientation, bigtiff):
    rgba = np.dstack([deep, deep[..., 0] // 2])
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        rgba,
        photometric="rgb",
        extrasamples=["unassalpha"],
        bigtiff=bigtiff,
        extratags=[(274, "H", 1, orientation, True), (271, "s", 0, "Maker", True)],
    )
    image = read_image(path)
    low = upright_by_pillow((rgba & 255).astype(np.uint8), orientation)
    high = upright_by_pillow((rgba >> 8).astype(np.uint8), orientation)
    expected = low + high.astype(np.uint16) * 256
    np.testing.assert_array_equal(np.dstack([image.pixels, image.alpha]), expected)


def test_an_orientation_out_of_range_is_none(tmp_path, rgb):
    path = saved(tmp_path / "a.png", PIL.Image.fromarray(rgb), exif=exif_with(9))
    np.testing.assert_array_equal(read_image(path).pixels, rgb)


def test_the_thumbnail_of_the_old_picture_is_unlinked(tmp_path, rgb):
    entry = struct.pack("<HHII", 271, 2, 4, int.from_bytes(b"abc\0", "little"))
    thumbnail = struct.pack("<H", 1) + struct.pack("<HHII", 259, 3, 1, 6) + bytes(4)
    first = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 26) + thumbnail
    path = saved(tmp_path / "a.png", PIL.Image.fromarray(rgb), exif=first)
    kept = PIL.Image.Exif()
    kept.load(read_image(path).exif)
    assert kept[271] == "abc"
    assert kept.get_ifd(1) == {}


def test_broken_exif_is_kept_and_harmless(tmp_path, rgb):
    for exif in (
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*",
        b"junk",
        b"II*\0\x08\0\0\0\xff\xff" + bytes(9),
    ):
        path = saved(tmp_path / "a.png", PIL.Image.fromarray(rgb), exif=exif)
        image = read_image(path)
        assert image.exif == exif
        write_image(tmp_path / "b.tif", image)
        np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, rgb)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pillow_modes(tmp_path, rgb, mode, suffix):
    source = PIL.Image.fromarray(rgb)
    picture = source.quantize(5) if mode == "P" else source.convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(PIL.Image.fromarray(rgb[..., 2]))
    image = read_image(saved(tmp_path / f"a.{suffix}", picture))
    assert image.is_grey == (mode in ("1", "L", "LA"))
    assert image.depth == 8
    expected = np.atleast_3d(np.asarray(picture.convert("L" if image.is_grey else "RGB")))
    np.testing.assert_array_equal(image.pixels, expected)
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(image.alpha, rgb[..., 2])
    else:
        assert image.alpha is None


def test_palette_with_transparency(tmp_path, rgb):
    picture = PIL.Image.fromarray(rgb).quantize(4)
    image = read_image(saved(tmp_path / "a.png", picture, transparency=bytes([0, 90, 255, 255])))
    index = np.asarray(picture)
    np.testing.assert_array_equal(image.alpha, np.array([0, 90, 255, 255], np.uint8)[index])
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9))])
def test_transparent_colour(tmp_path, rgb, mode, key):
    rgb[2, 3] = key
    picture = PIL.Image.fromarray(rgb[..., 0]) if mode == "L" else PIL.Image.fromarray(rgb)
    image = read_image(saved(tmp_path / "a.png", picture, transparency=key))
    assert image.alpha[2, 3] == 0
    assert np.count_nonzero(image.alpha) >= image.alpha.size - 2


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_grey_of_every_depth(tmp_path, depth):
    top = 2**depth - 1
    levels = np.arange(top + 1)
    packed = np.packbits((levels[:, None] >> np.arange(depth)[::-1]) & 1).tobytes()
    for key in {0, 1, top - 1, top}:
        (tmp_path / "a.png").write_bytes(
            png_of(
                (b"IHDR", struct.pack(">IIBBBBB", top + 1, 1, depth, 0, 0, 0, 0)),
                (b"tRNS", struct.pack(">H", key)),
                (b"IDAT", zlib.compress(b"\0" + packed)),
            )
        )
        image = read_image(tmp_path / "a.png")
        np.testing.assert_array_equal(image.pixels[0, :, 0], levels * (255 // top))
        np.testing.assert_array_equal(image.alpha[0], np.where(levels == key, 0, 255))


def png_of(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (*chunks, (b"IEND", b""))
    )


def with_chunk(png, name, payload):
    body = name + payload
    return (
        png[:33]
        + struct.pack(">I", len(payload))
        + body
        + struct.pack(">I", zlib.crc32(body))
        + png[33:]
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_with_16_bits(tmp_path, deep, channels):
    samples = deep[..., :channels]
    _, png = cv2.imencode(".png", samples[..., ::-1])
    key = samples[1, 2].astype(">u2").tobytes()
    path = tmp_path / "a.png"
    path.write_bytes(with_chunk(png.tobytes(), b"tRNS", key))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, samples)
    expected = np.where((samples == samples[1, 2]).all(axis=2), 0, 65535)
    np.testing.assert_array_equal(image.alpha, expected)
    assert image.alpha.dtype == np.uint16


def test_16_bit_png_of_another_encoder(tmp_path, deep):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 16, 2, 0, 0, 0)
    png = png_of((b"IHDR", header), (b"IDAT", zlib.compress(rows)))
    (tmp_path / "a.png").write_bytes(png)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, deep)


@pytest.mark.parametrize("packing", [1, 5, 8, 32773])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_tiff_packings_of_opencv(tmp_path, deep, packing, kind):
    samples = deep if kind == "uint16" else (deep / np.float32(65535)).astype(np.float32)
    predictor = 1 if packing in (1, 32773) else (2 if kind == "uint16" else 3)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, packing, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    assert cv2.imwrite(str(tmp_path / "a.tif"), samples[..., ::-1], options)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, samples)


@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"rowsperstrip": 2, "compression": "zlib", "predictor": True},
    ],
)
def test_tiff_layouts(tmp_path, deep, options):
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", **options)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, deep)
    assert image.pixels.dtype.isnative


def test_tiff_with_planes_apart(tmp_path, deep):
    planes = np.moveaxis(deep, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, deep)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_where_white_is_zero(tmp_path, deep, dtype):
    grey = (deep[..., :1] >> (8 if dtype == np.uint8 else 0)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", grey[..., 0], photometric="miniswhite")
    expected = np.iinfo(dtype).max - grey
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_tiff_whose_kind_of_samples_is_undefined(tmp_path, rgb, mode):
    picture = PIL.Image.fromarray(rgb).convert(mode)
    picture.save(tmp_path / "a.tif", tiffinfo={339: (4,) * len(mode)})
    assert tifffile.TiffFile(tmp_path / "a.tif").pages.first.sampleformat == 4
    image = read_image(tmp_path / "a.tif")
    samples = np.atleast_3d(np.array(picture))
    np.testing.assert_array_equal(image.pixels, samples[..., :3])
    assert (image.alpha is not None) == (mode == "RGBA")


def test_premultiplied_alpha_is_divided_out(tmp_path):
    half = np.full((2, 2, 4), 16384, np.uint16)
    half[..., 3] = 32768
    half[0, 0] = 0
    tifffile.imwrite(tmp_path / "a.tif", half, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[1, 1], [32768] * 3)
    np.testing.assert_array_equal(image.pixels[0, 0], [0, 0, 0])


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros((4, 4, 3), np.uint32), {"photometric": "rgb"}, "uint32"),
        (np.zeros((4, 4, 3), np.float64), {"photometric": "rgb"}, "float64"),
        (np.zeros((4, 4), np.int16), {}, "int16"),
        (np.zeros((4, 4), np.int8), {}, "holds int8"),
        (np.zeros((4, 4, 4), np.uint16), {"photometric": "separated"}, "SEPARATED"),
        (
            np.zeros((4, 4, 5), np.uint16),
            {"photometric": "rgb", "planarconfig": "contig", "extrasamples": [0, 0]},
            "5 channels",
        ),
        (np.full((4, 4), 2, np.float32), {}, "from 2 to 2"),
        (np.full((4, 4), np.nan, np.float32), {}, "nan"),
        (np.zeros((3, 9, 9), np.uint16), {"photometric": "minisblack"}, "3 pages"),
    ],
)
def test_tiff_that_is_refused_says_why(tmp_path, samples, options, words):
    tifffile.imwrite(tmp_path / "a.tif", samples, metadata=None, **options)
    with pytest.raises(PictureError, match=words) as caught:
        read_image(tmp_path / "a.tif")
    assert str(caught.value).startswith(str(tmp_path / "a.tif"))


@pytest.mark.parametrize("depth", [3, 5, 6, 7, 10, 12, 14])
def test_packed_tiff_is_refused_for_its_depth(tmp_path, depth):
    tags = {256: 8, 257: 2, 258: depth, 259: 1, 262: 1, 273: 122, 277: 1, 278: 2, 279: 2 * depth}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(head + bytes(range(2 * depth)))
    with pytest.raises(PictureError, match=f"holds {depth}-bit samples; save it with unsigned"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_orientation_in_xmp_alone_turns_no_tiff(tmp_path, rgb, deep, orientation):
    packet = b'<rdf:Description tiff:Orientation="%d"/>' % orientation
    for samples in (rgb, deep):
        tags = [(700, 1, len(packet), packet, True)]
        tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extratags=tags)
        image = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(image.pixels, samples)
        assert image.xmp == packet


def test_a_tiff_thumbnail_is_no_second_page(tmp_path, deep):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(deep, photometric="rgb", metadata=None)
        file.write(deep[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, deep)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    picture = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read_image(saved(tmp_path / f"a.{suffix}", picture))
    assert image.pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(image.pixels[8, 8], [255, 0, 0], atol=4)


def test_a_profile_that_does_not_fit_cmyk_is_passed_over(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read_image(saved(tmp_path / "a.jpg", picture, icc_profile=srgb))
    np.testing.assert_allclose(image.pixels[8, 8], [255, 0, 0], atol=4)
    assert image.icc is None  # it described inks


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_animations_are_refused(tmp_path, rgb, name):
    frames = [PIL.Image.fromarray(rgb), PIL.Image.fromarray(255 - rgb)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=r"2 (frames|pages)"):
        read_image(tmp_path / name)


def test_a_broken_profile_counts_as_none(tmp_path, rgb):
    buffer = io.BytesIO()
    PIL.Image.fromarray(rgb).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(with_chunk(buffer.getvalue(), b"iCCP", b"name\0\0junk"))
    image = read_image(tmp_path / "a.png")
    assert image.icc is None
    np.testing.assert_array_equal(image.pixels, rgb)
