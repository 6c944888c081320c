import numpy as np
import pytest
from scipy import stats
from skimage.util import random_noise

from restorekit.degradations.noise import (
    CorrelatedNoise,
    GaussianNoise,
    ImpulseNoise,
    PoissonNoise,
    SpeckleNoise,
    sensor_noise,
)


def test_no_noise_is_the_picture(picture):
    same = GaussianNoise(sigma=0).apply(picture, np.random.default_rng(0))
    np.testing.assert_array_equal(same, picture)


def test_gaussian_noise_is_normal_with_its_sigma():
    flat = np.full((200, 200, 3), 0.5, np.float32)
    noise = (GaussianNoise(sigma=25).apply(flat, np.random.default_rng(1)) - flat) * 255 / 25
    assert stats.kstest(noise.ravel()[::7], "norm").pvalue > 0.01
    assert noise.std() == pytest.approx(1, abs=0.01)


def test_gaussian_noise_is_independent_between_channels():
    flat = np.full((200, 200, 3), 0.5, np.float32)
    noisy = GaussianNoise(sigma=25).apply(flat, np.random.default_rng(2)).reshape(-1, 3)
    assert np.abs(np.corrcoef(noisy.T) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize("level", [0.1, 0.5, 1.0])
def test_poisson_noise_has_the_mean_and_the_variance_of_a_photon_count(level):
    flat = np.full((300, 300, 1), level, np.float32)
    noisy = PoissonNoise(photons=40).apply(flat, np.random.default_rng(3))
    assert noisy.mean() == pytest.approx(level, rel=0.01)
    assert noisy.var() == pytest.approx(level / 40, rel=0.03)


def test_poisson_noise_vanishes_in_bright_light(picture):
    noisy = PoissonNoise(photons=1e8).apply(picture, np.random.default_rng(4))
    np.testing.assert_allclose(noisy, picture, atol=2e-3)


def flat(level, shape=(300, 300, 3)):
    return np.full(shape, level, np.float32)


@pytest.mark.parametrize("channels", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("grain", [0.0, 0.2, 1.0])
def test_correlated_noise_has_its_sigma_and_its_correlation(channels, grain):
    noise = CorrelatedNoise(sigma=25, channels=channels, grain=grain)
    drawn = (noise.apply(flat(0.5), np.random.default_rng(1)) - 0.5) * 255
    assert drawn.std() == pytest.approx(25, rel=0.03)
    assert np.corrcoef(drawn.reshape(-1, 3).T)[0, 1] == pytest.approx(channels, abs=0.05)


def test_grain_is_shared_by_neighbours():
    noise = CorrelatedNoise(sigma=25, channels=0, grain=1)
    drawn = noise.apply(flat(0.5), np.random.default_rng(1)) - 0.5
    beside = np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]
    assert beside == pytest.approx(np.exp(-1 / 4), abs=0.03)


@pytest.mark.parametrize("unit", ["pixel", "sample"])
def test_impulses_hit_their_part_of_the_picture(unit):
    noise = ImpulseNoise(amount=0.2, salt=0.3, values="extremes", unit=unit)
    hit = noise.apply(flat(0.5), np.random.default_rng(2))
    assert (hit != 0.5).mean() == pytest.approx(0.2, abs=0.01)
    assert (hit == 1).sum() / (hit != 0.5).sum() == pytest.approx(0.3, abs=0.02)
    together = (hit[..., 0] != 0.5) == (hit[..., 1] != 0.5)
    assert together.all() == (unit == "pixel")


def test_random_valued_impulses_are_uniform():
    noise = ImpulseNoise(amount=1, salt=0.5, values="uniform", unit="sample")
    drawn = noise.apply(flat(0.5), np.random.default_rng(3))
    assert stats.kstest(drawn.ravel()[::17], "uniform").pvalue > 0.01


@pytest.mark.parametrize("law", ["gaussian", "gamma"])
def test_speckle_grows_with_the_sample(law):
    for level in (0.2, 0.8):
        noisy = SpeckleNoise(sigma=0.25, law=law).apply(flat(level), np.random.default_rng(4))
        assert noisy.mean() == pytest.approx(level, rel=0.01)
        assert noisy.std() == pytest.approx(0.25 * level, rel=0.02)


def test_gamma_speckle_is_never_negative():
    noisy = SpeckleNoise(sigma=1, law="gamma").apply(flat(0.5), np.random.default_rng(5))
    assert noisy.min() >= 0


@pytest.mark.parametrize("level", [0.0, 0.2, 0.9])
def test_sensor_noise_has_the_variance_of_its_formula(level):
    noise = sensor_noise(flat(level), 0.01, 0.0004, np.random.default_rng(6))
    assert noise.mean() == pytest.approx(0, abs=1e-3)
    assert noise.var() == pytest.approx(0.01 * level + 0.0004, rel=0.02)


def test_gaussian_noise_has_the_distribution_of_scikit_image():
    ours = GaussianNoise(sigma=25.5).apply(flat(0.5, (250, 200, 1)), np.random.default_rng(7))
    theirs = random_noise(
        np.full((250, 200), 0.5), "gaussian", rng=np.random.default_rng(8), clip=False, var=0.01
    )
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > 0.01
