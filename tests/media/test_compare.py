"""Comparisons: sizes, places and labels."""

import numpy as np
import pytest
from PIL import ImageCms

from restorekit.media.compare import before_after, sheet
from restorekit.types import Image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def flat(value, height=120, width=160, channels=3, dtype=np.uint8):
    return Image(np.full((height, width, channels), value, dtype))


def test_halves_divider_and_labels():
    seen = before_after(flat(50), flat(200)).pixels
    assert seen.shape == (120, 322, 3)
    assert (seen[:, 160:162] == 255).all()
    assert (seen[60:, :160] == 50).all()
    assert (seen[60:, 162:] == 200).all()
    for left in (0, 162):
        label = seen[:20, left : left + 60].astype(int)
        assert label.max() - label.min() > 100


def test_deep_grey_and_transparent_pictures():
    grey = flat(32896, channels=1, dtype=np.uint16)
    glass = Image(flat(0).pixels, alpha=np.zeros((120, 160), np.uint8))
    seen = before_after(grey, glass).pixels
    assert (seen[60:, :160] == 128).all()
    assert (seen[60:, 162:] == 255).all()


@pytest.mark.parametrize("shape", [(4, 40_000), (70_000, 4), (1, 65_500)])
def test_halves_are_reduced_to_what_a_jpeg_holds(shape):
    seen = before_after(flat(50, 9, 9), flat(200, *shape)).pixels
    assert 65_400 < max(seen.shape) <= 65_500
    assert (seen[:, 0] == 50).any()
    assert (seen[:, -1] == 200).all()


def test_the_smaller_one_is_enlarged():
    assert before_after(flat(9, 60, 80), flat(9)).pixels.shape == (120, 322, 3)


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2)])
def test_too_small_for_labels(shape):
    seen = before_after(flat(7, *shape), flat(9, *shape)).pixels
    assert (seen[:, : shape[1]] == 7).all()
    assert (seen[:, -shape[1] :] == 9).all()


def test_profiles_are_applied():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    plain, tagged = Image(rgb), Image(rgb, icc=SRGB)
    seen = before_after(plain, tagged)
    assert seen.icc is None
    difference = seen.pixels[30:, :40].astype(int) - seen.pixels[30:, 42:]
    assert np.abs(difference).max() <= 1
    unfit = before_after(plain, Image(rgb[..., :1], icc=SRGB))
    np.testing.assert_array_equal(unfit.pixels[30:, 42:, 0], rgb[30:, :, 0])


def test_a_sheet_has_a_column_for_each_label_and_a_row_for_each_list():
    rows = [[flat(10), flat(20, 200, 100)], [flat(30, 60, 120)]]
    seen = sheet(rows, ["rain", "restored"], height=60).pixels
    header = seen.shape[0] - 60 - 4 - 60
    assert 10 < header < 30
    assert seen[:header].min() < 100  # the labels
    first_column = 120  # 60 x 120 is the widest
    assert (seen[header + 30, 60] == 10).all()
    assert (seen[header + 30, 0] == 255).all()  # 80 wide, centred in 120
    assert (seen[header + 64 + 30, :first_column] == 30).all()
    assert (seen[header + 30, first_column + 4 + 20] == 20).all()
    assert (seen[header + 60 : header + 64] == 255).all()


def test_a_sheet_without_labels_is_only_pictures():
    seen = sheet([[flat(10)], [flat(20)]], [], height=30).pixels
    assert seen.shape == (64, 40, 3)
    assert (seen[:30] == 10).all()
    assert (seen[34:] == 20).all()
