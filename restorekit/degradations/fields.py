"""Random fields: smoothed noise, fractals."""

import cv2
import numpy as np

from restorekit.degradations.base import Picture, Plane
from restorekit.degradations.geometry import sample_at

REACH = 4
"""A Gaussian is cut off at so many standard deviations."""
WORKING_SIDE = 192
"""Clouds are made at this longer side and then enlarged."""
COARSEST = 1.5
"""Waves per picture up to which clouds are equally strong."""
FALL = 2.2
"""Power of the frequency by which they fall from there."""
TINY = 1e-9


def smoothed_noise(shape: tuple[int, int, int], sigma: float, rng: np.random.Generator) -> Picture:
    """Return Gaussian noise of mean 0 and variance 1, (H, W, C), smoothed by `sigma` pixels."""
    height, width, channels = shape
    reach = int(np.ceil(REACH * sigma))
    size = (height + 2 * reach, width + 2 * reach, channels)
    white = rng.standard_normal(size, dtype=np.float32)
    if not reach:
        return white
    taps = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    taps /= np.sqrt((taps**2).sum())  # keeps the variance
    smooth = np.asarray(cv2.sepFilter2D(white, -1, taps, taps), np.float32)
    return smooth.reshape(size)[reach:-reach, reach:-reach]


def wander(shape: tuple[int, ...], correlation: float, rng: np.random.Generator) -> Plane:
    """Return a smooth random field of mean 0 and variance 1 with a Gaussian correlation.

    Two places `correlation` pixels apart share exp(-1/4) of it.
    """
    # A field this smooth is known from a few points per correlation length.
    step = max(1.0, correlation / 4)
    rows, columns = (int(np.ceil(side / step)) + 1 for side in shape[:2])
    coarse = smoothed_noise((rows, columns, 1), correlation / step, rng)
    places = np.stack(np.meshgrid(*(np.arange(n) / step for n in shape[1::-1])), axis=2)
    return sample_at(coarse, places.astype(np.float32))[..., 0]


def clouds(shape: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Make fractal noise in [0, 1], mean 1/2, whose amplitude falls with the frequency.

    Its coarsest features are about half a picture wide, whatever the size.
    """
    height, width = shape[:2]
    shrink = max(1.0, max(height, width) / WORKING_SIDE)
    rows, columns = (max(1, round(side / shrink)) for side in (height, width))
    # Twice the size, because what an inverse transform makes meets itself at its borders.
    white = np.fft.rfft2(rng.standard_normal((2 * rows, 2 * columns)))
    frequencies = np.hypot(np.fft.fftfreq(2 * rows)[:, None], np.fft.rfftfreq(2 * columns))
    coarsest = COARSEST / max(rows, columns)
    fractal = np.fft.irfft2(
        white * np.hypot(frequencies, coarsest) ** -FALL, (2 * rows, 2 * columns)
    )
    small = (fractal[:rows, :columns] / (fractal.std() + TINY)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.5 + 0.25 * np.asarray(large, np.float32).reshape(height, width), 0, 1)


def plasma(shape: tuple[int, ...], decay: float, rng: np.random.Generator) -> Plane:
    """Make a fractal in [0, 1] by midpoint displacement (Fournier et al., 1982).

    A grid that meets itself at its borders is refined to the next power of two; from one refinement
    to the next the displacement falls by `decay` squared.
    """
    grid, swing = np.zeros((1, 1), np.float32), np.float32(1)

    def displaced(*neighbours: Plane) -> Plane:
        random = rng.random(grid.shape, np.float32) * 2 - 1
        middle: Plane = sum(neighbours, start=np.float32(0)) / 4 + swing * random
        return middle

    while len(grid) < max(shape[:2]):
        right, below = np.roll(grid, -1, axis=1), np.roll(grid, -1, axis=0)
        centres = displaced(grid, right, below, np.roll(below, -1, axis=1))
        finer = np.empty((2 * len(grid), 2 * len(grid)), np.float32)
        finer[::2, ::2], finer[1::2, 1::2] = grid, centres
        finer[::2, 1::2] = displaced(grid, right, centres, np.roll(centres, 1, axis=0))
        finer[1::2, ::2] = displaced(grid, below, centres, np.roll(centres, 1, axis=1))
        grid, swing = finer, swing / np.float32(decay**2)
    grid -= grid.min()
    return grid[: shape[0], : shape[1]] / (grid.max() or 1)
