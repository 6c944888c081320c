"""Noise of sensors and of what comes after them."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import (
    Degradation,
    Picture,
    Plane,
    Traced,
    TracedDegradation,
)
from restorekit.degradations.fields import smoothed_noise


class GaussianNoise(Degradation):
    """Additive white Gaussian noise, independent in every sample (Zhang et al., DnCNN, 2017)."""

    name: ClassVar[str] = "gaussian-noise"
    ranges: ClassVar = {"sigma": "0.0..55.0"}
    severities: ClassVar = tuple({"sigma": sigma} for sigma in (5.0, 15.0, 25.0, 50.0, 75.0))

    sigma: float = Field(ge=0, le=255, description="standard deviation in units of 1/255")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Add the noise."""
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        return picture + noise * np.float32(self.sigma / 255)


class CorrelatedNoise(Degradation):
    """Gaussian noise that neighbours share: grey between channels, grainy between pixels.

    Scans, demosaicing and denoisers leave such noise; `channels` = 1 is the grey noise of BSRGAN
    (Zhang et al., ICCV 2021). Every sample has the standard deviation `sigma` all the same.
    """

    name: ClassVar[str] = "correlated-noise"
    ranges: ClassVar = {"sigma": "2.0..40.0", "channels": "0.0..1.0", "grain": "0.0..1.5"}
    severities: ClassVar = tuple(
        {"sigma": sigma, "channels": 0.5, "grain": 0.7} for sigma in (5.0, 12.0, 25.0, 40.0, 60.0)
    )

    sigma: float = Field(ge=0, le=255, description="standard deviation in units of 1/255")
    channels: float = Field(ge=0, le=1, description="correlation between the channels; 1 is grey")
    grain: float = Field(ge=0, le=10, description="Gaussian radius in pixels; 0 is white noise")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Add the noise."""
        height, width, channels = picture.shape
        shared = smoothed_noise((height, width, 1), self.grain, rng)
        own = smoothed_noise((height, width, channels), self.grain, rng)
        noise = self.channels**0.5 * shared + (1 - self.channels) ** 0.5 * own
        return picture + noise * np.float32(self.sigma / 255)


class PoissonNoise(Degradation):
    """Shot noise: every sample counts photons, `photons` of them at white (Hasinoff, 2014)."""

    name: ClassVar[str] = "poisson-noise"
    ranges: ClassVar = {"photons": "30~3000"}
    severities: ClassVar = tuple({"photons": n} for n in (1000.0, 250.0, 60.0, 20.0, 6.0))

    photons: float = Field(gt=0, le=1e9, description="mean photon count of a white sample")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Replace every sample by a photon count divided by `photons`."""
        mean = np.clip(picture, 0, None) * self.photons
        return (rng.poisson(mean) / self.photons).astype(np.float32)


class ImpulseNoise(TracedDegradation):
    """Samples lost on the way: set to black or white (salt and pepper), or to anything.

    Transmission and analogue-to-digital errors (Gonzalez and Woods, Digital Image Processing).
    """

    name: ClassVar[str] = "impulse-noise"
    ranges: ClassVar = {
        "amount": "0.005~0.3",
        "salt": "0.3..0.7",
        "values": ["extremes", "uniform"],
        "unit": ["pixel", "sample"],
    }
    severities: ClassVar = tuple(
        {"amount": amount, "salt": 0.5, "values": "extremes", "unit": "sample"}
        for amount in (0.01, 0.03, 0.09, 0.17, 0.27)
    )

    amount: float = Field(ge=0, le=1, description="part of the pixels or samples that is lost")
    salt: float = Field(ge=0, le=1, description="part of the lost ones that turns white")
    values: Literal["extremes", "uniform"] = Field(
        description="black and white, or uniform over [0, 1]"
    )
    unit: Literal["pixel", "sample"] = Field(description="all channels are lost together, or each")

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Replace the lost ones; the mask has the part of the pixel's samples that is lost."""
        channels = 1 if self.unit == "pixel" else picture.shape[2]
        lost = rng.random((*picture.shape[:2], channels), dtype=np.float32) < self.amount
        values = rng.random(lost.shape, dtype=np.float32)
        if self.values == "extremes":
            values = (values < self.salt).astype(np.float32)
        mask = lost.mean(axis=2, dtype=np.float32)
        return Traced(np.where(lost, values, picture), {"mask": mask})


class SpeckleNoise(Degradation):
    """Multiplicative noise of waves that interfere (Goodman, 1976): J (1 + n), n of mean 0.

    `gamma` is the law of a radar picture of 1 / sigma² looks, `gaussian` its usual stand-in.
    """

    name: ClassVar[str] = "speckle-noise"
    ranges: ClassVar = {"sigma": "0.02~0.5", "law": ["gaussian", "gamma"]}
    severities: ClassVar = tuple(
        {"sigma": sigma, "law": "gaussian"} for sigma in (0.08, 0.15, 0.25, 0.4, 0.6)
    )

    sigma: float = Field(ge=0, le=2, description="standard deviation relative to the sample")
    law: Literal["gaussian", "gamma"]

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Multiply by the noise."""
        if not self.sigma:
            return picture
        if self.law == "gaussian":
            factor = 1 + np.float32(self.sigma) * rng.standard_normal(picture.shape, np.float32)
        else:
            looks = 1 / self.sigma**2
            factor = rng.standard_gamma(looks, picture.shape, np.float32) / np.float32(looks)
        return picture * factor


def sensor_noise(
    light: Picture, shot: float, read: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the noise of a sensor: Gaussian of variance `shot` x light + `read`, light in [0, 1].

    The model of Foi et al. (2008) with the names of Brooks et al. (CVPR 2019).
    """
    deviation = np.sqrt(np.float32(shot) * np.maximum(light, 0) + np.float32(read))
    return deviation * rng.standard_normal(light.shape, dtype=np.float32)
