"""Point spread functions: odd-sized, of sum 1, with the centroid in the middle pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradations.base import Picture

Kernel = NDArray[np.float32]
Points = NDArray[np.complex128]
"""Places in pixels: x to the right, y (imaginary) down."""

POINTS_PER_PIXEL = 16
"""Samples along a pixel's side, or along a pixel of a path."""
NO_WEIGHT = 1e-9
WALK_STEPS = 2000
GAUSSIAN_REACH = 4
"""A Gaussian is cut off at so many standard deviations."""


def convolve(picture: Picture, kernel: Kernel) -> Picture:
    """Convolve every channel; beyond the border lies the mirrored picture.

    The mirror repeats the border pixel, so that nothing of the light is lost there.
    """
    if kernel.size == 1:
        return picture
    # OpenCV correlates.
    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    blurred = cv2.filter2D(picture, -1, flipped, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(picture.shape)


def deposit(points: Points, weights: NDArray[np.float64] | None = None) -> Kernel:
    """Collect points, each shared by its four pixels in proportion, around their centroid."""
    points = points - np.average(points, weights=weights)
    weights = np.ones(points.shape) if weights is None else weights
    reach = int(max(np.abs(points.real).max(), np.abs(points.imag).max())) + 1
    side = 2 * reach + 1
    left, top = np.floor(points.real), np.floor(points.imag)
    right, low = points.real - left, points.imag - top
    start = ((top + reach) * side + left + reach).astype(np.intp)
    kernel = np.zeros(side * side)
    for shift, share in (
        (0, (1 - right) * (1 - low)),
        (1, right * (1 - low)),
        (side, (1 - right) * low),
        (side + 1, right * low),
    ):
        kernel += np.bincount(start + shift, share * weights, kernel.size)
    return _trimmed(kernel.reshape(side, side) / kernel.sum())


def _trimmed(kernel: NDArray[np.float64]) -> Kernel:
    """Leave out the outermost pixels that have no weight."""
    middle = len(kernel) // 2
    reach = np.abs(np.argwhere(kernel > NO_WEIGHT) - middle).max()
    kept = kernel[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return (kept / kept.sum()).astype(np.float32)


def segment(length: float, angle: float) -> Kernel:
    """Return a straight motion of `length` pixels; `angle` in degrees from the horizontal."""
    count = max(1, int(np.ceil(length * POINTS_PER_PIXEL)))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    return deposit(along * np.exp(-1j * np.deg2rad(angle)))


def half_gaussian(sigma: float, reach: int, angle: float) -> Kernel:
    """Return a motion that fades from its start as half a Gaussian of `sigma` pixels.

    It ends after 2 `reach` + 1 pixels; `angle` in degrees from the horizontal.
    """
    along = (np.arange((2 * reach + 1) * POINTS_PER_PIXEL) + 0.5) / POINTS_PER_PIXEL
    return deposit(along * np.exp(-1j * np.deg2rad(angle)), np.exp(-((along / sigma) ** 2) / 2))


def shaky_path(extent: float, anxiety: float, rng: np.random.Generator) -> Points:
    """Walk as a hand-held camera does (Boracchi and Foi, TIP 2012), in steps of equal length.

    `extent` is the length of the path in pixels. `anxiety` scales all that turns it: tremor, the
    pull back to the start and sudden reversals; at 0 the path is straight.
    """
    tremor, pull, reversal = rng.uniform(0, 10), rng.uniform(0, 0.7), rng.uniform(0, 0.2)
    step = extent / (WALK_STEPS - 1)
    shocks = rng.standard_normal((WALK_STEPS, 2)) @ [1, 1j]
    turns = 2 * np.exp(1j * (np.pi + rng.uniform(-0.5, 0.5, WALK_STEPS)))
    turns *= rng.random(WALK_STEPS) < reversal * anxiety
    place, velocity = 0j, complex(np.exp(2j * np.pi * rng.random()))
    path = [place]
    for shock, turn in zip(shocks.tolist()[1:], turns.tolist()[1:], strict=True):
        velocity += turn * velocity + anxiety * (tremor * shock - pull * place * step)
        velocity /= abs(velocity) or 1
        place += velocity
        path.append(place)
    return np.array(path, np.complex128) * step


def shake(extent: float, anxiety: float, exposure: float, rng: np.random.Generator) -> Kernel:
    """Return what the first part `exposure` of a shaky path leaves on the sensor."""
    path = shaky_path(extent, anxiety, rng)
    return deposit(path[: max(1, round(exposure * len(path)))])


def disk(radius: float, blades: int = 0, rotation: float = 0.0) -> Kernel:
    """Return an out-of-focus point: the area of the aperture that falls on each pixel.

    `blades` of 3 or more make a regular polygon inside the circle of `radius` pixels, turned by
    `rotation` degrees; below 3 it is a circle.
    """
    reach = int(np.ceil(radius))
    count = (2 * reach + 1) * POINTS_PER_PIXEL
    places = (np.arange(count) + 0.5) / POINTS_PER_PIXEL - reach - 0.5
    x, y = places[None, :], places[:, None]
    inside = _inside(x, y, max(radius, 1 / POINTS_PER_PIXEL), blades, rotation)
    coverage = inside.reshape((2 * reach + 1, POINTS_PER_PIXEL) * 2).mean(axis=(1, 3))
    offsets = np.arange(-reach, reach + 1)
    return deposit((offsets[None, :] + 1j * offsets[:, None]).ravel(), coverage.ravel())


def _inside(
    x: NDArray[np.float64], y: NDArray[np.float64], radius: float, blades: int, rotation: float
) -> NDArray[np.bool_]:
    circle = x**2 + y**2 <= radius**2
    if blades < 3:
        return circle
    apothem = radius * np.cos(np.pi / blades)
    for blade in range(blades):
        direction = 2 * np.pi * blade / blades + np.deg2rad(rotation)
        circle &= x * np.cos(direction) + y * np.sin(direction) <= apothem
    return circle


def gaussian(sigma: float, narrow: float, angle: float) -> Kernel:
    """Return a Gaussian of `sigma` pixels along `angle` and `narrow` pixels across it.

    `angle` in degrees from the horizontal.
    """
    reach = int(np.ceil(GAUSSIAN_REACH * max(sigma, narrow)))
    x, y = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
    turn = np.deg2rad(angle)
    along = x * np.cos(turn) - y * np.sin(turn)
    across = x * np.sin(turn) + y * np.cos(turn)
    # Below a fifth of a pixel a Gaussian is one pixel.
    wide, thin = max(sigma, 0.2), max(narrow, 0.2)
    kernel = np.exp(-((along / wide) ** 2 + (across / thin) ** 2) / 2)
    return (kernel / kernel.sum()).astype(np.float32)
