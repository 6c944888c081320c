import numpy as np
import pytest
import torch

from restorekit.ops.pixels import to_pixels, to_tensor


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_integer_sample_survives_the_round_trip(dtype, channels):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    pixels = np.repeat(levels.reshape(-1, 16, 1), channels, axis=2)
    tensor = to_tensor(pixels)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1, channels, len(levels) // 16, 16)
    assert tensor.min() == 0
    assert tensor.max() == 1
    back = to_pixels(tensor, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)


def test_float_samples_are_neither_scaled_nor_shared():
    pixels = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    tensor = to_tensor(pixels)
    np.testing.assert_array_equal(to_pixels(tensor, np.float32), pixels)
    tensor.zero_()
    assert pixels.any()


def test_a_view_of_a_picture_is_read():
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    view = pixels[::-1, 1:4]
    np.testing.assert_array_equal(to_pixels(to_tensor(view), np.uint8), view)


def test_values_are_clipped_and_halves_rounded_up():
    tensor = torch.tensor([-0.5, 0.5 / 255, 1.49 / 255, 2.0]).reshape(1, 1, 4)
    assert to_pixels(tensor, np.uint8).ravel().tolist() == [0, 1, 1, 255]
    assert to_pixels(tensor, np.uint16).ravel().tolist() == [0, 129, 383, 65535]
    assert to_pixels(tensor, np.float32).ravel().tolist() == pytest.approx(
        [0, 0.5 / 255, 1.49 / 255, 1]
    )


def test_inference_tensors_are_accepted():
    with torch.inference_mode():
        tensor = torch.full((1, 3, 2, 2), 0.5)
    assert to_pixels(tensor, np.uint8).tolist() == np.full((2, 2, 3), 128).tolist()
