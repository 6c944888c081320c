import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.errors import RestorekitError
from restorekit.events import TileDone, Warned
from restorekit.inference.plan import split, whole
from restorekit.inference.tiled import TiledRun, Tiling, is_out_of_memory, ramp
from restorekit.types import Precision


def enlarge(x, precision=Precision.FLOAT32):
    return x


def run(x, tiling, net=enlarge, precision=Precision.FLOAT32):
    """Restore `x` in tiles; returns the picture and the events."""
    strips = []

    def read(box):
        return x[..., box.rows.start : box.rows.stop, box.columns.start : box.columns.stop]

    tiled = TiledRun(net, read, tiling, precision)
    events = list(tiled.run(whole(*x.shape[-2:]), strips.append))
    return torch.cat(strips, -2), events


def nearest(scale):
    def net(x, precision):
        return x.repeat_interleave(scale, -2).repeat_interleave(scale, -1)

    return net


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    tile=st.integers(0, 60),
    overlap=st.integers(0, 80),
    multiple=st.integers(1, 32),
    scale=st.integers(1, 4),
)
def test_an_identity_net_returns_its_input_bit_for_bit(
    height, width, tile, overlap, multiple, scale
):
    tile = max(tile, 6) if tile else 0
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    restored, events = run(x, Tiling(tile, overlap, multiple, scale=scale), nearest(scale))
    assert torch.equal(restored, nearest(scale)(x, None))
    total = len(split(whole(height, width), tile, overlap, multiple))
    assert events == [TileDone(done + 1, total) for done in range(total)]


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    tile=st.integers(8, 40),
    overlap=st.integers(0, 40),
    scale=st.integers(1, 4),
)
def test_windows_sum_to_one(height, width, tile, overlap, scale):
    tiling = Tiling(tile, overlap, scale=scale)
    grid = split(whole(height, width), tile, overlap)
    total = torch.zeros(1, 1, height * scale, width * scale, dtype=torch.float64)
    for chosen in range(len(grid)):
        calls = iter(range(len(grid)))

        def net(x, precision, calls=calls, chosen=chosen):
            shape = [side * scale for side in x.shape[-2:]]
            return torch.full((1, 1, *shape), float(next(calls) == chosen), dtype=torch.float64)

        window, _ = run(torch.zeros(1, 1, height, width), tiling, net)
        assert window.min() >= 0
        total += window
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-14)


def test_the_ramp_is_symmetric_smooth_and_leaves_out_the_borders_of_tiles():
    weight = ramp(32)
    torch.testing.assert_close(weight + weight.flip(0), torch.ones(32, dtype=torch.float64))
    assert weight[:8].tolist() == [0] * 8
    assert weight.diff().max() < 0.1
    assert ramp(1).item() == pytest.approx(0.5)


def test_tiles_with_different_brightness_meet_without_a_step():
    values = iter([0.0, 1.0])
    restored, _ = run(
        torch.zeros(1, 1, 40, 100), Tiling(66, 32), lambda x, _: torch.full_like(x, next(values))
    )
    assert restored[..., 0].unique().tolist() == [0.0]
    assert restored[..., -1].unique().tolist() == [1.0]
    assert restored.diff(dim=-1).abs().max() < 0.1


class Cramped:
    """A net that runs out of memory above a number of pixels."""

    def __init__(self, limit, error):
        self.limit = limit
        self.error = error
        self.done = []

    def __call__(self, x, precision):
        if x.shape[-2] * x.shape[-1] > self.limit:
            raise self.error
        self.done.append(tuple(x.shape[-2:]))
        return x


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:20] or "MemoryError")
def test_a_tile_that_does_not_fit_is_made_smaller(error):
    x = torch.rand(1, 3, 300, 400)
    net = Cramped(130 * 130, error)
    restored, events = run(x, Tiling(0, 16, multiple=8), net)
    assert torch.equal(restored, x)
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert warnings == [
        "out of memory; going on with tiles of 208 pixels",
        "out of memory; going on with tiles of 112 pixels",
    ]
    assert events[-1] == TileDone(len(net.done), len(net.done))


def test_work_that_is_finished_is_kept_when_memory_runs_out():
    x = torch.rand(1, 3, 256, 1024)
    net = Cramped(10**9, ERRORS[0])
    calls = []

    def shrinking(tile, precision):
        calls.append(tile.shape[-2:])
        if len(calls) == 3:
            net.limit = 160 * 160
        return net(tile, precision)

    restored, events = run(x, Tiling(256, 16, multiple=8), shrinking)
    assert torch.equal(restored, x)
    assert net.done[:2] == [(256, 224), (256, 224)]
    assert sum(height * width > 160 * 160 for height, width in net.done) == 2
    assert sum(isinstance(event, Warned) for event in events) == 1
    progress = [event for event in events if isinstance(event, TileDone)]
    assert [event.done for event in progress] == list(range(1, len(net.done) + 1))
    assert {event.total for event in progress} == {5, len(net.done)}


def test_when_nothing_fits_the_error_names_the_tile():
    net = Cramped(10, ERRORS[0])
    with pytest.raises(RestorekitError, match="not even a tile of 64 x 64 pixels fits"):
        run(torch.zeros(1, 3, 200, 200), Tiling(0, 16, multiple=8), net)


def test_other_runtime_errors_are_not_taken_for_lack_of_memory():
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert not is_out_of_memory(error)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        run(torch.zeros(1, 3, 20, 20), Tiling(0, 4), Cramped(10, error))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_in_half_precision_is_redone_in_float32(bad):
    x = torch.rand(1, 3, 60, 100)
    calls = []

    def net(tile, precision):
        calls.append(precision)
        overflows = precision is Precision.FLOAT16 and tile.shape[-1] != 0 and len(calls) < 6
        return tile * bad if overflows else tile

    restored, events = run(x, Tiling(40, 8), net, Precision.FLOAT16)
    assert torch.equal(restored, x)
    assert calls[:6] == [Precision.FLOAT16, Precision.FLOAT32] * 3
    assert set(calls[6:]) == {Precision.FLOAT16}
    assert [event for event in events if isinstance(event, Warned)] == [
        Warned("not finite in float16; such tiles are redone in float32")
    ]


def test_what_is_not_finite_in_float32_is_an_error_that_names_the_tile():
    x = torch.zeros(1, 3, 60, 100)
    x[..., 50, 90] = float("nan")
    with pytest.raises(RestorekitError, match="rows 28 to 59, columns 64 to 99"):
        run(x, Tiling(36, 4), precision=Precision.FLOAT16)
