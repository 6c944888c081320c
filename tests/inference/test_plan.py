from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.errors import UsageError
from restorekit.inference.plan import Box, Span, split, split_span, whole

sizes = st.integers(1, 5000)
tiles = st.integers(1, 1500)
overlap_sizes = st.integers(0, 1500)
multiples = st.integers(1, 32)


@given(sizes, tiles, overlap_sizes, multiples, st.integers(0, 100))
def test_spans_cover_stay_inside_and_are_equal(length, tile, overlap, multiple, offset):
    span = Span(offset, offset + length)
    spans = split_span(span, tile, overlap, multiple)
    assert spans[0].start == span.start
    assert spans[-1].stop == span.stop
    shared = [before.stop - after.start for before, after in pairwise(spans)]
    wanted = min(-(-overlap // multiple), max(tile // multiple, 1) // 2) * multiple
    assert all(wanted <= pixels < spans[0].length for pixels in shared)
    assert len({one.length for one in spans[:-1]} or {0}) == 1
    assert 0 <= spans[0].length - spans[-1].length < multiple
    assert all((one.start - offset) % multiple == 0 for one in spans)
    assert spans[0].length <= max(tile, multiple) or len(spans) == 1


@given(sizes, tiles, overlap_sizes, multiples)
def test_no_smaller_count_of_tiles_would_do(length, tile, overlap, multiple):
    spans = split_span(Span(0, length), tile, overlap, multiple)
    limit = max(tile // multiple, 1)
    shared = min(-(-overlap // multiple), limit // 2)
    reach = (limit + (len(spans) - 2) * (limit - shared)) * multiple
    assert len(spans) == 1 or reach < length


@given(sizes, overlap_sizes, multiples)
def test_zero_is_the_whole_picture(length, overlap, multiple):
    assert split_span(Span(0, length), 0, overlap, multiple) == (Span(0, length),)


def test_a_grid_goes_row_by_row():
    grid = split(whole(100, 130), tile=70, overlap=10)
    assert grid.rows == (Span(0, 55), Span(45, 100))
    assert grid.columns == (Span(0, 70), Span(60, 130))
    assert len(grid) == 4
    assert list(grid)[1] == Box(Span(0, 55), Span(60, 130))
    assert str(list(grid)[1]) == "rows 0 to 54, columns 60 to 129"


def test_no_sliver_is_left():
    lengths = [one.length for one in split_span(Span(0, 1025), 512, 0)]
    assert lengths == [342, 342, 342]


@pytest.mark.parametrize(("tile", "overlap"), [(-1, 0), (64, -8)])
def test_negative_sizes_are_refused(tile, overlap):
    with pytest.raises(UsageError, match="0 or more"):
        split(whole(10, 10), tile, overlap)
