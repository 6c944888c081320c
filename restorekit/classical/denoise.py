"""Smoothing and denoising without learning.

A noise level is a standard deviation in units of 1/255; left out, it is guessed from the picture.
"""

from importlib.util import find_spec
from itertools import product
from typing import Annotated, Final

import cv2
import numpy as np
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

COLOURS: Final = 3


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
    shifts: Annotated[
        int, Field(ge=1, le=8, description="shifts along each axis that are averaged, 1 to 8")
    ] = 4,
) -> Picture:
    """Shrink wavelet coefficients towards zero, by as much as noise has, by scikit-image.

    BayesShrink (Chang et al., TIP 2000) of luma and chroma, soft thresholds, Daubechies' wavelet
    with two vanishing moments; averaging over shifts is that of Coifman and Donoho (1995).
    Raises MissingExtraError where scikit-image or PyWavelets is not installed.
    """
    if not all(map(find_spec, ("skimage", "pywt"))):
        raise MissingExtraError("scikit-image and PyWavelets", "wavelet", "wavelet shrinkage")
    from skimage.restoration import denoise_wavelet

    level = noise_level(picture) if sigma is None else sigma / 255
    if level == 0:
        return picture
    # The package wraps around at the borders, and so do the shifts.
    margin = 4 << levels
    wide, total = mirrored(picture, margin, margin), np.zeros_like(picture)
    for shift in product(range(shifts), repeat=2):
        restored = denoise_wavelet(
            np.roll(wide, shift, (0, 1)),
            level,
            "db2",
            wavelet_levels=levels,
            convert2ycbcr=picture.shape[2] == COLOURS,
            channel_axis=2,
        )
        back = np.roll(restored, [-step for step in shift], (0, 1))
        total += back[margin:-margin, margin:-margin]
    return total / np.float32(shifts**2)


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
