"""Fewer pixels, by the kernels that super-resolution is measured with."""

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture

Weights = NDArray[np.float64]
Interpolation = Literal["nearest", "area", "bilinear", "bicubic", "lanczos", "gaussian"]
GAUSSIAN_REACH = 4
NARROWEST = 0.02
"""A Gaussian narrower than this, in degraded pixels, takes the nearest pixels alone."""


class Filter(NamedTuple):
    """An interpolation kernel: its weight at a distance, 0 beyond `reach`, both in pixels."""

    weigh: Callable[[Weights], Weights]
    reach: float


class Taps(NamedTuple):
    """Which pixels make each new one along one side, and with what weights: (new, taps) each."""

    places: NDArray[np.intp]
    weights: NDArray[np.float32]


def keys(x: Weights) -> Weights:
    """Weigh by the cubic of Keys (1981) with a = -1/2, as MATLAB and Pillow do."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, far)


def lanczos(x: Weights) -> Weights:
    """Weigh by a sinc under a sinc window of three pixels."""
    return np.sinc(x) * np.sinc(x / 3)


FILTERS = {
    "area": Filter(np.ones_like, 0.5),
    "bilinear": Filter(lambda x: np.maximum(1 - np.abs(x), 0), 1),
    "bicubic": Filter(keys, 2),
    "lanczos": Filter(lanczos, 3),
}


def resize(picture: Picture, scale: float, kernel: Filter, *, antialias: bool = True) -> Picture:
    """Scale both sides as MATLAB's `imresize` does, to ceil(side x scale), without clipping.

    Pixels are areas with centres at halves; the border is mirrored. With `antialias` the kernel is
    stretched when the picture shrinks.
    """
    for axis in (0, 1):
        taps = lay_taps(picture.shape[axis], scale, kernel, antialias=antialias)
        picture = _weighed(picture, taps, axis)
    return picture


def lay_taps(side: int, scale: float, kernel: Filter, *, antialias: bool) -> Taps:
    """Find the pixels and weights of every new pixel along one side."""
    stretch = 1 / scale if antialias and scale < 1 else 1.0
    count = int(np.ceil(side * scale - 1e-9))
    centres = (np.arange(count) + 0.5) / scale - 0.5
    first = np.floor(centres - kernel.reach * stretch)
    places = first[:, None] + np.arange(int(np.ceil(2 * kernel.reach * stretch)) + 2)
    distances = (centres[:, None] - places) / stretch
    weights = np.where(np.abs(distances) <= kernel.reach, kernel.weigh(distances), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.flatnonzero(weights.any(axis=0))
    mirrored = np.mod(places[:, used], 2 * side).astype(np.intp)
    mirrored = np.minimum(mirrored, 2 * side - 1 - mirrored)
    return Taps(mirrored, weights[:, used].astype(np.float32))


def _weighed(picture: Picture, taps: Taps, axis: int) -> Picture:
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    parts = (
        picture.take(places, axis=axis) * weights.reshape(shape)
        for places, weights in zip(taps.places.T, taps.weights.T, strict=True)
    )
    result = next(parts)
    for part in parts:
        result += part
    return result


class Downsampling(Degradation):
    """Fewer pixels: a low-pass filter and every `factor`-th pixel, with centres that align.

    `bicubic` is MATLAB's `imresize`, the classical degradation of super-resolution (Dong et al.,
    SRCNN, ECCV 2014); `gaussian` with sigma 1.6 / 3 the "BD" one (Zhang et al., RDN, CVPR 2018).
    `nearest` does not filter, and takes the pixel right below the centre where the factor is even.
    Sides that are no multiple of the factor are rounded up.
    """

    name: ClassVar[str] = "downsampling"
    ranges: ClassVar = {
        "factor": "2..4",
        "kernel": ["nearest", "area", "bilinear", "bicubic", "lanczos", "gaussian"],
        "sigma": "0.4..0.6",
    }
    severities: ClassVar = tuple(
        {"factor": factor, "kernel": "bicubic", "sigma": 0.5} for factor in (2, 3, 4, 6, 8)
    )

    factor: int = Field(ge=1, le=16)
    kernel: Interpolation
    sigma: float = Field(
        gt=0, le=4, description="standard deviation in degraded pixels, of the gaussian kernel"
    )

    @property
    def scale(self) -> int:
        """The factor."""
        return self.factor

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Reduce."""
        if self.factor == 1:
            return picture
        if self.kernel == "nearest":
            return np.ascontiguousarray(self._nearest(picture))
        return resize(picture, 1 / self.factor, self._filter())

    def _filter(self) -> Filter:
        if self.kernel != "gaussian":
            return FILTERS[self.kernel]
        # The nearest pixels are up to half a degraded pixel away, however narrow the kernel is.
        sigma, reach = max(self.sigma, NARROWEST), max(GAUSSIAN_REACH * self.sigma, 0.5)
        return Filter(lambda x: np.exp(-((x / sigma) ** 2) / 2), reach)

    def _nearest(self, picture: Picture) -> Picture:
        rows, columns = (
            np.minimum(np.arange(self.factor // 2, side + self.factor // 2, self.factor), side - 1)
            for side in picture.shape[:2]
        )
        return picture[rows][:, columns]
