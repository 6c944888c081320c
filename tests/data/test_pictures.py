"""Upright sizes from headers: those of the pictures that are read."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from restorekit.data.pictures import picture_size
from restorekit.errors import PictureError
from restorekit.media.image import read_image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)
ORIENTATIONS = range(1, 9)


def exif_with(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def require_size(path, height, width):
    image = read_image(path)
    assert picture_size(path) == (image.height, image.width) == (height, width)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_size_is_upright(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (6, 4)).save(path, exif=exif_with(orientation))
    require_size(path, *((4, 6) if orientation < 5 else (6, 4)))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("bigtiff", "kind"), [(False, "H"), (True, "H"), (False, "I")])
def test_size_of_a_deep_picture_is_upright(tmp_path, orientation, bigtiff, kind):
    turned = [(274, kind, 1, orientation, True)]
    samples = np.zeros((4, 6, 3), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples, photometric="rgb", extratags=turned, bigtiff=bigtiff)
    require_size(path, *((4, 6) if orientation < 5 else (6, 4)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_an_orientation_may_be_a_long_number(tmp_path, suffix, order):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}IHHHIII", 8, 1, 274, 4, 1, 6, 0)
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (6, 4)).save(path, exif=b"Exif\0\0" + mark + directory)
    require_size(path, 6, 4)
    assert read_image(path).exif in (None, mark + directory.replace(b"\6", b"\1"))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_an_orientation_in_xmp_alone_turns_nothing(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    packet = XMP % orientation
    options = {"tiffinfo": {700: packet}} if suffix == "tif" else {"xmp": packet}
    Image.new("RGB", (6, 4)).save(path, **options)
    assert read_image(path).xmp
    require_size(path, 4, 6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_png_may_tell_its_orientation_behind_the_pixels(tmp_path, orientation):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "PNG")
    body = b"eXIf" + exif_with(orientation).tobytes(8).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    whole = buffer.getvalue()
    (tmp_path / "a.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    require_size(tmp_path / "a.png", *((4, 6) if orientation < 5 else (6, 4)))


def test_size_of_a_cut_off_png_is_that_of_its_header(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-20])
    assert picture_size(tmp_path / "a.png") == (4, 6)


def test_a_file_without_a_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="not a picture"):
        picture_size(tmp_path / "a.png")
