"""The blocks that blind super-resolution is trained with, beyond those the catalogue has."""

from math import ceil
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture, Traced, TracedDegradation
from restorekit.degradations.kernels import Kernel, convolve
from restorekit.degradations.light import LUMA

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
WHOLE = 1e-6
"""A side so little above a whole number of pixels is one."""
NARROWEST = 0.05
"""A Gaussian narrower than this, in pixels, is one pixel."""
WHITE_PHOTONS = 256
BESSEL_POINTS = 128
USM_REACH = 3.125
"""The Gaussian of an unsharp mask is cut off at so many standard deviations."""


class Resize(Degradation):
    """Another size in between, without an antialiasing filter but for `area`, as OpenCV resizes.

    A building block of chains and no degradation of its own. With a `divisor` the size follows
    from that of the reference, and not from what earlier steps left: `factor` 1 and `divisor` 4
    end a chain for fourfold super-resolution.
    """

    name: ClassVar[str] = "resize"
    ranges: ClassVar = {
        "factor": 1.0,
        "divisor": 0,
        "kernel": ["area", "bilinear", "bicubic"],
    }
    severities: ClassVar = ()

    factor: float = Field(gt=0, le=16, description="new size over the present one")
    divisor: int = Field(
        ge=0, le=16, description="above 0: new size over this part of the reference's size"
    )
    kernel: Literal["nearest", "area", "bilinear", "bicubic", "lanczos"]

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Resize a picture that is its own reference."""
        return self.resized(picture, picture.shape[:2])

    def resized(self, picture: Picture, reference: tuple[int, ...]) -> Picture:
        """Resize, sides rounded up; `reference` is the (height, width) that a chain began with."""
        sides = reference if self.divisor else picture.shape[:2]
        height, width = (ceil(side * self.factor / (self.divisor or 1) - WHOLE) for side in sides)
        if (height, width) == picture.shape[:2]:
            return picture
        new = cv2.resize(picture, (width, height), interpolation=INTERPOLATIONS[self.kernel])
        return np.asarray(new, np.float32).reshape(height, width, picture.shape[2])


class KernelBlur(TracedDegradation):
    """Blur by a Gaussian, a generalised Gaussian or a plateau, cut off at a square.

    With q the squared distance in standard deviations: exp(-q / 2), exp(-q^beta / 2) and
    1 / (1 + q^beta) (Liu et al., 2020; Wang et al., Real-ESRGAN, ICCVW 2021; Zhang et al., BSRGAN,
    ICCV 2021). It blurs display values.
    """

    name: ClassVar[str] = "kernel-blur"
    ranges: ClassVar = {
        "shape": ["gaussian", "generalised", "plateau"],
        "reach": "3..10",
        "sigma": "0.2..3.0",
        "across": "0.2..3.0",
        "angle": "0.0..180.0",
        "beta": "0.5..4.0",
    }
    severities: ClassVar = tuple(
        {"shape": "gaussian", "reach": 12, "sigma": s, "across": 0.0, "angle": 0.0, "beta": 1.0}
        for s in (0.7, 1.3, 2.0, 3.0, 5.0)
    )

    shape: Literal["gaussian", "generalised", "plateau"]
    reach: int = Field(ge=0, le=50, description="pixels on each side of the middle one")
    sigma: float = Field(ge=0, le=50, description="standard deviation in pixels along `angle`")
    across: float = Field(ge=0, le=50, description="the same across it; 0 is as along it")
    angle: float = Field(ge=0, le=360, description="degrees from the horizontal")
    beta: float = Field(gt=0, le=10, description="shape; 1 is the Gaussian, more is boxier")

    @property
    def kernel(self) -> Kernel:
        """The point spread function, of sum 1."""
        turn = np.deg2rad(self.angle)
        x, y = np.meshgrid(*[np.arange(-self.reach, self.reach + 1)] * 2)
        along = (x * np.cos(turn) - y * np.sin(turn)) / max(self.sigma, NARROWEST)
        across = x * np.sin(turn) + y * np.cos(turn)
        distance = along**2 + (across / max(self.across or self.sigma, NARROWEST)) ** 2
        kernel = self._weighed(distance)
        return (kernel / kernel.sum()).astype(np.float32)

    def _weighed(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        match self.shape:
            case "gaussian":
                return np.exp(-distance / 2)
            case "generalised":
                return np.exp(-(distance**self.beta) / 2)
            case "plateau":
                return 1 / (1 + distance**self.beta)

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Picture | None = None
    ) -> Traced:
        """Blur."""
        if not self.sigma:
            return Traced(picture)
        kernel = self.kernel
        return Traced(convolve(picture, kernel), {"kernel": kernel})


class SincFilter(TracedDegradation):
    """An ideal low-pass filter, which rings at every edge.

    The circular sinc cut off at a square (Wang et al., Real-ESRGAN, ICCVW 2021, equation 6):
    w J1(w r) / (2 pi r).
    """

    name: ClassVar[str] = "sinc-filter"
    ranges: ClassVar = {"cutoff": "0.2~0.999", "reach": "3..10"}
    severities: ClassVar = tuple(
        {"cutoff": cutoff, "reach": 10} for cutoff in (0.8, 0.6, 0.45, 0.3, 0.2)
    )

    cutoff: float = Field(
        gt=0, le=1, description="highest frequency that is left, 1 is half a wave to a pixel"
    )
    reach: int = Field(ge=0, le=50, description="pixels on each side of the middle one")

    @property
    def kernel(self) -> Kernel:
        """The point spread function, of sum 1."""
        frequency = np.pi * self.cutoff
        x, y = np.meshgrid(*[np.arange(-self.reach, self.reach + 1)] * 2)
        radius = np.hypot(x, y)
        radius[self.reach, self.reach] = 1
        kernel = frequency * _bessel(frequency * radius) / (2 * np.pi * radius)
        kernel[self.reach, self.reach] = frequency**2 / (4 * np.pi)
        return (kernel / kernel.sum()).astype(np.float32)

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Picture | None = None
    ) -> Traced:
        """Filter; the picture overshoots."""
        kernel = self.kernel
        return Traced(convolve(picture, kernel), {"kernel": kernel})


def _bessel(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bessel function of the first kind and first order, by the trapezoid rule over its integral.

    As precise as float64 up to z of about 100.
    """
    turn = (np.arange(BESSEL_POINTS) + 0.5) * (np.pi / BESSEL_POINTS)
    return np.cos(turn - z[..., None] * np.sin(turn)).mean(axis=-1)


