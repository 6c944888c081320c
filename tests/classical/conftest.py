import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def photo():
    """A piece of a photograph, (96, 112, 3) float32."""
    return (data.astronaut()[120:216, 160:272] / 255).astype(np.float32)


@pytest.fixture(scope="session")
def noisy(photo):
    """The photograph with white noise of 25/255."""
    noise = np.random.default_rng(0).standard_normal(photo.shape)
    return (photo + noise * 25 / 255).astype(np.float32)
