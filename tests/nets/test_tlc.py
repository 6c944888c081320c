import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.nets.tlc import LocalStatistics, cover, local_mean, shares, spread

QUADRANTS = (-3, -1)

sides = st.integers(1, 24)


def whole_mean(x, window, axes=(-2, -1)):
    return spread(local_mean(x, window, axes), torch.empty_like(x), axes)


def pooled(x, window):
    """The same by average pooling and replicate padding."""
    (h, w), (kh, kw) = x.shape[-2:], (min(k, n) for k, n in zip(window, x.shape[-2:], strict=True))
    means = F.avg_pool2d(x, (kh, kw), stride=1)
    columns, rows = w - means.shape[-1], h - means.shape[-2]
    border = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return F.pad(means, border, mode="replicate")


@settings(deadline=None)
@given(sides, sides, sides, sides, st.booleans(), st.randoms(use_true_random=False))
def test_is_average_pooling_with_replicated_borders(h, w, kh, kw, channels_last, random):
    torch.manual_seed(random.randrange(2**31))
    x = torch.randn(2, 3, h, w, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    means = whole_mean(x, (kh, kw))
    assert torch.allclose(means, pooled(x, (kh, kw)), rtol=0, atol=1e-13)
    assert means.stride() == x.stride()


@settings(deadline=None, max_examples=30)
@given(sides, sides, sides, sides, st.booleans())
def test_quadrants_are_averaged_each_on_its_own(h, w, kh, kw, channels_last):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 2 * h, 2 * w, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    cut = x.unflatten(3, (2, w)).unflatten(2, (2, h))
    means = whole_mean(cut, (kh, kw), QUADRANTS)
    for top in (0, 1):
        for left in (0, 1):
            alone = pooled(x[..., top * h :, left * w :][..., :h, :w], (kh, kw))
            assert torch.allclose(means[:, :, top, :, left], alone, rtol=0, atol=1e-13)


@given(sides, sides, st.floats(-1e3, 1e3, width=32))
def test_a_constant_map_stays_constant(kh, kw, value):
    x = torch.full((1, 1, 20, 17), value)
    assert torch.allclose(whole_mean(x, (kh, kw)), x, rtol=5e-7, atol=1e-38)


@pytest.mark.parametrize("window", [None, (9, 11), (100, 100)])
def test_a_window_that_covers_the_map_is_the_global_mean(window):
    x = torch.rand(2, 3, 9, 11)
    means = local_mean(x, window)
    assert means.shape == (2, 3, 1, 1)
    assert torch.allclose(means, x.mean((2, 3), keepdim=True), rtol=1e-6)


@pytest.mark.parametrize("window", [(112, 200), (345, 615), (3, 600)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_float32_keeps_its_precision_on_large_maps(window, layout):
    torch.manual_seed(0)
    x = 10 + torch.rand(1, 2, 360, 640).contiguous(memory_format=layout)
    error = (local_mean(x, window) - local_mean(x.double(), window)).abs().max()
    assert error < 5e-6  # five ulp of the values, in [10, 11]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("window", [None, (200, 150)])
def test_half_precision_is_summed_in_float32(dtype, window):
    torch.manual_seed(0)
    x = (1000 * torch.rand(1, 2, 256, 256)).to(dtype)
    means = local_mean(x, window)
    assert means.dtype == torch.float32
    assert torch.allclose(means.double(), local_mean(x.double(), window), rtol=1e-6)


@pytest.mark.parametrize("window", [(3, 2), (9, 9), (4, 9)])
def test_gradients_are_those_of_the_formula(window):
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: whole_mean(y, window), x)


@given(st.integers(1, 200), st.integers(1, 200))
def test_windows_cover_an_axis_in_equal_shares(size, window):
    spans = cover(size, window)
    assert (spans[0].start, spans[-1].stop) == (0, size)
    assert {span.stop - span.start for span in spans} == {min(size, window)}
    share = shares(torch.empty(2, size, 3), 1, spans)
    assert share.shape == (1, size, 1)
    given = torch.zeros(1, size, 1)
    for span in spans:
        given[:, span] += share[:, span]
    assert torch.allclose(given, torch.ones(1, size, 1))


@pytest.mark.parametrize(
    ("size", "window", "starts"),
    [(384, 384, [0]), (385, 384, [0, 1]), (720, 384, [0, 336]), (1280, 384, [0, 299, 598, 896])],
)
def test_windows_of_attention_are_those_of_the_published_rule(size, window, starts):
    assert [span.start for span in cover(size, window)] == starts


@pytest.mark.parametrize(
    ("height", "width", "fraction", "windows"),
    [
        (720, 1280, 80, [(225, 400), (112, 200), (56, 100), (28, 50)]),
        (720, 1280, 110, [(309, 550), (154, 275), (77, 137), (38, 68)]),
        (464, 624, 246, [(445, 599), (222, 299), (111, 149), (55, 74)]),
        (416, 552, 210, [(341, 452), (170, 226), (85, 113), (42, 56)]),
        (480, 640, 200, [(375, 500), (187, 250), (93, 125), (46, 62)]),
        (256, 256, 256, [(256, 256), (128, 128), (64, 64), (32, 32)]),
        (16, 16, 80, [(5, 5), (2, 2), (1, 1), (1, 1)]),
    ],
)
def test_windows_are_those_of_the_published_protocols(height, width, fraction, windows):
    statistics = LocalStatistics(height, width, fraction)
    assert [statistics.window(scale) for scale in (1, 2, 4, 8)] == windows


@pytest.mark.parametrize("arguments", [(0, 8, 80), (8, -8, 80), (8, 8, 0)])
def test_a_window_needs_a_size(arguments):
    with pytest.raises(ValueError, match="positive"):
        LocalStatistics(*arguments)
