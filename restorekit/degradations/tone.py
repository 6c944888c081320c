"""What is wrong with the tone of a picture, and colours that are lost."""

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.light import LUMA

BLACK = 1e-6


class Brightness(Degradation):
    """Too bright: the value of HSV is raised and clipped (Hendrycks and Dietterich, ICLR 2019)."""

    name: ClassVar[str] = "brightness"
    ranges: ClassVar = {"lift": "0.05..0.5"}
    severities: ClassVar = tuple({"lift": lift} for lift in (0.1, 0.2, 0.3, 0.4, 0.5))

    lift: float = Field(ge=0, le=1, description="added to the brightest channel of a pixel")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Brighten; hue and saturation stay."""
        if not self.lift:
            return picture
        value = np.clip(picture.max(axis=2, keepdims=True), 0, 1)
        lifted = np.minimum(value + np.float32(self.lift), 1)
        return np.where(value > BLACK, picture * (lifted / np.maximum(value, BLACK)), lifted)


class Saturation(Degradation):
    """Colours too strong or too weak: the saturation of HSV is scaled, raised and clipped.

    Where it is raised, grey becomes red, the hue of HSV that has none (Hendrycks and Dietterich,
    ICLR 2019).
    """

    name: ClassVar[str] = "saturation"
    ranges: ClassVar = {"factor": "0.1~5.0", "lift": 0.0}
    severities: ClassVar = tuple(
        {"factor": factor, "lift": lift}
        for factor, lift in ((1.5, 0.0), (2.0, 0.0), (3.0, 0.05), (5.0, 0.1), (20.0, 0.2))
    )

    factor: float = Field(ge=0, le=100, description="0 leaves no colour, 1 is the picture")
    lift: float = Field(ge=0, le=1, description="added to the scaled saturation")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Change the saturation; hue and value stay."""
        if picture.shape[2] == 1 or (self.factor == 1 and not self.lift):
            return picture
        hsv = np.asarray(cv2.cvtColor(np.clip(picture, 0, 1), cv2.COLOR_RGB2HSV), np.float32)
        hsv[..., 1] = np.clip(hsv[..., 1] * np.float32(self.factor) + np.float32(self.lift), 0, 1)
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)


class LowContrast(Degradation):
    """Too flat: every channel comes closer to its mean (Hendrycks and Dietterich, ICLR 2019)."""

    name: ClassVar[str] = "low-contrast"
    ranges: ClassVar = {"contrast": "0.1..0.7"}
    severities: ClassVar = tuple({"contrast": left} for left in (0.75, 0.5, 0.4, 0.25, 0.1))

    contrast: float = Field(ge=0, le=1, description="part of the contrast that is left")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Flatten."""
        if self.contrast == 1:
            return picture
        mean = picture.mean(axis=(0, 1), keepdims=True, dtype=np.float64).astype(np.float32)
        return mean + np.float32(self.contrast) * (picture - mean)


class Greyscale(Degradation):
    """Colours lost: a mixture with the luma of ITU-R BT.601, in all channels."""

    name: ClassVar[str] = "greyscale"
    ranges: ClassVar = {"amount": 1.0}
    severities: ClassVar = tuple({"amount": amount} for amount in (0.2, 0.4, 0.6, 0.8, 1.0))

    amount: float = Field(ge=0, le=1, description="1 leaves no colour")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Take colour away."""
        if picture.shape[2] == 1 or not self.amount:
            return picture
        luma = (picture @ LUMA)[..., None]
        return picture + np.float32(self.amount) * (luma - picture)
