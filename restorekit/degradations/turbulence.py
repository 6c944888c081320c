"""Hot or moving air between the scene and a long lens."""

from itertools import pairwise
from typing import ClassVar

import numpy as np
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.fields import wander
from restorekit.degradations.geometry import sample_at
from restorekit.degradations.kernels import Kernel, convolve
from restorekit.degradations.light import Space, work_in

TILT = 0.182
"""Variance of the tilt along one axis over (D/r0)^(5/3), in squares of lambda/D (Fried, 1965)."""
WIDEST = 255
"""Side in pixels of the largest kernel."""
LUCK = (0.6, 1.0, 1.4)
"""The blur differs from place to place: so many times its mean strength."""


def short_exposure(strength: float, diffraction: float) -> Kernel:
    """Return the blur that air leaves when the tilt is taken out (Fried, JOSA 1966).

    The optical transfer function exp(-3.44 (u D/r0)^(5/3) (1 - u^(1/3))), u = 1 where the lens cuts
    off. Beyond the frequency at which it would rise again it goes on falling with u^(5/3). The blur
    of the lens itself is not in it: the reference has that already.
    """
    side = int(np.clip(2 * np.ceil(4 * diffraction * max(strength, 1)) + 1, 15, WIDEST))
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    u = diffraction * frequencies
    turning = (5 / 6) ** 3
    exponent = u ** (5 / 3) * (1 - np.minimum(u, turning) ** (1 / 3))
    transfer = np.exp(-3.44 * strength ** (5 / 3) * exponent)
    kernel = np.maximum(np.fft.fftshift(np.fft.ifft2(transfer).real), 0)
    return (kernel / kernel.sum()).astype(np.float32)


class Turbulence(Degradation):
    """Shimmer: the picture dances in patches and blurs, here more and there less.

    I = H T J (Chimitt and Chan, Optical Engineering 2020), first the tilt, a smooth random warp of
    variance 0.182 (D/r0)^(5/3) (lambda/D)² along each axis, and then Fried's blur of a short
    exposure, in light. The warp has no drift, so that the reference stays in register on the whole.
    """

    name: ClassVar[str] = "turbulence"
    ranges: ClassVar = {
        "strength": "1.0..5.0",
        "diffraction": "0.8..1.6",
        "correlation": "8.0~40.0",
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {"strength": strength, "diffraction": 1.4, "correlation": 20.0, "space": "linear"}
        for strength in (0.5, 1.0, 2.0, 3.5, 6.0)
    )

    strength: float = Field(ge=0, le=20, description="D/r0: aperture over Fried's coherence length")
    diffraction: float = Field(
        gt=0, le=10, description="pixels that lambda/D spans, the width of a sharp point"
    )
    correlation: float = Field(ge=1, le=500, description="pixels over which the air is the same")
    space: Space

    @property
    def tilt(self) -> float:
        """Standard deviation of the displacement along one axis in pixels."""
        return float(TILT**0.5 * self.strength ** (5 / 6) * self.diffraction)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Heat the air."""
        if not self.strength:
            return picture
        return work_in(self.space, picture, lambda light: self._seen(light, rng))

    def _seen(self, light: Picture, rng: np.random.Generator) -> Picture:
        x, y = (wander(light.shape, self.correlation, rng) for _ in range(2))
        columns, rows = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in light.shape[1::-1]))
        tilt = np.float32(self.tilt)
        places = np.stack([columns + tilt * (x - x.mean()), rows + tilt * (y - y.mean())], axis=2)
        warped = sample_at(light, places)
        luck = np.clip(1 + 0.2 * wander(light.shape, 2 * self.correlation, rng), LUCK[0], LUCK[-1])
        return self._blurred(warped, luck[..., None])

    def _blurred(self, light: Picture, luck: Picture) -> Picture:
        """Blend pictures blurred to a few strengths."""
        blurred = [
            convolve(light, short_exposure(self.strength * share, self.diffraction))
            for share in LUCK
        ]
        result = blurred[0]
        for (low, high), worse in zip(pairwise(LUCK), blurred[1:], strict=True):
            result = result + np.clip((luck - low) / (high - low), 0, 1) * (worse - result)
        return result
