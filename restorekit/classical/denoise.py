"""Smoothing and denoising without learning.

A noise level is a standard deviation in units of 1/255; left out, it is guessed from the picture.
"""

from itertools import product
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.classical.base import (
    Method,
    Picture,
    box_mean,
    gaussian_blur,
    mirrored,
    noise_level,
)
from restorekit.errors import MissingExtraError

Sigma = Annotated[
    float | None,
    Field(ge=0, le=255, description="noise level in units of 1/255; None guesses it"),
]
Spectrum = NDArray[Any]

_DAUBECHIES = np.array([1 + 3**0.5, 3 + 3**0.5, 3 - 3**0.5, 1 - 3**0.5]) / 8


@Method
def gaussian(
    picture: Picture,
    sigma: Annotated[
        float, Field(gt=0, le=50, description="standard deviation in pixels, up to 50")
    ] = 1.0,
) -> Picture:
    """Blur by a Gaussian."""
    return gaussian_blur(picture, sigma)


@Method
def median(
    picture: Picture,
    radius: Annotated[
        int, Field(ge=1, le=20, description="windows are 2 * radius + 1 pixels a side, 1 to 20")
    ] = 1,
) -> Picture:
    """Take the median of each channel in a window; borders are mirrored."""
    size, (height, width) = 2 * radius + 1, picture.shape[:2]
    wide = mirrored(picture, radius, radius)
    if size <= 5:
        middle = np.asarray(cv2.medianBlur(wide, size), np.float32).reshape(wide.shape)
        return middle[radius : radius + height, radius : radius + width]
    windows = np.lib.stride_tricks.sliding_window_view(wide, (size, size), (0, 1))
    rows = (np.median(row, (-2, -1)) for row in windows)
    return np.stack([row.astype(np.float32) for row in rows])


@Method
def bilateral(
    picture: Picture,
    sigma: Annotated[
        float, Field(gt=0, le=20, description="standard deviation in pixels, up to 20")
    ] = 2.0,
    contrast: Annotated[
        float,
        Field(gt=0, le=255, description="difference that counts as alike, in units of 1/255"),
    ] = 75.0,
) -> Picture:
    """Average pixels that are near and alike (Tomasi and Manduchi, ICCV 1998)."""
    reach = int(np.ceil(2 * sigma))
    smooth = cv2.bilateralFilter(
        picture, 2 * reach + 1, contrast / 255, sigma, borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(smooth, np.float32).reshape(picture.shape)


@Method
def nl_means(
    picture: Picture,
    sigma: Sigma = None,
    patch: Annotated[
        int, Field(ge=0, le=10, description="patches are 2 * patch + 1 pixels a side, 0 to 10")
    ] = 2,
    search: Annotated[
        int, Field(ge=1, le=30, description="how far like patches are sought, 1 to 30 pixels")
    ] = 7,
    strength: Annotated[
        float, Field(gt=0, le=5, description="width of what counts as like, in noise levels")
    ] = 0.6,
) -> Picture:
    """Average pixels whose surroundings are alike (Buades et al., CVPR 2005).

    The noise that two patches differ by is taken off their distance first.
    """
    level = noise_level(picture) if sigma is None else sigma / 255
    height, width = picture.shape[:2]
    wide = mirrored(picture, search, search)
    total, weights = np.zeros_like(picture), np.zeros((height, width, 1), np.float32)
    narrow = np.float32(-1 / max((strength * level) ** 2, 1e-12))
    for row, column in product(range(2 * search + 1), repeat=2):
        other = wide[row : row + height, column : column + width]
        difference = other - picture
        squares = np.einsum("hwc,hwc->hw", difference, difference)[..., None]
        distance = box_mean(squares, patch) / np.float32(picture.shape[2])
        excess = np.maximum(distance - np.float32(2 * level**2), 0)
        weight = np.asarray(cv2.exp(excess * narrow), np.float32).reshape(excess.shape)
        total += weight * other
        weights += weight
    return total / weights


@Method
def wavelet(
    picture: Picture,
    sigma: Sigma = None,
    levels: Annotated[int, Field(ge=1, le=6, description="scales that are shrunk, 1 to 6")] = 4,
) -> Picture:
    """Shrink the coefficients of an undecimated wavelet towards zero, by as much as noise has.

    BayesShrink (Chang et al., TIP 2000), soft thresholds, Daubechies' wavelet with two vanishing
    moments; averaging over all shifts is that of Coifman and Donoho (1995).
    """
    level = noise_level(picture) if sigma is None else sigma / 255
    margin = 4 << levels
    wide = mirrored(picture, margin, margin)
    sides = wide.shape[:2]
    spectrum = np.fft.rfft2(wide, axes=(0, 1))
    low, shrunk = np.ones((1, 1, 1), np.complex128), np.zeros_like(spectrum)
    for scale in range(levels):
        coarse, *details = _bands(sides, 1 << scale)
        for response in (low * band for band in details):
            noise = level * float(np.sqrt(np.mean(np.abs(response) ** 2)))
            kept = _shrink(np.fft.irfft2(spectrum * response, sides, (0, 1)), noise)
            shrunk += np.fft.rfft2(kept, axes=(0, 1)) * response.conj()
        low = low * coarse
    shrunk += spectrum * np.abs(low) ** 2
    whole: NDArray[np.float64] = np.fft.irfft2(shrunk, sides, (0, 1))
    return whole[margin:-margin, margin:-margin].astype(np.float32)


@Method
def bm3d(picture: Picture, sigma: Sigma = None) -> Picture:
    """Filter groups of like patches together (Dabov et al., TIP 2007), by the authors' package.

    Raises MissingExtraError where the package is not installed.
    """
    try:
        import bm3d as package
    except ImportError:
        raise MissingExtraError("bm3d", "bm3d", "BM3D") from None
    level = noise_level(picture) if sigma is None else sigma / 255
    if level == 0:
        return picture
    # The package drops the channel of grey pictures.
    grey = picture.shape[2] == 1
    restored = package.bm3d(picture[..., 0], level) if grey else package.bm3d_rgb(picture, level)
    return np.asarray(restored, np.float32).reshape(picture.shape)


def _bands(sides: tuple[int, ...], hole: int) -> list[Spectrum]:
    """Give the responses of the smooth band and of three detailed ones; their squares add to 1."""
    mirror = _DAUBECHIES[::-1] * [1, -1, 1, -1]
    frequencies = np.fft.fftfreq(sides[0])[:, None], np.fft.rfftfreq(sides[1])[None]
    pairs = [
        [
            np.tensordot(taps, np.exp(-2j * np.pi * hole * np.arange(4)[:, None, None] * f), 1)
            for taps in (_DAUBECHIES, mirror)
        ]
        for f in frequencies
    ]
    return [(rows * columns)[..., None] for rows, columns in product(*pairs)]


def _shrink(coefficients: Spectrum, noise: float) -> Spectrum:
    """Move all coefficients towards 0 by the noise's variance over the signal's deviation."""
    signal = max(float(np.mean(coefficients**2)) - noise**2, 0) ** 0.5
    threshold = noise**2 / signal if signal > 0 else float(np.abs(coefficients).max())
    return np.sign(coefficients) * np.maximum(np.abs(coefficients) - threshold, 0)
