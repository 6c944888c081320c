"""Whatever lies in a file: a whole picture or one clear line, never half a picture."""

import os
import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorekit.errors import PictureError, UsageError
from restorekit.media.image import read_image, write_image
from restorekit.types import Image


def picture(dtype=np.uint8, side=48):
    rows, columns = np.mgrid[0:side, 0:side] / side
    noise = np.random.default_rng(0).random((side, side)) / 4
    planes = np.stack([rows, columns, noise], axis=2)
    return (planes * np.iinfo(dtype).max).astype(dtype)


def _pillow(path, mode="RGB", **options):
    PIL.Image.fromarray(picture()).convert(mode).save(path, **options)


def _bmp_of_runs(path):
    rows = b"".join(bytes((48, row, 0, 0)) for row in range(48)) + b"\0\1"
    palette = b"".join(bytes((n, n, n, 0)) for n in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, 48, 48, 1, 8, 1, len(rows), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    file = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    path.write_bytes(file + header + palette + rows)


WRITERS = {
    "png-8": lambda path: write_image(path.with_suffix(".png"), Image(picture())),
    "png-16": lambda path: write_image(path.with_suffix(".png"), Image(picture(np.uint16))),
    "png-interlaced-palette": lambda path: _pillow(path, "P", format="PNG"),
    "png-pillow": lambda path: _pillow(path, format="PNG"),
    "jpeg": lambda path: _pillow(path, format="JPEG", quality=90),
    "jpeg-progressive": lambda path: _pillow(path, format="JPEG", progressive=True),
    "jpeg-grey": lambda path: _pillow(path, "L", format="JPEG"),
    "webp": lambda path: _pillow(path, format="WEBP"),
    "webp-lossless": lambda path: _pillow(path, format="WEBP", lossless=True),
    "webp-alpha": lambda path: _pillow(path, "RGBA", format="WEBP", exif=b"II*\0"),
    "tiff-8": lambda path: write_image(path.with_suffix(".tif"), Image(picture())),
    "tiff-16": lambda path: write_image(path.with_suffix(".tif"), Image(picture(np.uint16))),
    "tiff-plain": lambda path: tifffile.imwrite(path, picture(), rowsperstrip=5),
    "tiff-plain-16": lambda path: tifffile.imwrite(path, picture(np.uint16), rowsperstrip=5),
    "tiff-lzw": lambda path: _pillow(path, format="TIFF", compression="tiff_lzw"),
    "tiff-lzw-16": lambda path: path.write_bytes(
        cv2.imencode(".tif", picture(np.uint16), [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    ),
    "tiff-jpeg": lambda path: _pillow(path, format="TIFF", compression="jpeg"),
    "bmp": lambda path: _pillow(path, format="BMP"),
    "bmp-grey": lambda path: _pillow(path, "L", format="BMP"),
    "bmp-runs": _bmp_of_runs,
}


@pytest.fixture(params=list(WRITERS))
def whole(request, tmp_path):
    """The bytes of a sound file."""
    folder = tmp_path / "whole"
    folder.mkdir()
    WRITERS[request.param](folder / "picture")
    (path,) = folder.iterdir()
    assert read_image(path).width == 48
    return path.read_bytes()


def message_of(path):
    with pytest.raises(PictureError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


def test_a_file_cut_anywhere_is_an_error_or_complete(whole, tmp_path, capfd):
    path = tmp_path / "cut"
    path.write_bytes(whole)
    expected = read_image(path).pixels
    lengths = {*range(0, 64), *np.linspace(64, len(whole) - 16, 60).astype(int)}
    lengths |= set(range(len(whole) - 16, len(whole)))
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        try:
            pixels = read_image(path).pixels
        except PictureError as error:
            assert str(error).startswith(str(path))  # noqa: PT017 - either outcome is right
        else:
            assert length > len(whole) - 16, f"{length} of {len(whole)} bytes were enough"
            np.testing.assert_array_equal(pixels, expected)
    assert capfd.readouterr() == ("", "")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_random_damage_never_raises_anything_else(whole, tmp_path, monkeypatch, seed):
    monkeypatch.setenv("RESTOREKIT_MAX_PIXELS", "1000000")  # a damaged size may ask for gigabytes
    rng = np.random.default_rng(seed)
    data = bytearray(whole)
    reach = len(data) if rng.random() < 0.5 else min(200, len(data))
    for at in rng.integers(0, reach, rng.integers(1, 6)):
        data[at] = rng.integers(256)
    path = tmp_path / "damaged"
    path.write_bytes(data)
    try:
        image = read_image(path)
    except PictureError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert image.pixels.ndim == 3


def test_runs_that_cannot_fill_the_picture(tmp_path):
    path = tmp_path / "a.bmp"
    _bmp_of_runs(path)
    data = bytearray(path.read_bytes())
    data[18:22] = struct.pack("<i", 10_000_000)
    path.write_bytes(data)
    assert "is cut off" in message_of(path)


def test_missing(tmp_path):
    assert "does not exist" in message_of(tmp_path / "nowhere.jpg")
    assert "does not exist" in message_of(tmp_path / "no folder" / "a.jpg")


def test_folder(tmp_path):
    assert "is a folder" in message_of(tmp_path)


def test_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert "is empty" in message_of(tmp_path / "a.jpg")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in message_of(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"hello, this is text", "not a picture in a known format"),
        (b"\0" * 100, "not a picture"),
        (b"\xff", "not a picture"),
        (b"GIF89a" + bytes(50), "a GIF"),
        (b"\0\0\0\x1cftypheic" + bytes(50), r"HEIC, AVIF or video file \('heic'\)"),
        (b"8BPS" + bytes(50), "a Photoshop file"),
        (b"%PDF-1.7" + bytes(50), "a PDF"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(50), "no pixels"),
        (b"BM" + bytes(60), "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(60), "damaged"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "cut off"),
    ],
)
def test_what_is_no_picture(tmp_path, head, words):
    (tmp_path / "a.jpg").write_bytes(head)
    assert re.search(words, message_of(tmp_path / "a.jpg"))


def test_a_camera_raw_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(), subfiletype=1)
    assert "camera raw" in message_of(tmp_path / "a.tif")


def test_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    write_image(path, Image(picture()))
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser reads everything
        monkeypatch.setattr("pathlib.Path.open", _denied)
    assert "cannot be read (Permission denied)" in message_of(path)


def _denied(path, mode):
    raise PermissionError(13, "Permission denied", str(path))


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + body + struct.pack(">I", zlib.crc32(body))


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(100_000, 100_000) + bytes(100))
    message = message_of(tmp_path / "bomb.png")
    assert "100000 x 100000 pixels" in message
    assert "RESTOREKIT_MAX_PIXELS=10000000000" in message


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_zero_size(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png_header(width, height))
    assert f"no pixels ({width} x {height})" in message_of(tmp_path / "a.png")


def test_the_limit_holds_for_every_format(whole, tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(whole)
    monkeypatch.setenv("RESTOREKIT_MAX_PIXELS", str(48 * 48 - 1))
    assert "more than the limit of 2303" in message_of(path)
    monkeypatch.setenv("RESTOREKIT_MAX_PIXELS", str(48 * 48))
    assert read_image(path).width == 48


@pytest.mark.parametrize("value", ["", "many", "0", "-5", "1e9"])
def test_a_limit_that_is_no_number(tmp_path, monkeypatch, value):
    write_image(tmp_path / "a.png", Image(picture()))
    monkeypatch.setenv("RESTOREKIT_MAX_PIXELS", value)
    with pytest.raises(UsageError, match="RESTOREKIT_MAX_PIXELS"):
        read_image(tmp_path / "a.png")


def test_opencv_has_a_limit_of_its_own(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", Image(picture(np.uint16)))

    def refuse(*_):
        raise cv2.error("Assertion failed: pixels <= CV_IO_MAX_IMAGE_PIXELS")

    monkeypatch.setattr("cv2.imdecode", refuse)
    assert "OPENCV_IO_MAX_IMAGE_PIXELS" in message_of(tmp_path / "a.png")


def test_settings_of_other_libraries_are_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    before = cv2.utils.logging.getLogLevel(), list(warnings.filters)
    write_image(tmp_path / "a.tif", Image(picture()))
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-1])

    def read(number):
        return read_image(tmp_path / "a.tif") if number % 2 else message_of(tmp_path / "b.tif")

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(read, range(40)))) == 40
    assert (cv2.utils.logging.getLogLevel(), list(warnings.filters)) == before
    assert PIL.Image.MAX_IMAGE_PIXELS == 100


def test_memory_that_does_not_suffice(tmp_path, monkeypatch):
    write_image(tmp_path / "a.jpg", Image(picture()))

    def exhausted(_):
        raise MemoryError

    monkeypatch.setattr("restorekit.media.image.decode", exhausted)
    assert "does not fit into memory" in message_of(tmp_path / "a.jpg")
