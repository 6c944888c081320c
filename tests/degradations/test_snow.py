import numpy as np
import pytest

from restorekit.degradations.snow import WHITE, Snow, flake


def snow(**changes):
    return Snow.from_values({**Snow.at_severity(3).model_dump(), **changes})


@pytest.mark.parametrize("radius", [0.4, 2.0, 9.0])
def test_a_flake_fits_its_canvas(radius):
    drawn = flake(radius, 0.7, np.random.default_rng(0))
    assert drawn.shape[0] == drawn.shape[1]
    assert len(drawn) % 2 == 1
    assert drawn.max() <= 1
    rim = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert rim.max() < 0.05


def test_a_flake_has_about_the_area_of_its_disc():
    areas = [flake(8.0, 0.5, np.random.default_rng(seed)).sum() for seed in range(30)]
    assert np.mean(areas) == pytest.approx(np.pi * 64, rel=0.15)


def test_flakes_differ():
    first, second = (flake(8.0, 0.3, np.random.default_rng(seed)) for seed in (0, 1))
    assert np.abs(first - second).max() > 0.2


def test_snow_whitens_the_dark_and_nothing_gets_whiter_than_snow():
    dark = np.full((150, 150, 3), 0.1, np.float32)
    white = snow(density=0.002).apply(dark, np.random.default_rng(1))
    assert (white >= dark).all()
    assert white.max() <= WHITE
    assert white.max() > 0.5


def test_the_veil_lies_over_everything():
    dark = np.zeros((30, 30, 1), np.float32)
    veiled = snow(density=0, veil=0.25).apply(dark, np.random.default_rng(1))
    np.testing.assert_allclose(veiled, 0.25 * WHITE, atol=1e-6)


def test_motion_smears_the_flakes_along_the_angle():
    dark = np.zeros((300, 300, 1), np.float32)
    fallen = snow(layers=1, motion=6.0, angle=90.0, veil=0).apply(dark, np.random.default_rng(2))
    down, across = (np.abs(np.diff(fallen, axis=axis)).sum() for axis in (0, 1))
    assert across > 1.5 * down
