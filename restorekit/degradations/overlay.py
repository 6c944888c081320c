"""Fog, driven snow and spatter as they are laid over pictures for ImageNet-C.

The fog, snow and spatter of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations", ICLR 2019: all in display space, none with a depth.
"""

from statistics import NormalDist
from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import (
    Degradation,
    Picture,
    Plane,
    Traced,
    TracedDegradation,
)
from restorekit.degradations.fields import plasma, wander
from restorekit.degradations.kernels import convolve, half_gaussian
from restorekit.degradations.light import LUMA

COLOURS = {
    "water": np.array([175, 238, 238], np.float32) / 255,
    "mud": np.array([63, 42, 20], np.float32) / 255,
}
FARTHEST = 20
"""The relief of water is even from so many pixels beside a rim on."""
LIT = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
"""Makes a relief lit from the lower right."""
MUD_RIM = 1.5
"""Standard deviation in pixels of what softens the rims of mud."""
MUD_LEAST = 0.8
"""What covers less than this, is no mud."""


class PlasmaFog(Degradation):
    """Patches of fog before everything: a plasma fractal is added and all is darkened again.

    x' = (x + strength P) max(x) / (max(x) + strength) (Hendrycks and Dietterich, ICLR 2019). `haze`
    is the physics.
    """

    name: ClassVar[str] = "plasma-fog"
    ranges: ClassVar = {"strength": "0.2~3.0", "decay": "1.4..2.2"}
    severities: ClassVar = tuple(
        {"strength": strength, "decay": 2.0} for strength in (0.15, 0.35, 0.7, 1.4, 3.0)
    )

    strength: float = Field(ge=0, le=20, description="of the thickest fog; 1 is white")
    decay: float = Field(ge=1, le=4, description="1 is as rough as can be, more is smoother")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Let fog rise."""
        if not self.strength:
            return picture
        strength, brightest = np.float32(self.strength), max(picture.max(), np.float32(0))
        fog = strength * plasma(picture.shape, self.decay, rng)[..., None]
        return (picture + fog) * (brightest / (brightest + strength))


class DrivenSnow(Degradation):
    """Blurred specks in two directions over a whitened picture.

    White noise, enlarged and cut off below a threshold, is blurred along half a Gaussian and added,
    once as it is and once upside down (Hendrycks and Dietterich, ICLR 2019). `snow` has flakes.
    """

    name: ClassVar[str] = "driven-snow"
    ranges: ClassVar = {
        "level": "0.0..0.4",
        "spread": 0.3,
        "grain": "1.5..4.5",
        "threshold": "0.5..0.9",
        "motion": "2.0..12.0",
        "reach": "8..12",
        "angle": "45.0..135.0",
        "whitening": "0.1..0.5",
    }
    severities: ClassVar = tuple(
        {
            "level": level,
            "spread": 0.3,
            "grain": 3.0,
            "threshold": 0.7,
            "motion": 5.0,
            "reach": 12,
            "angle": 75.0,
            "whitening": whitening,
        }
        for level, whitening in ((0.0, 0.05), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.4, 0.5))
    )

    level: float = Field(ge=0, le=1, description="mean of the noise")
    spread: float = Field(ge=0, le=1, description="standard deviation of the noise")
    grain: float = Field(ge=1, le=50, description="enlargement of the noise")
    threshold: float = Field(ge=0, le=1, description="noise below it is no snow")
    motion: float = Field(gt=0, le=100, description="standard deviation of the trails in pixels")
    reach: int = Field(ge=0, le=100, description="a trail is no longer than twice this and a pixel")
    angle: float = Field(ge=0, le=180, description="degrees from the horizontal; 90 falls straight")
    whitening: float = Field(ge=0, le=1, description="share of a brighter, greyer picture")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Let it snow."""
        height, width = picture.shape[:2]
        rows, columns = (int(np.ceil(side / self.grain)) for side in (height, width))
        noise = rng.normal(self.level, self.spread, (rows, columns)).astype(np.float32)
        large = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
        specks = np.asarray(large, np.float32).reshape(height, width, 1)
        specks = np.clip(np.where(specks < self.threshold, np.float32(0), specks), 0, 1)
        snow = convolve(specks, half_gaussian(self.motion, self.reach, self.angle))
        return self._whitened(picture) + snow + snow[::-1, ::-1]

    def _whitened(self, picture: Picture) -> Picture:
        luma = (picture @ LUMA)[..., None] if picture.shape[2] == 3 else picture
        white = np.maximum(picture, np.float32(1.5) * luma + np.float32(0.5))
        return picture + np.float32(self.whitening) * (white - picture)


class Spatter(TracedDegradation):
    """Drops of water, or mud, on the lens.

    Smoothed noise above a threshold (Hendrycks and Dietterich, ICLR 2019): mud hides what is
    behind, water adds the light of a relief. `raindrops` has refraction.
    """

    name: ClassVar[str] = "spatter"
    ranges: ClassVar = {
        "kind": ["water", "mud"],
        "size": "1.0..4.0",
        "cover": "0.02..0.5",
        "strength": "0.4..1.0",
    }
    severities: ClassVar = tuple(
        {"kind": "mud", "size": 3.0, "cover": cover, "strength": 1.0}
        for cover in (0.03, 0.08, 0.16, 0.3, 0.55)
    )

    kind: Literal["water", "mud"]
    size: float = Field(ge=1, le=50, description="Gaussian radius of the noise in pixels")
    cover: float = Field(ge=0, lt=1, description="part of the picture, before rims are softened")
    strength: float = Field(ge=0, le=1, description="opacity of mud, brightness of water")

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Soil the lens; the mask has the mud or the relief of the water."""
        if not self.cover:
            return Traced(picture, {"mask": np.zeros(picture.shape[:2], np.float32)})
        least = NormalDist().inv_cdf(1 - self.cover)
        wet = (wander(picture.shape, self.size, rng) > least).astype(np.uint8)
        mask = np.float32(self.strength) * (_relief if self.kind == "water" else _mud)(wet)
        colour = COLOURS[self.kind] if picture.shape[2] == 3 else COLOURS[self.kind] @ LUMA
        behind = picture if self.kind == "water" else picture * (1 - mask[..., None])
        soiled = np.asarray(behind + mask[..., None] * colour, np.float32)
        return Traced(soiled, {"mask": mask})


def _mud(wet: cv2.typing.MatLike) -> Plane:
    soft = cv2.GaussianBlur(wet.astype(np.float32), (0, 0), MUD_RIM, borderType=cv2.BORDER_REFLECT)
    cover = np.asarray(soft, np.float32).reshape(wet.shape)
    return np.where(cover < MUD_LEAST, np.float32(0), cover)


def _relief(wet: cv2.typing.MatLike) -> Plane:
    """Light drops, a mask (H, W) of 0 and 1, by the distance to their rims; 1 is the brightest."""
    inside, outside = (cv2.distanceTransform(m, cv2.DIST_L2, 5) for m in (wet, 1 - wet))
    distance = cv2.blur(np.minimum(inside + outside, FARTHEST), (3, 3)).astype(np.uint8)
    lit = cv2.blur(cv2.filter2D(cv2.equalizeHist(distance), cv2.CV_8U, LIT), (3, 3))
    relief = wet * np.asarray(lit, np.float32).reshape(wet.shape)
    return np.asarray(relief / (relief.max() or 1), np.float32)
