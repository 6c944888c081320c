import numpy as np
import pytest

from restorekit.degradations.displacement import Elastic, GlassBlur, ZoomBlur


def ramps(height=60, width=80):
    """Each pixel holds its own column and row."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, x * 0], axis=2).astype(np.float32)


@pytest.mark.parametrize(("reach", "rounds"), [(1, 1), (2, 3), (4, 2)])
def test_glass_makes_pixels_change_places_and_loses_none(reach, rounds):
    picture = ramps()
    glass = GlassBlur(sigma=0, reach=reach, rounds=rounds)
    seen = glass.apply(picture, np.random.default_rng(0))
    pixels, kept = (np.unique(p.reshape(-1, 3), axis=0) for p in (seen, picture))
    np.testing.assert_array_equal(pixels, kept)
    moved = (seen - picture)[10:-10, 10:-10, :2]
    assert (moved.any(axis=2)).mean() > 0.7
    # A pixel may be swapped twice in a round and more, but it comes back as often as not.
    assert moved.std() < 2.5 * reach * rounds**0.5


def test_glass_moves_nothing_on_the_whole():
    moved = [
        (GlassBlur(sigma=0, reach=2, rounds=2).apply(ramps(), np.random.default_rng(s)) - ramps())
        for s in range(5)
    ]
    np.testing.assert_allclose(np.mean(moved, axis=(0, 1, 2)), 0, atol=0.02)


def test_glass_too_coarse_for_a_picture_only_blurs(picture):
    small = picture[:5, :5]
    coarse = GlassBlur(sigma=0, reach=3, rounds=1).apply(small, np.random.default_rng(0))
    np.testing.assert_array_equal(coarse, small)


def test_zoom_blur_smears_by_as_much_as_it_zooms_and_leaves_the_centre():
    x = ramps(61, 101)
    blur = ZoomBlur(zoom=1.2, step=0.05, space="display").apply(x, np.random.default_rng(0))
    centre = np.array([50, 30])
    shrinks = np.mean([1, *(1 / zoom for zoom in (1, 1.05, 1.1, 1.15, 1.2))])
    expected = centre + shrinks * (x[..., :2] - centre)
    np.testing.assert_allclose(blur[..., :2], expected, atol=0.04)


def test_elastic_without_corners_has_the_displacement_it_names():
    elastic = Elastic(displacement=1.5, correlation=4, corners=0)
    moved = [
        (elastic.apply(ramps(), np.random.default_rng(s)) - ramps())[10:-10, 10:-10, :2]
        for s in range(5)
    ]
    assert np.std(moved) == pytest.approx(1.5, rel=0.06)
    assert np.abs(np.mean(moved)) < 0.15


def test_elastic_without_a_warp_is_affine_and_moves_the_corners_by_no_more():
    moved = Elastic(displacement=0, correlation=4, corners=0.1).apply(
        ramps(), np.random.default_rng(3)
    )
    inner = moved[20:-20, 25:-25, :2]
    assert np.abs(np.diff(inner, n=2, axis=0)).max() < 0.1
    assert np.abs(np.diff(inner, n=2, axis=1)).max() < 0.1
    # Three corners 20 pixels from the centre move by up to 6 each way.
    assert 0.1 < np.abs(moved - ramps())[10:50:20, 20:60:20].max() < 40


@pytest.mark.parametrize("corners", [0.05, 0.25])
def test_elastic_takes_the_corners_back_to_where_they_were(corners):
    elastic = Elastic(displacement=0, correlation=4, corners=corners)
    back = elastic._moved_back(300, 400, np.random.default_rng(1))
    shifts = 300 * np.random.default_rng(1).uniform(-corners, corners, (3, 2))
    placed = np.array([199.5, 149.5]) + 100 * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = np.column_stack([placed + shifts, np.ones(3)])
    np.testing.assert_allclose(moved @ back.T, placed, atol=1e-8)
