import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.degradations.draw import parse_draw
from restorekit.errors import UsageError


def draws(written, count=2000):
    rng = np.random.default_rng(3)
    draw = parse_draw(written)
    return [draw.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("value", [3, 0.25, "screen", True])
def test_a_plain_value_is_fixed(value):
    assert set(draws(value, 5)) == {value}


def test_a_uniform_range_covers_its_interval_evenly():
    drawn = draws("2.0..6.0")
    assert min(drawn) >= 2
    assert max(drawn) <= 6
    assert np.mean(drawn) == pytest.approx(4, abs=0.1)


def test_a_range_of_whole_numbers_includes_both_ends():
    assert set(draws("1..3")) == {1, 2, 3}


def test_a_log_uniform_range_has_its_median_at_the_geometric_mean():
    assert np.median(draws("1~100")) == pytest.approx(10, rel=0.15)


def test_a_range_of_squares_has_a_uniform_square():
    drawn = np.square(draws("1.0^3.0"))
    assert drawn.min() >= 1
    assert drawn.max() <= 9
    assert np.mean(drawn) == pytest.approx(5, abs=0.15)


@pytest.mark.parametrize(
    ("written", "ends"),
    [(3, (3,)), ("1..4", (1, 4)), ("0.1~9", (0.1, 9)), ("0^2", (0, 2)), (["a", "b"], ("a", "b"))],
)
def test_the_ends_are_what_can_be_drawn_at_most(written, ends):
    assert tuple(parse_draw(written).ends) == ends


def test_a_list_is_a_choice():
    assert set(draws(["a", "b"])) == {"a", "b"}


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_any_interval_is_respected(low, width):
    high = low + width
    assert all(low <= x <= high for x in draws(f"{low!r}..{high!r}", 20))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5..1", "empty"),
        ("0~1", "above 0"),
        ("-1^1", "below 0"),
        ("a..b", "cannot read"),
        ([], "at least one value"),
    ],
)
def test_an_impossible_range_is_refused(written, said):
    with pytest.raises(UsageError, match=said):
        parse_draw(written)
