import numpy as np
import pytest

from restorekit.degradations.lens import (
    FOCAL,
    WATER,
    Drop,
    Raindrops,
    cap,
    leave_water,
    refracted,
    trail,
)


def drops(**changes):
    return Raindrops.from_values({**Raindrops.at_severity(3).model_dump(), **changes})


def test_a_ray_that_meets_the_surface_straight_goes_straight():
    turned, passed = leave_water(np.zeros(1))
    assert turned == pytest.approx(0)
    assert passed == pytest.approx(1 - ((WATER - 1) / (WATER + 1)) ** 2)


@pytest.mark.parametrize("degrees", [5.0, 20.0, 40.0])
def test_a_ray_turns_as_snell_says(degrees):
    inside = np.deg2rad(degrees)
    turned, _ = leave_water(np.tan([inside]))
    assert np.sin(inside + np.arctan(turned)) == pytest.approx(WATER * np.sin(inside))


def test_beyond_the_critical_angle_nothing_passes():
    critical = np.tan(np.arcsin(1 / WATER))
    slopes = np.linspace(0, 0.999 * critical, 50)
    passed = leave_water(slopes)[1]
    assert (np.diff(passed) <= 0).all()
    assert leave_water(np.array([1.001 * critical, 3.0]))[1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("contact", [0.4, 0.8])
def test_a_drop_is_a_cap_that_meets_the_glass_at_its_angle(contact):
    heights = [cap(30.0, contact, np.random.default_rng(s)) for s in range(20)]
    tops = [height.max() for height in heights]
    np.testing.assert_allclose(tops, 30 * np.tan(contact / 2), rtol=0.01)
    areas = [(height > 0).sum() for height in heights]
    assert np.mean(areas) == pytest.approx(np.pi * 30**2 * 1.1, rel=0.15)
    assert all(np.all(height[0] == 0) and np.all(height[:, -1] == 0) for height in heights)


@pytest.fixture
def dome():
    """A round drop of radius 30 in the middle of a picture of 200 x 300."""
    rows, columns = np.mgrid[:200, :300]
    inside = np.maximum(40.0**2 - (rows - 100) ** 2 - (columns - 150) ** 2, 0)
    return np.maximum(np.sqrt(inside) - np.sqrt(40.0**2 - 30**2), 0).astype(np.float32)


def test_a_drop_shows_the_scene_upside_down(dome):
    scene = np.zeros((200, 300, 1), np.float32)
    scene[:100] = 1
    seen = refracted(scene, dome)[..., 0]
    assert seen[78, 150] < 0.1
    assert seen[122, 150] > 0.9
    assert seen[50, 150] == 0


def test_a_drop_reads_the_scene_where_snell_sends_the_ray(dome):
    ramp = np.broadcast_to(np.arange(300, dtype=np.float32)[None, :, None], (200, 300, 1))
    slope = 10 / np.sqrt(40**2 - 10**2)
    turned, passed = leave_water(np.array([slope]))
    expected = (160 - FOCAL * 300 * turned[0]) * passed[0]
    assert refracted(ramp, dome)[100, 160, 0] == pytest.approx(expected, rel=0.02)


def test_a_drop_that_sees_above_the_picture_sees_a_brighter_sky(dome):
    scene = np.full((200, 300, 1), 0.2, np.float32)
    plain, bright = (refracted(scene, dome, sky)[..., 0] for sky in (1.0, 3.0))
    gain = bright[dome > 0] / plain[dome > 0]
    assert gain.min() == pytest.approx(1)
    assert 1.5 < gain.max() <= 3 + 1e-5
    brightest = np.unravel_index(np.argmax(bright), bright.shape)
    assert brightest[0] > 120  # what is above is seen below: the drop turns it over


def test_light_from_all_around_fills_drops_evenly():
    scene = np.random.default_rng(3).random((200, 240, 3), np.float32)
    told = drops(blur=0.0, ambient=1.0, ambient_light=0.5, space="display").traced(
        scene, np.random.default_rng(0)
    )
    wet = told.maps["mask"] == 1
    assert wet.any()
    np.testing.assert_allclose(told.picture[wet], scene.mean() / 2, rtol=1e-5)
    assert np.array_equal(told.picture[~wet], scene[~wet])


@pytest.mark.parametrize("cover", [0.05, 0.2])
def test_drops_cover_about_as_much_as_they_should(cover):
    grey = np.full((300, 400, 1), 0.5, np.float32)
    masks = [
        drops(cover=cover, trails=0.0).traced(grey, np.random.default_rng(s)).maps["mask"]
        for s in range(8)
    ]
    assert np.mean(masks) == pytest.approx(cover, rel=0.3)


def test_a_defocused_drop_hides_and_shows_in_the_same_proportion():
    white = np.ones((200, 240, 3), np.float32)
    told = drops(blur=6.0, highlights=1.0, space="display").traced(white, np.random.default_rng(0))
    lost = (1 - told.picture)[..., 0]
    assert (lost >= -1e-6).all()
    assert lost[told.maps["mask"] == 0] == pytest.approx(0, abs=1e-6)
    # Nothing is lost but what the surface of the water reflects.
    assert (lost <= told.maps["mask"] + 1e-6).all()
    assert lost.sum() / told.maps["mask"].sum() < 0.15


def test_highlights_are_brighter_in_drops_and_clipped_by_the_sensor():
    scene = np.full((200, 240, 3), 0.2, np.float32)
    scene[:80] = 1
    dim, bright = (
        drops(highlights=h, cover=0.3).apply(scene, np.random.default_rng(1)) for h in (1.0, 4.0)
    )
    assert bright.mean() > dim.mean()
    assert bright.max() <= 1 + 1e-5


def test_a_trail_runs_upwards_and_its_beads_are_smaller():
    drop = Drop(50.0, 200.0, 12.0)
    beads = trail(drop, np.random.default_rng(0))
    heights = [bead.y for bead in beads]
    assert len(beads) >= 3
    assert heights == sorted(heights, reverse=True)
    assert all(bead.radius < drop.radius / 2 for bead in beads)