class AmplifiedPoissonNoise(Degradation):
    """Shot noise of 256 photons at white, made weaker or stronger.

    The Poisson noise of Real-ESRGAN (Wang et al., ICCVW 2021), which takes the number of grey
    levels of the picture, 256 for a photograph, for the photons. `poisson-noise` is the physics.
    """

    name: ClassVar[str] = "amplified-poisson-noise"
    ranges: ClassVar = {"strength": "0.05..3.0", "grey": [False, True]}
    severities: ClassVar = tuple(
        {"strength": strength, "grey": False} for strength in (0.3, 0.8, 1.5, 2.5, 4.0)
    )

    strength: float = Field(ge=0, le=20, description="factor of the noise")
    grey: bool = Field(description="the noise of the luma, the same in all channels")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Add the noise."""
        mean = np.clip(picture, 0, 1)
        if self.grey and picture.shape[2] == 3:
            mean = (mean @ LUMA)[..., None]
        noise = rng.poisson(mean * WHITE_PHOTONS) / WHITE_PHOTONS - mean
        return picture + np.float32(self.strength) * noise.astype(np.float32)


class UnsharpMask(Degradation):
    """Sharpened until edges have halos: what a Gaussian blur takes away is added once more.

    Only near places where that is more than `threshold`. With 0.5, 8 and 10 it makes the references
    of Real-ESRGAN (Wang et al., ICCVW 2021), which calls it a radius of 50 pixels.
    """

    name: ClassVar[str] = "unsharp-mask"
    ranges: ClassVar = {"amount": "0.3..2.0", "sigma": "1.0..8.0", "threshold": "0.0..10.0"}
    severities: ClassVar = tuple(
        {"amount": amount, "sigma": 3.0, "threshold": 2.0} for amount in (0.3, 0.6, 1.0, 1.6, 2.5)
    )

    amount: float = Field(ge=0, le=10, description="part of the difference that is added")
    sigma: float = Field(ge=0, le=50, description="standard deviation of the blur in pixels")
    threshold: float = Field(ge=0, le=255, description="least difference in units of 1/255")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Sharpen; what comes new outside of 0 to 1 is clipped."""
        if not self.amount or not self.sigma:
            return picture
        detail = picture - self._blurred(picture)
        near = self._blurred((np.abs(detail) * 255 > self.threshold).astype(np.float32))
        sharp = np.clip(picture + np.float32(self.amount) * detail, 0, 1)
        return np.asarray(picture + near * (sharp - picture), np.float32)

    def _blurred(self, picture: Picture) -> Picture:
        side = 2 * round(USM_REACH * self.sigma) + 1
        blurred = cv2.GaussianBlur(picture, (side, side), self.sigma, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32).reshape(picture.shape)
