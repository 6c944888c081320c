import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit.data.crops import PictureCache, centre_crop, extended, random_crop, reduced


def numbered(height, width, channels=1):
    return np.arange(height * width * channels).reshape(height, width, channels)


def drawn(symmetries, count=200):
    """The distinct crops of a picture that is as large as the crop."""
    square = numbered(2, 2)
    rng = np.random.default_rng(0)
    crops = (random_crop([square], 2, rng, symmetries)[0] for _ in range(count))
    return {tuple(crop.ravel().tolist()) for crop in crops}


@pytest.mark.parametrize(
    ("symmetries", "places"),
    [
        ("none", {(0, 1, 2, 3)}),
        ("mirror", {(0, 1, 2, 3), (1, 0, 3, 2)}),
        ("flips", {(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)}),
    ],
)
def test_the_symmetries_are_those_named(symmetries, places):
    assert drawn(symmetries) == places


def test_a_square_has_eight():
    assert len(drawn("square")) == 8


def test_a_reference_twice_as_large_is_cut_at_the_same_place():
    small = numbered(9, 12)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = random_crop([small, large], 4, rng)
        assert b.shape == (8, 8, 1)
        np.testing.assert_array_equal(a.repeat(2, axis=0).repeat(2, axis=1), b)


def test_the_middle_of_a_reference_twice_as_large_is_the_same():
    small = numbered(21, 40)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    a, b = centre_crop([small, large], 24)
    assert a.shape == (16, 24, 1)
    np.testing.assert_array_equal(a.repeat(2, axis=0).repeat(2, axis=1), b)


def test_a_small_picture_is_mirrored_at_its_right_and_lower_edge():
    picture = numbered(2, 3)
    larger = extended(picture, 5)
    np.testing.assert_array_equal(
        larger[..., 0], np.pad(picture[..., 0], ((0, 3), (0, 2)), "symmetric")
    )
    assert extended(picture, 2) is picture


def test_the_cache_keeps_what_fits(tmp_path):
    path = tmp_path / "a.png"
    for limit, kept in ((10_000, True), (10, False)):
        PillowImage.fromarray(np.full((20, 20), 7, np.uint8)).save(path)
        cache = PictureCache(limit)
        assert cache.read(path).shape == (20, 20, 3)
        path.unlink()
        assert cache.has_room is kept
        if kept:
            assert (cache.read(path) == 7).all()


def test_the_cache_reduces_to_means_of_squares(tmp_path):
    samples = np.random.default_rng(0).integers(0, 256, (14, 21, 3), np.uint8)
    PillowImage.fromarray(samples).save(tmp_path / "a.png")
    squares = samples[:12, :20].reshape(3, 4, 5, 4, 3).astype(float).mean((1, 3))
    read = PictureCache(reduce=4).read(tmp_path / "a.png")
    assert np.abs(read - squares).max() <= 0.5


def test_a_picture_smaller_than_the_factor_is_left_for_the_check_of_sizes():
    assert reduced(numbered(3, 9), 4).shape == numbered(3, 9).shape
