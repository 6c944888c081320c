import numpy as np
import pytest
from scipy import stats

from restorekit.degradations.noise import GaussianNoise, PoissonNoise


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
