"""Blur of motion and of optics."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from restorekit.degradations import kernels
from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.kernels import Kernel, convolve
from restorekit.degradations.light import Space, brighten_highlights, work_in


class MotionBlur(TracedDegradation):
    """Straight, even motion of the camera during the exposure.

    Light adds up on the sensor, so that the mean is taken of light (Nah et al., CVPR 2017).
    """

    name: ClassVar[str] = "motion-blur"
    ranges: ClassVar = {"length": "3.0..31.0", "angle": "0.0..180.0", "space": "linear"}
    severities: ClassVar = tuple(
        {"length": length, "angle": 30.0, "space": "linear"}
        for length in (3.0, 7.0, 13.0, 21.0, 35.0)
    )

    length: float = Field(ge=0, le=500, description="pixels")
    angle: float = Field(ge=0, le=360, description="degrees from the horizontal")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Blur along the motion."""
        return _blurred(picture, kernels.segment(self.length, self.angle), self.space)


class CameraShake(TracedDegradation):
    """The tremor of a hand that holds the camera (Boracchi and Foi, TIP 2012).

    A random walk of the camera with inertia, tremor, a pull back to where it started and sudden
    reversals; the kernel is the part of it that the shutter was open for, centred on its centroid.
    """

    name: ClassVar[str] = "camera-shake"
    ranges: ClassVar = {
        "extent": "10.0..60.0",
        "anxiety": "0.003~0.01",
        "exposure": [0.1, 0.5, 1.0],
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {"extent": extent, "anxiety": 0.005, "exposure": 1.0, "space": "linear"}
        for extent in (4.0, 10.0, 22.0, 45.0, 100.0)
    )

    extent: float = Field(ge=0, le=500, description="length of the whole path in pixels")
    anxiety: float = Field(ge=0, le=0.1, description="how much the path turns; 0 is straight")
    exposure: float = Field(gt=0, le=1, description="part of the path that is seen")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Draw a path and blur along it."""
        kernel = kernels.shake(self.extent, self.anxiety, self.exposure, rng)
        return _blurred(picture, kernel, self.space)


class DefocusBlur(TracedDegradation):
    """A flat scene out of focus: every point becomes a picture of the aperture.

    Geometrical optics (Pentland, 1987). `highlights` gives clipped lights back the brightness that
    makes discs of them; they are clipped again by the sensor.
    """

    name: ClassVar[str] = "defocus-blur"
    ranges: ClassVar = {
        "radius": "1.0..10.0",
        "blades": [0, 5, 6, 7, 8, 9],
        "rotation": "0.0..72.0",
        "highlights": "1.0..4.0",
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {"radius": radius, "blades": 0, "rotation": 0.0, "highlights": 1.0, "space": "linear"}
        for radius in (1.5, 3.0, 5.0, 8.0, 12.0)
    )

    radius: float = Field(ge=0, le=100, description="pixels")
    blades: int = Field(ge=0, le=20, description="corners of the aperture; below 3 it is round")
    rotation: float = Field(ge=0, le=360, description="degrees")
    highlights: float = Field(ge=1, le=20, description="true brightness of clipped lights")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Blur with the aperture."""
        kernel = kernels.disk(self.radius, self.blades, self.rotation)
        if self.highlights == 1 or kernel.size == 1:
            return _blurred(picture, kernel, self.space)
        lit = work_in(self.space, picture, lambda light: self._with_highlights(light, kernel))
        return Traced(lit, {"kernel": kernel})

    def _with_highlights(self, light: Picture, kernel: Kernel) -> Picture:
        spread = convolve(brighten_highlights(light, self.highlights), kernel)
        return np.minimum(spread, np.maximum(light.max(), 1))


class GaussianBlur(TracedDegradation):
    """Gaussian blur, the same in all directions or stretched along one.

    The kernels of blind super-resolution (Gu et al., IKC, CVPR 2019; Zhang et al., BSRGAN, ICCV
    2021), which blur display values.
    """

    name: ClassVar[str] = "gaussian-blur"
    ranges: ClassVar = {
        "sigma": "0.2..4.0",
        "ratio": "0.3..1.0",
        "angle": "0.0..180.0",
        "space": "display",
    }
    severities: ClassVar = tuple(
        {"sigma": sigma, "ratio": 1.0, "angle": 0.0, "space": "display"}
        for sigma in (0.7, 1.5, 2.5, 4.0, 6.0)
    )

    sigma: float = Field(ge=0, le=50, description="standard deviation in pixels, where it is wider")
    ratio: float = Field(gt=0, le=1, description="narrow over wide; 1 is round")
    angle: float = Field(ge=0, le=360, description="degrees from the horizontal")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Blur."""
        kernel = kernels.gaussian(self.sigma, self.sigma * self.ratio, self.angle)
        return _blurred(picture, kernel, self.space)


def _blurred(picture: Picture, kernel: Kernel, space: Space) -> Traced:
    blurred = picture
    if kernel.size > 1:
        blurred = work_in(space, picture, lambda values: convolve(values, kernel))
    return Traced(blurred, {"kernel": kernel})
