import numpy as np

from restorekit.inference.transparency import enlarge, fill_hidden


def test_hidden_pixels_take_the_nearest_visible_colour():
    pixels = np.arange(5 * 6 * 3, dtype=np.uint16).reshape(5, 6, 3)
    alpha = np.zeros((5, 6), np.uint16)
    alpha[:, 2] = 1
    alpha[4, 5] = 65535
    filled = fill_hidden(pixels, alpha)
    np.testing.assert_array_equal(filled[:4, 0], pixels[:4, 2])
    np.testing.assert_array_equal(filled[4, 4], pixels[4, 5])
    np.testing.assert_array_equal(filled[alpha > 0], pixels[alpha > 0])
    assert pixels[0, 0, 0] == 0


def test_opaque_pictures_are_not_copied():
    pixels = np.zeros((4, 4, 1), np.uint8)
    assert fill_hidden(pixels, None) is pixels
    assert fill_hidden(pixels, np.full((4, 4), 9, np.uint8)) is pixels


def test_alpha_is_enlarged_within_its_range():
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, 4:] = 1
    large = enlarge(alpha, 3)
    assert large.shape == (24, 24)
    assert large.dtype == np.float32
    assert (large.min(), large.max()) == (0, 1)
    assert enlarge(None, 3) is None
    assert enlarge(alpha, 1) is alpha
