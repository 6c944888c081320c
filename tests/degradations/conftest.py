import numpy as np
import pytest


@pytest.fixture
def picture():
    """A smooth colour picture with an edge, odd sides."""
    rows, columns = np.mgrid[0:61, 0:83] / 83
    planes = [0.5 + 0.3 * np.sin(6 * rows + k) * np.cos(5 * columns) for k in range(3)]
    drawn = np.stack(planes, axis=2).astype(np.float32)
    drawn[:, 40:] *= 0.6
    return drawn


@pytest.fixture(scope="session")
def textured():
    """A colour picture with as much detail at every size as a photograph has."""
    rng = np.random.default_rng(1)
    frequencies = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(240))
    frequencies[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((192, 240)))
    shapes = np.fft.irfft2(waves / frequencies**1.2, s=(192, 240))
    grey = 0.45 + 0.2 * shapes / shapes.std()
    colours = [grey + 0.05 * np.sin(np.arange(240) / 40 + k) for k in range(3)]
    return np.clip(np.stack(colours, axis=2), 0, 1).astype(np.float32)
