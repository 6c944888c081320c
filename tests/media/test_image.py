"""Writing: whole or not at all, and clear about why not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from restorekit.errors import PictureError
from restorekit.media.image import lost_in, read_image, write_image
from restorekit.types import Image

GREY = Image(np.full((8, 8, 1), 100, np.uint8))

DATA = os.environ.get("RESTOREKIT_TEST_DATA")

WRITING_FOREVER = """
import itertools, sys
import numpy as np
from restorekit.media.image import write_image
from restorekit.types import Image

path = sys.argv[1]
noise = np.random.default_rng(0).integers(0, 200, (600, 600, 3), np.uint8)
for number in itertools.count():
    write_image(path, Image(noise + np.uint8(number % 50)))
    print(number, flush=True)
"""


def names_in(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_killed_writer_leaves_a_whole_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    rng = random.Random(suffix)
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITING_FOREVER, str(path)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        pixels = read_image(path).pixels.astype(int)
        noise = np.random.default_rng(0).integers(0, 200, (600, 600, 3), np.uint8)
        assert len(np.unique(pixels - noise)) == 1
    leftovers = [found for found in tmp_path.iterdir() if found != path]
    assert all(found.name.startswith(".") for found in leftovers)


def test_an_old_picture_is_replaced_and_nothing_else_left(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    write_image(path, GREY)
    assert read_image(path).pixels[0, 0, 0] == 100
    assert names_in(tmp_path) == ["a.png"]


def test_a_picture_is_readable_by_others(tmp_path):
    write_image(tmp_path / "a.png", GREY)
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(PictureError, match="No space left on device") as caught:
        write_image(path, GREY)
    assert str(caught.value).startswith(str(path))
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["a.gif", "a", "a.txt", ".png"])
def test_an_unknown_format(tmp_path, name):
    for function in (write_image, lost_in):
        with pytest.raises(PictureError, match=r"use one of \.bmp, \.jpeg, \.jpg") as caught:
            function(tmp_path / name, GREY)
        assert str(caught.value).startswith(str(tmp_path / name))
    assert names_in(tmp_path) == []


def test_a_folder_or_a_device_is_not_written_over(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name, words in (("folder.png", "is a folder"), ("pipe.png", "not a regular file")):
        with pytest.raises(PictureError, match=words):
            write_image(tmp_path / name, GREY)


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PictureError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", GREY)
    with pytest.raises(PictureError, match="cannot be written"):
        write_image("/proc/restorekit/a.png", GREY)
    with pytest.raises(PictureError, match="cannot be written"):
        write_image(tmp_path / ("x" * 300 + ".png"), GREY)


def test_a_picture_too_large_for_its_format(tmp_path):
    wide = Image(np.zeros((1, 65536, 1), np.uint8))
    for name, limit in (("a.jpg", 65500), ("a.webp", 16383)):
        with pytest.raises(PictureError, match=f"ends at {limit} a side"):
            write_image(tmp_path / name, wide)
    for name in ("a.png", "a.tif", "a.bmp"):
        write_image(tmp_path / name, wide)
        assert read_image(tmp_path / name).width == 65536


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="RESTOREKIT_TEST_DATA is not set")
def test_photographs_survive_a_round_trip(tmp_path):
    photos = sorted(Path(DATA, "photos").glob("*.jpg"))[::80]
    assert photos
    for photo in photos:
        image = read_image(photo)
        write_image(tmp_path / "a.png", image)
        back = read_image(tmp_path / "a.png")
        np.testing.assert_array_equal(back.pixels, image.pixels)
        assert (back.icc, back.exif) == (image.icc, image.exif)
