import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from restorekit.data.structures import _beams, _facade, _plain, draw_border, draw_structure


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(48, 48, 3), (31, 57, 1)])
@pytest.mark.parametrize("draw", [draw_structure, draw_border])
def test_keeps_shape_and_depth_and_draws_something(draw, dtype, shape):
    grey = np.full(shape, np.iinfo(dtype).max // 2, dtype)
    drawn = [draw(grey, np.random.default_rng(seed)) for seed in range(20)]
    assert {(d.shape, d.dtype) for d in drawn} == {(shape, np.dtype(dtype))}
    assert sum((d != grey).any() for d in drawn) > 15


@given(st.integers(0, 10_000), st.sampled_from([draw_structure, draw_border]))
def test_is_a_function_of_the_generator(seed, draw):
    picture = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    once, again = (draw(picture, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(once, again)


def test_every_pixel_lies_between_the_picture_and_one_colour():
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    for seed in range(20):
        on_black, on_white = (
            draw_structure(p, np.random.default_rng(seed)).astype(float) for p in (black, white)
        )
        cover = 1 - (on_white - on_black) / 255
        assert cover.min() > -0.01
        assert cover.max() < 1.01
        solid = cover[..., 0] > 0.05
        colour = on_black[solid] / cover[solid]
        assert (np.ptp(colour, axis=0) < 25).all()  # what rounding to 8 bits leaves uncertain


def test_bars_repeat_at_about_the_same_distance():
    picture = np.zeros((64, 64, 1), np.uint8)
    repeats = 0
    for seed in range(40):
        row = draw_structure(picture, np.random.default_rng(seed))[32, :, 0].astype(float)
        edges = np.flatnonzero(np.diff((row > row.max() / 2).astype(int)) == 1)
        repeats += len(edges) >= 3 and np.ptp(np.diff(edges)) <= 3
    assert repeats >= 6


@pytest.mark.parametrize("along", [0.0, 60.0, 90.0, 135.0])
def test_bars_lie_along_a_direction_as_degradations_count_it(along):
    grey = np.full((96, 96, 3), 128, np.uint8)
    told = counted = 0
    for seed in range(40):
        drawn = draw_structure(grey, np.random.default_rng(seed), along).astype(float)
        if abs(drawn - 128).mean() < 1:
            continue
        down, right = np.gradient(drawn[..., 0])
        # The bars lie across the main gradient; rows count downwards, angles upwards.
        tensor = np.angle(((right - 1j * down) ** 2).sum()) / 2
        across = (np.rad2deg(tensor) - along) % 180
        counted += 1
        told += abs(across - 90) < 15
    assert told > counted / 3  # beams lie across; by chance it were a sixth


def test_borders_are_plain_and_leave_the_middle():
    picture = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    seen = set()
    for seed in range(30):
        bordered = draw_border(picture, np.random.default_rng(seed))
        assert np.array_equal(bordered[14:-14, 14:-14], picture[14:-14, 14:-14])
        for turns in range(4):
            edge, was = np.rot90(bordered, turns), np.rot90(picture, turns)
            if not np.array_equal(edge[0, 20:30], was[0, 20:30]):
                seen.add(turns)
                assert len(np.unique(edge[0, 20:30], axis=0)) == 1
    assert seen == {0, 1, 2, 3}


def test_a_border_may_meet_the_picture_in_a_line_darker_than_both():
    picture = np.full((40, 40, 1), 160, np.uint8)
    darker = 0
    for seed in range(100):
        column = draw_border(picture, np.random.default_rng(seed))[20, :14, 0].astype(int)
        darker += column.min() < min(column[0], 160) - 20
    assert 5 <= darker <= 30


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 9, 1), (3, 3, 3)])
def test_borders_leave_some_of_a_tiny_picture(shape):
    picture = np.full(shape, 99, np.uint8)
    for seed in range(20):
        assert draw_border(picture, np.random.default_rng(seed)).shape == shape


def changes(pattern):
    """How much a pattern of upright lines changes across them and along them, over forty."""
    masks = [pattern((64, 64), 0.0, np.random.default_rng(seed)) for seed in range(40)]
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)
    across, along = (
        sum(np.abs(np.diff(mask, axis=axis)).sum() for mask in masks) for axis in (1, 0)
    )
    return across, along


def test_floors_cut_the_windows_of_a_facade_and_nothing_cuts_bars():
    across, along = changes(_plain)
    assert along < across / 5
    across, along = changes(_facade)
    assert across / 4 < along < across


def test_beams_are_narrow_and_of_any_direction():
    across, along = changes(_beams)
    assert across / 2 < along < across
    for seed in range(40):
        alone = _beams((96, 96), 0.0, np.random.default_rng(seed))
        depth = scipy.ndimage.distance_transform_edt(np.pad(alone > 0.5, 1))
        assert 0 < np.median(depth[depth > 0]) < 4
