"""What is written is what is read: samples, alpha, greyness, depth, profile and EXIF."""

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from restorekit.media.image import lost_in, read_image, write_image
from restorekit.types import Image

EXACT = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(order="<", orientation=1):
    exif = PIL.Image.Exif()
    exif.endian = order
    exif[271], exif[272], exif[305] = "Maker", "Camera ü", "Software"
    exif[274] = orientation
    exif[282], exif[283], exif[296] = 300.0, 300.0, 2
    exif.get_ifd(34665).update({33434: 1 / 125, 34855: 400, 36867: "2024:05:06 07:08:09"})
    exif.get_ifd(34853).update({1: "N", 2: (48.0, 8.0, 15.5)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def fields(exif):
    parsed = PIL.Image.Exif()
    parsed.load(exif)
    plain = {tag: value for tag, value in parsed.items() if tag not in (34665, 34853)}
    return plain, dict(parsed.get_ifd(34665)), dict(parsed.get_ifd(34853))


@st.composite
def images(draw, dtypes=(np.uint8, np.uint16)):
    height, width = draw(st.integers(1, 19)), draw(st.integers(1, 19))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    channels = draw(st.sampled_from([1, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    samples = rng.random((height, width, channels + 1), dtype=np.float32)
    if dtype.kind == "u":
        samples = rng.integers(0, np.iinfo(dtype).max, samples.shape, dtype, endpoint=True)
        if draw(st.booleans()):  # few distinct values tempt encoders to write palettes or bits
            samples = np.where(samples > np.iinfo(dtype).max // 2, np.iinfo(dtype).max, 0)
            samples = samples.astype(dtype)
    alpha = samples[..., -1] if draw(st.booleans()) else None
    return Image(
        pixels=samples[..., :channels],
        alpha=alpha,
        icc=draw(st.sampled_from([None, SRGB])),
        exif=draw(st.sampled_from([None, exif_block("<"), exif_block(">")])),
    )


def assert_same_samples(image, other):
    assert other.pixels.dtype == image.pixels.dtype
    np.testing.assert_array_equal(other.pixels, image.pixels)
    assert (other.alpha is None) == (image.alpha is None)
    if image.alpha is not None:
        assert other.alpha.dtype == image.alpha.dtype
        np.testing.assert_array_equal(other.alpha, image.alpha)
    assert other.pixels.flags.c_contiguous
    assert other.pixels.flags.writeable


@EXACT
@given(image=images())
def test_png_is_exact_to_the_last_byte(image, tmp_path):
    path = tmp_path / "exact.png"
    write_image(path, image)
    back = read_image(path)
    assert_same_samples(image, back)
    assert (back.icc, back.exif) == (image.icc, image.exif)
    assert lost_in(path, image) == []


@EXACT
@given(image=images((np.uint8, np.uint16, np.float32)))
def test_tiff_is_exact_and_keeps_every_field(image, tmp_path):
    path = tmp_path / "exact.tif"
    write_image(path, image)
    back = read_image(path)
    assert_same_samples(image, back)
    assert back.icc == image.icc
    assert (back.exif is None) == (image.exif is None)
    if image.exif is not None:
        assert fields(back.exif) == fields(image.exif)
    assert lost_in(path, image) == []


@EXACT
@given(image=images((np.uint8,)))
def test_lossless_webp_is_exact(image, tmp_path):
    path = tmp_path / "exact.webp"
    write_image(path, image, quality=100)
    back = read_image(path)
    pixels = np.repeat(image.pixels, 3, axis=2) if image.is_grey else image.pixels
    opaque = image.alpha is None or image.alpha.min() == 255  # WebP stores no opaque alpha
    assert_same_samples(Image(pixels, None if opaque else image.alpha), back)
    assert (back.icc, back.exif) == (image.icc, image.exif)


@EXACT
@given(image=images((np.uint8,)))
def test_bmp_is_exact_but_for_what_it_says(image, tmp_path):
    path = tmp_path / "exact.bmp"
    write_image(path, image)
    assert_same_samples(Image(image.pixels), read_image(path))
    assert len(lost_in(path, image)) == sum(
        part is not None for part in (image.alpha, image.icc, image.exif)
    )


@EXACT
@given(image=images((np.uint8,)))
def test_jpeg_keeps_greyness_profile_and_exif(image, tmp_path):
    path = tmp_path / "lossy.jpg"
    write_image(path, image)
    back = read_image(path)
    assert back.pixels.shape == image.pixels.shape
    assert (back.alpha, back.icc, back.exif) == (None, image.icc, image.exif)


def gradient(dtype, channels=3):
    rows, columns = np.mgrid[0:64, 0:48] / 64
    planes = np.stack([rows, columns, (rows + columns) / 2], axis=2)[..., :channels]
    return (planes * np.iinfo(dtype).max).astype(dtype)


def test_jpeg_is_close_and_has_full_colour_resolution(tmp_path):
    checkers = np.zeros((16, 16, 3), np.uint8)
    checkers[::2, ::2], checkers[1::2, 1::2] = (255, 0, 0), (255, 0, 0)
    checkers[::2, 1::2], checkers[1::2, ::2] = (0, 0, 255), (0, 0, 255)
    path = tmp_path / "colours.jpg"
    write_image(path, Image(checkers))
    with PIL.Image.open(path) as opened:
        assert {layer[1:3] for layer in opened.layer} == {(1, 1)}
    assert np.abs(read_image(path).pixels.astype(int) - checkers).max() < 30


def test_quality_changes_the_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("jpg", "webp"):
        high, low = tmp_path / f"high.{suffix}", tmp_path / f"low.{suffix}"
        write_image(high, Image(noise), quality=95)
        write_image(low, Image(noise), quality=30)
        assert low.stat().st_size < high.stat().st_size / 2


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp"])
def test_sixteen_bits_are_rounded_and_said_so(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    deep = Image(gradient(np.uint16))
    write_image(path, deep)
    back = read_image(path).pixels
    assert back.dtype == np.uint8
    assert np.abs(back - deep.pixels / 257).mean() < 1.5
    assert lost_in(path, deep) == ["16-bit samples are rounded to 8 bit"]


def test_rounding_is_to_the_nearest(tmp_path):
    path = tmp_path / "rounded.bmp"
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    write_image(path, Image(ramp))
    np.testing.assert_array_equal(read_image(path).pixels, np.rint(ramp / 257).astype(np.uint8))


def test_float_samples_go_to_png_as_16_bits(tmp_path):
    path = tmp_path / "float.png"
    values = np.array([[[0.0], [0.25], [0.5], [1.0]]], np.float32)
    image = Image(values, alpha=values[..., 0])
    write_image(path, image)
    back = read_image(path)
    expected = np.array([0, 16384, 32768, 65535], np.uint16)
    np.testing.assert_array_equal(back.pixels.ravel(), expected)
    np.testing.assert_array_equal(back.alpha.ravel(), expected)
    assert lost_in(path, image) == ["32-bit samples are rounded to 16 bit"]


def test_jpeg_says_that_it_drops_alpha_and_long_exif(tmp_path):
    picture = gradient(np.uint8)
    image = Image(picture, alpha=picture[..., 0], exif=exif_block() + bytes(70_000))
    assert lost_in("a.JPG", image) == [
        "the alpha channel is dropped",
        "the EXIF data are dropped",
    ]
    write_image(tmp_path / "a.JPG", image)
    back = read_image(tmp_path / "a.JPG")
    assert (back.alpha, back.exif) == (None, None)


def test_a_long_profile_survives_in_jpeg(tmp_path):
    profile = SRGB + np.random.default_rng(1).bytes(200_000)
    write_image(tmp_path / "a.jpg", Image(gradient(np.uint8), icc=profile))
    assert read_image(tmp_path / "a.jpg").icc == profile


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
@pytest.mark.parametrize("name", ["Größe", "写真", "a b", "with.dots.", "émoji 🌧", "-dash"])
def test_names_of_all_kinds(tmp_path, name, suffix):
    path = tmp_path / name / f"{name}.{suffix}"
    write_image(path, Image(gradient(np.uint8)))
    assert read_image(str(path)).pixels.shape == (64, 48, 3)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_the_suffix_is_not_trusted(tmp_path):
    write_image(tmp_path / "a.png", Image(gradient(np.uint16)))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").depth == 16


def test_large_tiff_has_several_strips_and_other_readers_agree(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (800, 700, 3), np.uint8)
    path = tmp_path / "strips.tif"
    write_image(path, Image(pixels, exif=exif_block(">"), icc=SRGB))
    with PIL.Image.open(path) as opened:
        assert len(opened.tag_v2[273]) > 1
        assert opened.tag_v2[271] == "Maker"
        assert opened.getexif().get_ifd(34665)[34855] == 400
        assert opened.info["icc_profile"] == SRGB
        assert opened.info["dpi"] == (300, 300)
        np.testing.assert_array_equal(np.asarray(opened), pixels)
    assert read_image(path).pixels.shape == pixels.shape


def test_other_readers_agree_on_png_with_grey_and_alpha(tmp_path):
    pixels = gradient(np.uint8)
    path = tmp_path / "la.png"
    write_image(path, Image(pixels[..., :1], alpha=pixels[..., 1], icc=SRGB, exif=exif_block()))
    with PIL.Image.open(io.BytesIO(path.read_bytes())) as opened:
        assert opened.mode == "LA"
        np.testing.assert_array_equal(np.asarray(opened), pixels[..., :2])
        assert opened.info["icc_profile"] == SRGB
        assert opened.getexif()[271] == "Maker"
