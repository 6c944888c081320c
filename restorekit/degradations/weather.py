"""Rain in the air."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.kernels import convolve, gaussian, segment
from restorekit.degradations.light import Space, work_in

Blend = Literal["screen", "add", "veil"]

KERNELS_PER_LAYER = 8
FULL = 1.5
"""So many standard deviations above the least that shows, noise is rain of full strength."""


def streak(length: float, width: float, angle: float, taper: float) -> Plane:
    """Draw one streak: a segment with a Gaussian cross-section, peak 1, on an odd-sized canvas.

    `length` and `width` (full width at half maximum) in pixels, `angle` in degrees from the
    horizontal. `taper` is the part of the length over which the light fades towards the ends; at 0
    they still fade over the width of the streak.
    """
    sigma = max(width, 0.6) / 2.355
    direction = np.deg2rad(angle)
    along = np.array([np.cos(direction), -np.sin(direction)])
    half = np.abs(along) * length / 2 + 3 * sigma
    columns, rows = (np.arange(-np.ceil(h), np.ceil(h) + 1) for h in half)
    x, y = np.meshgrid(columns, rows)
    fade = taper * length / 2
    beyond = np.maximum(np.abs(x * along[0] + y * along[1]) - (length / 2 - fade), 0)
    across = x * along[1] - y * along[0]
    exponent = (across / sigma) ** 2 + (beyond / (sigma + fade / 2)) ** 2
    return np.exp(-exponent / 2).astype(np.float32)


def scatter(
    bank: Sequence[Plane],
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    density: float,
    strength: float,
    far: float,
) -> Plane:
    """Strew the pictures of a bank over a layer, where their opacities add up to 1 at most.

    Nearby it is `density` of them to a pixel, each of 0.4 to 1 times `strength`; a layer `far`
    times as far away has so many times more of them, and each that much weaker.
    """
    margin = max(max(kernel.shape) for kernel in bank) // 2
    height, width = (side + 2 * margin for side in shape)
    layer = np.zeros((height + 2 * margin, width + 2 * margin), np.float32)
    count = int(rng.poisson(density * far * height * width))
    tops, lefts = rng.integers(0, height, count), rng.integers(0, width, count)
    kinds = rng.integers(0, len(bank), count)
    opacities = rng.uniform(0.4, 1, count).astype(np.float32) * strength / far
    for top, left, kind, opacity in zip(tops, lefts, kinds, opacities, strict=True):
        kernel = bank[kind]
        above, before = margin - kernel.shape[0] // 2, margin - kernel.shape[1] // 2
        patch = layer[
            top + above : top + above + kernel.shape[0],
            left + before : left + before + kernel.shape[1],
        ]
        patch += opacity * kernel
    inner = slice(2 * margin, -2 * margin or None)
    return np.minimum(layer[inner, inner], 1)


class RainStreaks(TracedDegradation):
    """Layers of falling drops, smeared by the exposure into streaks, far layers finer and weaker.

    The layered model of Yang et al. (JORDER, CVPR 2017) with the appearance of Garg and Nayar
    (2007): a streak lets part of the background through and adds light of its own. `screen` and
    `add` are the blends of the synthetic data sets, made in display space; `veil` mixes towards the
    mean radiance that a drop, a wide-angle lens, sees.
    """

    name: ClassVar[str] = "rain-streaks"
    ranges: ClassVar = {
        "layers": "1..3",
        "density": "0.0001~0.006",
        "length": "8~60",
        "width": "0.8~3.0",
        "angle": "50.0..130.0",
        "spread": "0.0..6.0",
        "taper": "0.0..1.0",
        "strength": "0.1..0.9",
        "blend": ["screen", "add", "veil"],
        "space": "display",
    }
    severities: ClassVar = tuple(
        {
            "layers": layers,
            "density": density,
            "length": 30.0,
            "width": 1.5,
            "angle": 80.0,
            "spread": 3.0,
            "taper": 0.4,
            "strength": strength,
            "blend": "screen",
        }
        for layers, density, strength in (
            (1, 0.0005, 0.2),
            (1, 0.001, 0.4),
            (2, 0.001, 0.6),
            (2, 0.002, 0.75),
            (3, 0.004, 0.9),
        )
    )

    layers: int = Field(ge=1, le=8)
    density: float = Field(ge=0, le=0.1, description="streaks per pixel of the nearest layer")
    length: float = Field(gt=0, le=1000, description="pixels, of the nearest layer")
    width: float = Field(gt=0, le=50, description="pixels at half maximum, of the nearest layer")
    angle: float = Field(ge=0, le=180, description="degrees from the horizontal; 90 falls straight")
    spread: float = Field(ge=0, le=45, description="standard deviation of the angle in degrees")
    taper: float = Field(ge=0, le=1, description="part of the length that fades")
    strength: float = Field(ge=0, le=1, description="opacity of the brightest streaks")
    blend: Blend
    space: Space = "display"

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Let it rain."""
        rain = np.zeros(picture.shape[:2], np.float32)
        for nth in range(self.layers):
            layer = self._layer(rain.shape, nth, rng)
            rain += layer * (1 - rain)
        return _rained(picture, rain, self.blend, self.space)

    def _layer(self, shape: tuple[int, ...], nth: int, rng: np.random.Generator) -> Plane:
        far = 1.6**nth
        bank = [self._random_streak(far, rng) for _ in range(KERNELS_PER_LAYER)]
        return scatter(bank, rng, shape, density=self.density, strength=self.strength, far=far)

    def _random_streak(self, far: float, rng: np.random.Generator) -> Plane:
        length = self.length / far * rng.uniform(0.5, 1.3)
        width = self.width / far**0.5 * rng.uniform(0.7, 1.3)
        angle = self.angle + self.spread * rng.standard_normal()
        return streak(length, width, angle, self.taper)


