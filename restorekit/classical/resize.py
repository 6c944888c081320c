"""Enlarging without learning: interpolation, zero padding of the spectrum, back-projection.

Pixels are areas with centres at halves, so that all methods and nets of one scale align. Borders
are mirrored.
"""

from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from restorekit.classical.base import Method, Picture, mirrored

Scale = Annotated[int, Field(ge=1, le=16, description="how many times larger, 1 to 16")]

_REACH: Final = 4
"""Pixels beyond the border that the widest kernel sees."""


@Method
def nearest(picture: Picture, scale: Scale = 4) -> Picture:
    """Repeat every pixel."""
    return picture.repeat(scale, 0).repeat(scale, 1)


@Method
def bilinear(picture: Picture, scale: Scale = 4) -> Picture:
    """Interpolate between the four nearest pixels."""
    return resized(picture, scale, Image.Resampling.BILINEAR)


@Method
def bicubic(picture: Picture, scale: Scale = 4) -> Picture:
    """Interpolate by the cubic of Keys (1981) with a = -1/2, as MATLAB's `imresize` does."""
    return resized(picture, scale, Image.Resampling.BICUBIC)


@Method
def lanczos(picture: Picture, scale: Scale = 4) -> Picture:
    """Interpolate by a sinc under a sinc window of three pixels."""
    return resized(picture, scale, Image.Resampling.LANCZOS)


@Method
def zero_padding(picture: Picture, scale: Scale = 4) -> Picture:
    """Append zeros to the spectrum of the mirrored picture: no frequency is added, none is lost."""
    for axis in (0, 1):
        picture = _pad_spectrum(picture, scale, axis)
    return picture


@Method
def back_projection(
    picture: Picture,
    scale: Scale = 4,
    iterations: Annotated[
        int, Field(ge=1, le=200, description="corrections of the enlarged picture, 1 to 200")
    ] = 10,
) -> Picture:
    """Correct a bicubic enlargement until, made small again, it is the picture.

    Irani and Peleg, "Improving Resolution by Image Registration", CVGIP 1991. The camera is
    taken to be MATLAB's bicubic reduction.
    """
    kernel = Image.Resampling.BICUBIC
    large = resized(picture, scale, kernel)
    for _ in range(iterations):
        large += resized(picture - _shrunk(large, scale), scale, kernel)
    return large


def resized(picture: Picture, scale: int, kernel: Image.Resampling) -> Picture:
    """Enlarge by one of Pillow's kernels, float32 throughout and nothing clipped."""
    return _resampled(picture, scale, kernel, _REACH, shrink=False)


def _shrunk(picture: Picture, scale: int) -> Picture:
    return _resampled(picture, scale, Image.Resampling.BICUBIC, _REACH * scale, shrink=True)


def _resampled(
    picture: Picture, scale: int, kernel: Image.Resampling, margin: int, *, shrink: bool
) -> Picture:
    # Pillow leaves out what is beyond the border; here that is the mirrored picture.
    wide = mirrored(picture, margin, margin)
    height, width = (s // scale if shrink else s * scale for s in wide.shape[:2])
    cut = margin // scale if shrink else margin * scale
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), kernel))
        for plane in np.ascontiguousarray(wide.transpose(2, 0, 1))
    ]
    return np.stack(planes, 2)[cut : height - cut, cut : width - cut]


def _pad_spectrum(picture: Picture, scale: int, axis: int) -> Picture:
    count = picture.shape[axis]
    spectrum = np.fft.rfft(np.concatenate([picture, np.flip(picture, axis)], axis), axis=axis)
    # The centre of the first new pixel lies before that of the first old one.
    shift = (1 / scale - 1) / 2
    turn = np.exp(1j * np.pi * shift * np.arange(count + 1) / count)
    spectrum = spectrum * turn.reshape(-1, 1, 1) if axis == 0 else spectrum * turn[:, None]
    period: npt.NDArray[np.float64] = np.fft.irfft(spectrum, 2 * count * scale, axis)
    return (period.take(range(count * scale), axis) * scale).astype(np.float32)
