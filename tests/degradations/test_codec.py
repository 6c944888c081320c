from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit.degradations.codec import Jpeg, Quantise, Webp
from restorekit.degradations.noise import GaussianNoise
from restorekit.errors import PictureError


def test_jpeg_is_what_pillow_writes(picture):
    samples = np.rint(picture * 255).astype(np.uint8)
    file = BytesIO()
    PillowImage.fromarray(samples).save(file, "JPEG", quality=30, subsampling="4:2:0")
    expected = np.asarray(PillowImage.open(file))
    degraded = Jpeg(quality=30, subsampling="4:2:0").apply(picture, np.random.default_rng(0))
    np.testing.assert_array_equal(np.rint(degraded * 255), expected)


def test_jpeg_keeps_a_grey_picture_grey(picture):
    grey = picture[:, :, :1]
    assert Jpeg(quality=50, subsampling="4:4:4").apply(grey, None).shape == grey.shape


def test_jpeg_gets_worse_as_the_quality_falls(picture):
    textured = GaussianNoise(sigma=10).apply(picture, np.random.default_rng(0))
    errors = [
        np.mean((Jpeg(quality=q, subsampling="4:4:4").apply(textured, None) - textured) ** 2)
        for q in (90, 50, 20, 5)
    ]
    assert errors == sorted(errors)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_quantise_leaves_two_to_the_bits_levels(picture, bits):
    levels = np.unique(Quantise(bits=bits).apply(picture * 2 - 0.5, None))
    assert len(levels) <= 2**bits
    assert levels.min() == 0
    assert levels.max() == 1


def test_quantise_to_8_bits_keeps_what_a_file_held():
    stored = (np.arange(256, dtype=np.float32) / 255).reshape(16, 16, 1)
    np.testing.assert_allclose(Quantise(bits=8).apply(stored, None), stored, atol=1e-7)


def test_webp_is_what_pillow_writes(picture):
    samples = np.rint(picture * 255).astype(np.uint8)
    file = BytesIO()
    PillowImage.fromarray(samples).save(file, "WEBP", quality=40, method=4)
    expected = np.asarray(PillowImage.open(file))
    degraded = Webp(quality=40).apply(picture, np.random.default_rng(0))
    np.testing.assert_array_equal(np.rint(degraded * 255), expected)


def test_webp_keeps_a_grey_picture_grey(picture):
    grey = picture[:, :, :1]
    degraded = Webp(quality=90).apply(grey, None)
    assert degraded.shape == grey.shape
    np.testing.assert_allclose(degraded, grey, atol=0.06)


def test_a_picture_larger_than_the_format_allows_is_an_error():
    with pytest.raises(PictureError, match="WEBP cannot hold a picture of 16384 x 1"):
        Webp(quality=40).apply(np.zeros((1, 16384, 3), np.float32), None)