class RainSheet(TracedDegradation):
    """Dense rain of many strengths: noise smeared along its fall, of which the brightest is kept.

    So picture editors make rain, and with them Fu et al. their data set (DDN, CVPR 2017). Unlike
    drawn streaks these are soft, of any brightness down to nothing, and run into one another.
    """

    name: ClassVar[str] = "rain-sheet"
    ranges: ClassVar = {
        "cover": "0.05..0.4",
        "length": "10~80",
        "width": "0.8~3.0",
        "angle": "50.0..130.0",
        "strength": "0.1..0.9",
        "blend": ["screen", "add", "veil"],
        "space": "display",
    }
    severities: ClassVar = tuple(
        {
            "cover": cover,
            "length": 35.0,
            "width": 1.8,
            "angle": 80.0,
            "strength": strength,
            "blend": "screen",
        }
        for cover, strength in ((0.08, 0.2), (0.12, 0.35), (0.2, 0.5), (0.28, 0.65), (0.4, 0.8))
    )

    cover: float = Field(gt=0, lt=1, description="share of the picture that rain covers")
    length: float = Field(gt=0, le=1000, description="of the smear, in pixels")
    width: float = Field(gt=0, le=50, description="of a streak in pixels, at half maximum")
    angle: float = Field(ge=0, le=180, description="degrees from the horizontal; 90 falls straight")
    strength: float = Field(ge=0, le=1, description="opacity of strong streaks")
    blend: Blend
    space: Space = "display"

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Let it pour."""
        rain = self._sheet(picture.shape, rng)
        return _rained(picture, rain, self.blend, self.space)

    def _sheet(self, shape: tuple[int, ...], rng: np.random.Generator) -> Plane:
        margin = int(np.ceil(self.length / 2 + 2 * self.width))
        grown = (shape[0] + 2 * margin, shape[1] + 2 * margin, 1)
        sigma = self.width / 2.355
        noise = rng.standard_normal(grown, dtype=np.float32)
        noise = convolve(noise, gaussian(sigma, sigma, 0.0))
        noise = convolve(noise, segment(self.length, self.angle))
        inner = noise[margin:-margin, margin:-margin, 0]
        least = NormalDist().inv_cdf(1 - self.cover)
        height = (inner / noise.std() - least) / FULL
        return np.clip(height * self.strength, 0, 1).astype(np.float32)


def _rained(picture: Picture, rain: Plane, blend: Blend, space: Space) -> Traced:
    """Let rain of an opacity (H, W) from 0 to 1 fall before a picture."""
    wet = work_in(space, picture, lambda values: _lit(values, rain[..., None], blend))
    return Traced(wet, {"mask": rain})


def _lit(picture: Picture, rain: Plane, blend: Blend) -> Picture:
    match blend:
        case "add":
            return picture + rain
        case "screen":
            return picture + rain * (1 - picture)
        case "veil":
            scene = cv2.blur(picture, (63, 63), borderType=cv2.BORDER_REFLECT)
            light = np.clip(scene.reshape(picture.shape).mean(2, keepdims=True) + 0.35, 0, 1)
            return picture + rain * (light - picture)
