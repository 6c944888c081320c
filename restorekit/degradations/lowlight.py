"""Too little light."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.light import brighten_highlights, to_display, to_linear
from restorekit.degradations.noise import sensor_noise


class LowLight(Degradation):
    """The scene with less light on the sensor, which leaves the noise of shot and readout.

    Light is divided by `ratio` (SID: Chen et al., CVPR 2018), Gaussian noise of variance
    shot x light + read² is added, the sensor clips, and `cast` shifts the white balance. Lamps, of
    which the file only says that they are white, stay lit with `highlights`. Quantise afterwards:
    the bands of a brightened dark file are real.
    """

    name: ClassVar[str] = "low-light"
    ranges: ClassVar = {
        "ratio": "2~30",
        "shot": "0.00003~0.001",
        "read": "0.0003~0.004",
        "cast": "-0.15..0.15",
        "highlights": 1.0,
    }
    severities: ClassVar = tuple(
        {"ratio": ratio, "shot": shot, "read": 0.001, "cast": 0.0, "highlights": 1.0}
        for ratio, shot in ((2.0, 5e-5), (4.0, 1e-4), (8.0, 2e-4), (20.0, 3e-4), (60.0, 4e-4))
    )

    ratio: float = Field(ge=1, le=1000, description="how many times less light")
    shot: float = Field(ge=0, le=0.1, description="variance of the shot noise at full scale")
    read: float = Field(ge=0, le=0.1, description="standard deviation of the read noise")
    cast: float = Field(
        ge=-0.5, le=0.5, description="red gained and blue lost; below 0 the reverse"
    )
    # With a default, unlike the others: manifests that were written before it replay.
    highlights: float = Field(
        default=1.0, ge=1, le=1000, description="how much brighter than white its white parts were"
    )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Take the light away."""
        light = brighten_highlights(to_linear(picture), self.highlights)
        light = light / np.float32(self.ratio)
        light = light + sensor_noise(light, self.shot, self.read**2, rng)
        if picture.shape[2] == 3:
            light = light * np.array([1 + self.cast, 1, 1 - self.cast], np.float32)
        return to_display(np.clip(light, 0, 1))
