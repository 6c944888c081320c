"""Snow in the air."""

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.kernels import segment
from restorekit.degradations.weather import KERNELS_PER_LAYER, scatter

WHITE = np.float32(0.97)
SEE_THROUGH = 0.4
"""So much less opaque than the farthest flakes are the nearest."""
BUMPS = 4
"""So many waves around its rim make a flake uneven."""


def flake(radius: float, softness: float, rng: np.random.Generator) -> Plane:
    """Draw an uneven disc on an odd-sized square; its rim is `softness` of the radius wide."""
    rim = max(1.0, softness * radius)
    reach = int(np.ceil(1.4 * radius + rim))
    x, y = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
    around, outline = np.arctan2(y, x), np.ones(x.shape)
    for wave in range(2, 2 + BUMPS):
        outline += rng.uniform(0, 0.3 / wave) * np.sin(wave * around + rng.uniform(0, 2 * np.pi))
    inside = np.clip((radius * outline - np.hypot(x, y)) / rim + 0.5, 0, 1)
    return (inside * inside * (3 - 2 * inside)).astype(np.float32)


class Snow(TracedDegradation):
    """Layers of falling flakes, near ones large, blurred and see-through, before a white veil.

    The model of Liu et al. (DesnowNet and Snow100K, TIP 2018) with the motion and the veil of Chen
    et al. (CSD, ICCV 2021), in display space as these sets are made.
    """

    name: ClassVar[str] = "snow"
    ranges: ClassVar = {
        "layers": "2..5",
        "density": "0.00003~0.0006",
        "size": "1.5~10.0",
        "softness": "0.3..1.2",
        "motion": "0.0..3.0",
        "angle": "60.0..120.0",
        "strength": "0.5..1.0",
        "veil": "0.0..0.3",
    }
    severities: ClassVar = tuple(
        {
            "layers": 4,
            "density": density,
            "size": size,
            "softness": 0.7,
            "motion": 1.0,
            "angle": 80.0,
            "strength": strength,
            "veil": veil,
        }
        for density, size, strength, veil in (
            (0.0001, 2.0, 0.7, 0.0),
            (0.00015, 3.0, 0.8, 0.05),
            (0.0002, 4.0, 0.85, 0.1),
            (0.0003, 5.0, 0.9, 0.2),
            (0.0004, 7.0, 1.0, 0.3),
        )
    )

    layers: int = Field(ge=1, le=8)
    density: float = Field(ge=0, le=0.05, description="flakes per pixel of the nearest layer")
    size: float = Field(gt=0, le=100, description="radius in pixels in the nearest layer")
    softness: float = Field(ge=0, le=2, description="width of the rim, in radii")
    motion: float = Field(ge=0, le=20, description="length of the motion, in radii")
    angle: float = Field(ge=0, le=180, description="degrees from the horizontal; 90 falls straight")
    strength: float = Field(ge=0, le=1, description="opacity of the whitest flakes")
    veil: float = Field(ge=0, le=1, description="part of the light that the snowy air replaces")

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Let it snow; the mask has the flakes without the veil."""
        snow = np.zeros(picture.shape[:2], np.float32)
        for nth in reversed(range(self.layers)):
            layer = self._layer(snow.shape, nth, rng)
            snow += layer * (1 - snow)
        hidden = (1 - (1 - snow) * np.float32(1 - self.veil))[..., None]
        return Traced(picture + hidden * (WHITE - picture), {"mask": np.clip(snow, 0, 1)})

    def _layer(self, shape: tuple[int, ...], nth: int, rng: np.random.Generator) -> Plane:
        far = 1.6**nth
        bank = [self._random_flake(far, rng) for _ in range(KERNELS_PER_LAYER)]
        # Twice as far, there are four times as many flakes in the same angle of view; the near ones
        # are so far out of focus that the scene shines through.
        density, strength = self.density * far, self.strength * (far - SEE_THROUGH)
        return scatter(bank, rng, shape, density=density, strength=strength, far=far)

    def _random_flake(self, far: float, rng: np.random.Generator) -> Plane:
        radius = self.size / far * rng.uniform(0.5, 1.4)
        still = flake(radius, self.softness, rng)
        angle = self.angle + 15 * rng.standard_normal()
        path = segment(self.motion * radius * rng.uniform(0.5, 1.5), angle)
        room = np.pad(still, len(path) // 2)
        return np.asarray(cv2.filter2D(room, -1, path, borderType=cv2.BORDER_CONSTANT), np.float32)
