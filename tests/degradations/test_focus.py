import numpy as np
import pytest

from restorekit.degradations.blur import DefocusBlur
from restorekit.degradations.focus import DepthDefocus

BLADES = {"blades": 6, "rotation": 10.0, "highlights": 1.0, "space": "linear"}


def defocused(picture, depth, **changes):
    values = {"radius": 6.0, "focus": 0.5, "horizon": 0.3, **BLADES, **changes}
    drawn = DepthDefocus.from_values(values)
    return drawn.traced(picture, np.random.default_rng(0), np.asarray(depth, np.float32)).picture


@pytest.fixture
def scene():
    """A red card before a green wall: (picture, where the card is)."""
    picture = np.zeros((90, 120, 3), np.float32)
    picture[..., 1] = 0.5 + 0.3 * (np.arange(120) // 3 % 2)
    card = np.zeros((90, 120), bool)
    card[25:65, 40:80] = True
    picture[card] = [0.8, 0, 0]
    return picture, card


def test_what_is_in_focus_is_sharp(textured):
    depth = np.full(textured.shape[:2], 0.5)
    np.testing.assert_array_equal(defocused(textured, depth), textured)


@pytest.mark.parametrize(("distance", "radius"), [(1.0, 3.0), (1e6, 6.0), (0.4, 1.5), (0.01, 6.0)])
def test_at_one_depth_it_is_the_blur_of_a_flat_scene(textured, distance, radius):
    depth = np.full(textured.shape[:2], distance)
    flat = DefocusBlur(radius=radius, **BLADES)
    expected = flat.apply(textured, np.random.default_rng(0))
    # A radius between two layers is a mixture of theirs.
    tolerance = 2e-4 if radius % 1 == 0 else 0.03
    np.testing.assert_allclose(defocused(textured, depth), expected, atol=tolerance)


def test_the_sharp_card_does_not_bleed_into_the_blurred_wall(scene):
    picture, card = scene
    blurred = defocused(picture, np.where(card, 0.5, 5.0), radius=8.0, space="display")
    np.testing.assert_allclose(blurred[card], picture[card], atol=1e-4)
    assert blurred[~card, 0].max() < 0.02
    assert blurred[10, :, 1].std() < 0.5 * picture[10, :, 1].std()


def test_the_blurred_card_spreads_over_the_sharp_wall(scene):
    picture, card = scene
    blurred = defocused(picture, np.where(card, 0.25, 0.5), space="display")
    assert blurred[45, 37, 0] > 0.1
    assert blurred[45, 43, 1] > 0.02
    np.testing.assert_allclose(blurred[10], picture[10], atol=1e-4)


def test_a_flat_scene_stays_flat_at_any_depth():
    flat = np.full((50, 70, 3), 0.3, np.float32)
    depth = np.random.default_rng(0).uniform(0.05, 1, (50, 70))
    np.testing.assert_allclose(defocused(flat, depth), flat, atol=1e-4)


def test_blur_grows_with_the_distance_from_the_focus():
    stripes = np.tile(np.float32([0.2, 0.2, 0.8, 0.8]), 60)[None, :, None].repeat(200, 0)
    depth = np.linspace(0.5, 2, 200)[:, None].repeat(240, 1)
    contrasts = defocused(stripes, depth, radius=4.0)[5::30, 20:-20, 0].std(axis=1)
    assert (np.diff(contrasts[:4]) < 0).all()


def test_bright_lights_behind_the_focus_become_bright_discs():
    night = np.full((61, 61, 3), 0.02, np.float32)
    night[30, 30] = 1
    depth = np.full((61, 61), 1e6)
    dim, bright = (defocused(night, depth, highlights=h) for h in (1.0, 8.0))
    assert bright[30, 30, 0] > 2 * dim[30, 30, 0]
    assert bright.max() <= 1
