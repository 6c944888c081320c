import numpy as np
import pytest

from restorekit.degradations.depth import pseudo_depth
from restorekit.degradations.haze import Haze, transmission, veil


def haze(**changes):
    return Haze.from_values({**Haze.at_severity(3).model_dump(), **changes})


@pytest.fixture
def landscape():
    """A bright even sky over dark ground, with a dark tower before the sky."""
    scene = np.full((120, 160, 3), 0.9, np.float32)
    scene[60:] = [0.2, 0.35, 0.1]
    scene[20:70, 70:90] = 0.15
    return scene


def test_at_no_depth_haze_is_the_picture(picture):
    clear = transmission(np.zeros(picture.shape[:2], np.float32), 3.0)
    np.testing.assert_array_equal(veil(picture, clear, np.float32([[[0.8]]])), picture)


def test_at_great_depth_haze_is_the_air(picture):
    opaque = transmission(np.full(picture.shape[:2], 50, np.float32), 3.0)
    np.testing.assert_allclose(veil(picture, opaque, np.float32([[[0.8]]])), 0.8, atol=1e-6)


def test_haze_is_the_scattering_model(landscape):
    drawn = haze(beta=1.5, airlight=0.8)
    depth = pseudo_depth(landscape, drawn.horizon, np.random.default_rng(3))
    left = np.exp(-1.5 * depth)[..., None]
    hazy = drawn.apply(landscape, np.random.default_rng(3))
    np.testing.assert_allclose(hazy, landscape * left + 0.8 * (1 - left), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_sky_is_far_and_the_ground_comes_near(landscape, seed):
    depth = pseudo_depth(landscape, 0.5, np.random.default_rng(seed))
    assert depth.min() >= 0
    assert depth.max() <= 1
    assert depth[5:15].mean() > 0.9
    assert depth[-5:].mean() < 0.25
    assert depth[110].mean() < depth[75].mean() < depth[5].mean()


def test_depth_has_the_edges_of_the_picture(landscape):
    drawn = [pseudo_depth(landscape, 0.5, np.random.default_rng(seed)) for seed in range(8)]
    depth = np.mean(drawn, axis=0)
    assert depth[40, 75:85].mean() < depth[40, 50:60].mean() - 0.1
    assert abs(depth[40, 95] - depth[40, 92]) < abs(depth[40, 91] - depth[40, 88])


def test_in_a_room_things_are_at_any_depth_and_what_is_bright_is_not_far(landscape):
    drawn = [pseudo_depth(landscape, 0.5, np.random.default_rng(seed), room=1) for seed in range(8)]
    rows = np.mean(drawn, axis=(0, 2))
    assert np.ptp(np.convolve(rows, np.ones(20) / 20, "valid")) < 0.3
    assert abs(rows[:30].mean() - rows[-30:].mean()) < 0.15
    assert min(np.ptp(depth) for depth in drawn) > 0.3


def test_what_is_near_need_not_be_at_the_camera(landscape):
    at, away = (
        haze(near=near).traced(landscape, np.random.default_rng(1)).maps["depth"]
        for near in (0.0, 0.4)
    )
    np.testing.assert_allclose(away, 0.4 + 0.6 * at, atol=1e-6)
    told = haze(near=0.4).traced(landscape, np.random.default_rng(1), at)
    np.testing.assert_array_equal(told.maps["depth"], at)


def test_patches_do_not_follow_the_depth(landscape):
    patchy = haze(beta=0.0, patchiness=3.0).apply(landscape, np.random.default_rng(2))
    ground = patchy[100, :, 2]
    assert ground.max() - ground.min() > 0.1


def test_the_tint_colours_the_air():
    dark = np.zeros((40, 40, 3), np.float32)
    dusty = haze(tint=0.2).apply(dark, np.random.default_rng(0)).mean(axis=(0, 1))
    assert dusty[0] > dusty[1] > dusty[2]


def test_haze_in_light_is_brighter_over_the_dark():
    dark = np.zeros((40, 40, 3), np.float32)
    display, linear = (
        haze(space=space).apply(dark, np.random.default_rng(0)) for space in ("display", "linear")
    )
    assert linear.mean() > display.mean()
    assert linear.max() <= 0.85 + 1e-5


@pytest.mark.parametrize("space", ["display", "linear"])
def test_over_a_depth_of_0_haze_is_the_picture(landscape, space):
    depth = np.zeros(landscape.shape[:2], np.float32)
    told = haze(beta=3.0, space=space).traced(landscape, np.random.default_rng(0), depth)
    np.testing.assert_allclose(told.picture, landscape, atol=1e-6)


def test_haze_over_metres_thickens_by_beta_per_metre():
    dark = np.zeros((2, 3, 1), np.float32)
    depth = np.array([[0, 5, 10], [20, 40, 80]], np.float32)
    hazy = haze(beta=0.1, airlight=0.8, tint=0).traced(dark, np.random.default_rng(0), depth)
    np.testing.assert_allclose(hazy.picture[..., 0], 0.8 * (1 - np.exp(-depth / 10)), rtol=1e-5)
