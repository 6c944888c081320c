import numpy as np
import pytest
from scipy import ndimage

from restorekit.degradations.moving import MovingObjects

SHAPE = (160, 200)
SEEDS = [6, 24, 49]
"""With these a single part stays well inside the picture."""


def moving(**changed):
    one = {"count": 1, "size": 0.5, "length": 20.0, "angle": 30.0, "spread": 0.0, "bend": 0.0}
    return MovingObjects(**(one | {"softness": 1.0, "space": "display"} | changed))


def seen(seed, **changed):
    picture = np.full((*SHAPE, 1), 0.5, np.float32)
    return moving(**changed).traced(picture, np.random.default_rng(seed)).maps["mask"]


def spread_along(mask, angle):
    """Mean and variance of the places of a mask along a direction."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = columns * np.cos(np.deg2rad(angle)) - rows * np.sin(np.deg2rad(angle))
    mean = np.average(along, weights=mask)
    return mean, np.average((along - mean) ** 2, weights=mask)


@pytest.mark.parametrize("nothing", [{"length": 0.0}, {"count": 0}])
def test_what_does_not_move_is_left_alone(nothing, textured):
    traced = moving(space="linear", **nothing).traced(textured, np.random.default_rng(0))
    np.testing.assert_array_equal(traced.picture, textured)
    assert not traced.maps["mask"].any()


def test_the_less_it_moves_the_nearer_it_is_to_the_picture(textured):
    errors = [
        np.abs(moving(length=length).apply(textured, np.random.default_rng(3)) - textured).max()
        for length in (1e-3, 0.1, 1.0, 5.0)
    ]
    assert errors == sorted(errors)
    assert errors[0] < 1e-3


def test_a_flat_picture_stays_flat():
    flat = np.full((*SHAPE, 3), 0.7, np.float32)
    moved = moving(count=8, spread=180.0, space="linear").apply(flat, np.random.default_rng(0))
    np.testing.assert_allclose(moved, flat, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bend", [0.0, 120.0])
def test_a_part_is_seen_as_long_wherever_it_goes(seed, bend):
    still, moved = seen(seed, length=1e-3), seen(seed, length=40.0, bend=bend)
    assert moved[[0, -1]].max() < 1e-6 > moved[:, [0, -1]].max()
    assert moved.sum() == pytest.approx(still.sum(), rel=1e-4)
    for angle in (0, 90):
        assert spread_along(moved, angle)[0] == pytest.approx(
            spread_along(still, angle)[0], abs=0.01
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_it_moves_along_its_angle(seed, angle):
    still, moved = seen(seed, length=1e-3), seen(seed, length=40.0, angle=angle)
    wider, thicker = (
        spread_along(moved, way)[1] - spread_along(still, way)[1] for way in (angle, angle + 90)
    )
    assert (0.4 * 40) ** 2 / 12 - 1 < wider < 40**2 / 12 + 1
    assert thicker == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_mean_of_the_moments_of_the_exposure(seed):
    still, blurred = seen(seed, length=1e-3), seen(seed)
    length = np.sqrt(12 * (spread_along(blurred, 30)[1] - spread_along(still, 30)[1]))
    picture = np.full(SHAPE, 0.2, np.float32)
    solid = still > 0.9999
    picture[solid] = np.random.default_rng(1).random(solid.sum())
    thing, mean = still * picture, np.zeros(SHAPE)
    for moment in np.linspace(-0.5, 0.5, 81) * length:
        way = -moment * np.sin(np.pi / 6), moment * np.cos(np.pi / 6)
        left, there = (ndimage.shift(layer, way, order=1) for layer in (thing, still))
        mean += (left + (1 - there) * 0.2) / 81
    moved = moving().apply(picture[..., None], np.random.default_rng(seed))[..., 0]
    np.testing.assert_allclose(moved, mean, atol=0.02)
    assert np.abs(moved - picture).max() > 0.2


@pytest.mark.parametrize("bend", [0.0, 90.0])
def test_the_reference_is_the_middle_of_the_exposure(bend):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    slope = (rows / 400 + columns / 500).astype(np.float32)[..., None]
    traced = moving(count=3, spread=180.0, bend=bend, length=15.0).traced(
        slope, np.random.default_rng(4)
    )
    inside = traced.maps["mask"] > 1 - 1e-6
    assert inside.mean() > 0.02
    inner = ndimage.binary_erosion(inside, iterations=12)
    np.testing.assert_allclose(traced.picture[inner], slope[inner], atol=2e-4)


def test_the_later_hide_the_earlier():
    picture = np.random.default_rng(0).random((*SHAPE, 3), dtype=np.float32)
    one, two = (
        moving(count=count, size=1.5).traced(picture, np.random.default_rng(2)) for count in (1, 2)
    )
    assert (two.maps["mask"] >= one.maps["mask"] - 1e-6).all()
    assert two.maps["mask"].sum() > 1.1 * one.maps["mask"].sum()


def test_light_adds_up_in_light():
    lamps = np.zeros((*SHAPE, 1), np.float32)
    lamps[::8, ::8] = 1
    display, linear = (
        moving(space=space, size=1.5).apply(lamps, np.random.default_rng(0))
        for space in ("display", "linear")
    )
    assert linear.sum() > 1.3 * display.sum()
