import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from restorekit.ops.pad import pad_to_multiple

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, st.integers(1, 24), st.integers(1, 50))
def test_reflects_as_numpy_does_at_any_size(height, width, multiple, minimum):
    x = torch.arange(2 * height * width, dtype=torch.float32).reshape(1, 2, height, width)
    padded, size = pad_to_multiple(x, multiple, minimum)
    rows, columns = padded.shape[-2:]
    widths = ((0, 0), (0, 0), (0, rows - height), (0, columns - width))
    assert size == (height, width)
    assert np.array_equal(padded.numpy(), np.pad(x.numpy(), widths, mode="reflect"))
    for side, old in ((rows, height), (columns, width)):
        assert side % multiple == 0
        assert max(old, minimum) <= side < max(old, minimum) + multiple


def test_returns_the_tensor_itself_where_nothing_is_to_do():
    x = torch.zeros(1, 3, 16, 24)
    assert pad_to_multiple(x, 8, 16)[0] is x


def test_keeps_dtype_and_pads_one_pixel_by_repeating_it():
    padded, _ = pad_to_multiple(torch.full((1, 1, 1, 1), 7, dtype=torch.uint8), 4)
    assert padded.dtype is torch.uint8
    assert padded.tolist() == [[[[7] * 4] * 4]]
