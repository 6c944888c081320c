"""Deconvolution with a kernel that is given or guessed; borders are mirrored.

A kernel is written `gaussian:SIGMA`, `disk:RADIUS` or `motion:LENGTH:ANGLE` (pixels; degrees
counter-clockwise from the horizontal), or is the path of a grey picture of it. `guess` measures how
wide edges are and takes a Gaussian.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.classical.base import BLUR_REACH, Method, Picture, gaussian_blur, mirrored
from restorekit.errors import UsageError

GUESS: Final = "guess"
LONGEST: Final = 100
"""Pixels: the widest blur that can be asked for."""

KernelName = Annotated[
    str,
    Field(
        description="guess, gaussian:SIGMA, disk:RADIUS, motion:LENGTH:ANGLE (pixels, degrees), "
        "or the path of a grey picture of the kernel"
    ),
]
Kernel = NDArray[np.float32]

_DARKEST = np.float32(1e-6)
_FINE = 9
"""Points along and across a pixel of a drawn kernel."""
_LAPLACIAN = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
_REBLUR = 1.0
_OF_GRADIENT = 1 / 3
"""The variance that a difference over two pixels adds to an edge, in square pixels."""
_EDGES = 0.02
"""The share of all pixels, those with the strongest gradients, that counts as edges."""


@Method
def richardson_lucy(
    picture: Picture,
    kernel: KernelName = GUESS,
    iterations: Annotated[
        int, Field(ge=1, le=500, description="more are sharper and noisier, 1 to 500")
    ] = 10,
) -> Picture:
    """Find the picture that, blurred, is most likely to give this one under photon noise.

    Richardson, JOSA 1972; Lucy, Astron. J. 1974.
    """
    taps = read_kernel(kernel, picture)
    rows, columns = taps.shape
    observed = np.maximum(mirrored(picture, rows, columns), np.float32(0))
    estimate = observed
    for _ in range(iterations):
        blurred = np.maximum(_convolved(estimate, taps), _DARKEST)
        estimate = estimate * _convolved(np.divide(observed, blurred), np.flip(taps))
    return estimate[rows:-rows, columns:-columns]


@Method
def wiener(
    picture: Picture,
    kernel: KernelName = GUESS,
    noise: Annotated[
        float,
        Field(gt=0, le=10, description="power of the noise over that of the picture's detail"),
    ] = 0.01,
) -> Picture:
    """Invert the blur where the picture is stronger than the noise (Wiener, 1949).

    The power of a picture is taken to fall with the square of the frequency, as a photograph's.
    """
    taps = read_kernel(kernel, picture)
    rows, columns = (2 * side for side in taps.shape)
    wide = mirrored(picture, rows, columns)
    sides = wide.shape[:2]
    blur = _response(taps, sides)
    detail = np.abs(_response(_LAPLACIAN, sides)) ** 2
    inverse = blur.conj() / (np.abs(blur) ** 2 + noise * detail)
    spectrum = np.fft.rfft2(wide, axes=(0, 1)) * inverse[..., None]
    sharp: NDArray[np.float64] = np.fft.irfft2(spectrum, sides, (0, 1))
    return sharp[rows:-rows, columns:-columns].astype(np.float32)


def read_kernel(name: str, picture: Picture) -> Kernel:
    """Draw, read or guess a kernel; its sides are odd and its sum is 1.

    Raises UsageError for what is none of the accepted forms.
    """
    if name == GUESS:
        return _gaussian(max(guess_blur(picture), 0.2))
    kind, *numbers = name.split(":")
    makers: dict[str, tuple[Callable[..., Kernel], int]] = {
        "gaussian": (_gaussian, 1),
        "disk": (_disk, 1),
        "motion": (_motion, 2),
    }
    if kind in makers:
        make, count = makers[kind]
        values = [_number(name, text) for text in numbers]
        if len(values) == count and 0 < values[0] <= LONGEST:
            return make(*values)
    elif Path(name).is_file():
        return _read_picture(name)
    raise UsageError(
        f"kernel '{name}': give guess, gaussian:SIGMA, disk:RADIUS, motion:LENGTH:ANGLE with up to "
        f"{LONGEST} pixels, or the path of a grey picture"
    )


def guess_blur(picture: Picture) -> float:
    """Guess the standard deviation, in pixels, of the Gaussian that blurred the edges.

    Blurring an edge again lowers its gradient the more, the sharper it was (Zhuo and Sim, Pattern
    Recognition 2011). The strongest edges are the sharpest.
    """
    grey = picture.mean(2, keepdims=True)
    before, after = _gradient(grey), _gradient(gaussian_blur(grey, _REBLUR))
    threshold = np.quantile(before, 1 - _EDGES)
    edges = (before >= threshold) & (after > 0)
    if not edges.any() or threshold == 0:
        return 0.0
    ratio = float(np.median(before[edges] / after[edges]))
    variance = _REBLUR**2 / max(ratio**2 - 1, 1e-4) - _OF_GRADIENT
    return max(variance, 0.0) ** 0.5


def _gradient(grey: Picture) -> Picture:
    rows = cv2.Sobel(grey, -1, 0, 1, borderType=cv2.BORDER_REFLECT)
    columns = cv2.Sobel(grey, -1, 1, 0, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.hypot(rows, columns), np.float32)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"kernel '{name}': '{text}' is not a number") from None


def _gaussian(sigma: float) -> Kernel:
    line = np.asarray(cv2.getGaussianKernel(2 * int(np.ceil(BLUR_REACH * sigma)) + 1, sigma))
    return (line @ line.T).astype(np.float32)


def _disk(radius: float) -> Kernel:
    x, y = _places(int(np.ceil(radius)))
    return _binned((x**2 + y**2 <= radius**2).astype(np.float64))


def _motion(length: float, angle: float) -> Kernel:
    x, y = _places(int(np.ceil(length / 2)))
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    # A line one pixel wide: what a moving pixel covers.
    inside = (np.abs(along) <= max(length, 1) / 2) & (np.abs(across) <= 1 / 2)
    return _binned(inside.astype(np.float64))


def _places(reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = (2 * reach + 1) * _FINE
    line = (np.arange(count) + 0.5) / _FINE - reach - 0.5
    return line[None, :], line[:, None]


def _binned(fine: NDArray[np.float64]) -> Kernel:
    """Sum the points of each pixel."""
    side = len(fine) // _FINE
    coverage = fine.reshape(side, _FINE, side, _FINE).mean((1, 3))
    return (coverage / coverage.sum()).astype(np.float32)


def _read_picture(path: str) -> Kernel:
    drawn = cv2.imread(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if drawn is None or drawn.max() <= 0 or max(drawn.shape) > 2 * LONGEST + 1:
        raise UsageError(
            f"kernel '{path}': not a picture, all black, or more than {2 * LONGEST + 1} pixels wide"
        )
    taps = np.pad(drawn.astype(np.float32), [(0, 1 - side % 2) for side in drawn.shape])
    return taps / taps.sum()


def _convolved(picture: Picture, taps: Kernel) -> Picture:
    # OpenCV correlates.
    blurred = cv2.filter2D(picture, -1, np.flip(taps).copy(), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(picture.shape)


def _response(taps: Kernel, sides: tuple[int, ...]) -> NDArray[np.complex128]:
    """Transform a kernel whose middle is moved to the corner."""
    whole = np.zeros(sides)
    whole[: taps.shape[0], : taps.shape[1]] = taps
    return np.fft.rfft2(np.roll(whole, [-(side // 2) for side in taps.shape], (0, 1)))
