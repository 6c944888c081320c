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
