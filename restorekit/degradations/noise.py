"""Sensor noise."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture


class GaussianNoise(Degradation):
    """Additive white Gaussian noise, independent in every sample (Zhang et al., DnCNN, 2017)."""

    name: ClassVar[str] = "gaussian-noise"
    ranges: ClassVar = {"sigma": "0.0..55.0"}

    sigma: float = Field(ge=0, le=255, description="standard deviation in units of 1/255")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Add the noise."""
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        return picture + noise * np.float32(self.sigma / 255)


class PoissonNoise(Degradation):
    """Shot noise: every sample counts photons, `photons` of them at white (Hasinoff, 2014)."""

    name: ClassVar[str] = "poisson-noise"
    ranges: ClassVar = {"photons": "30~3000"}

    photons: float = Field(gt=0, le=1e9, description="mean photon count of a white sample")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Replace every sample by a photon count divided by `photons`."""
        mean = np.clip(picture, 0, None) * self.photons
        return (rng.poisson(mean) / self.photons).astype(np.float32)
