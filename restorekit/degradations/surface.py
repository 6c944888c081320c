"""Damage to prints and films, in display space as a scan shows it."""

from typing import ClassVar, Literal

import cv2
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
from restorekit.degradations.fields import clouds

SPECK_CORNERS = 9
SUBPIXEL = 4
"""Bits of the fractions of a pixel in which OpenCV draws."""


def _either(one: Plane, other: Plane) -> Plane:
    return one + other - one * other


class FilmScratches(TracedDegradation):
    """Scratches along a film: nearly vertical, wandering, broken, light or dark.

    I = (1 - m) J + m c, with the line model of Kokaram (Motion Picture Restoration, 1998).
    """

    name: ClassVar[str] = "film-scratches"
    ranges: ClassVar = {
        "count": "1..12",
        "length": "0.2..1.0",
        "width": "0.6~3.0",
        "wander": "0.0..0.03",
        "strength": "0.3..1.0",
        "tone": ["light", "dark", "mixed"],
    }
    severities: ClassVar = tuple(
        {
            "count": count,
            "length": 0.7,
            "width": width,
            "wander": 0.01,
            "strength": strength,
            "tone": "light",
        }
        for count, width, strength in (
            (2, 0.8, 0.4),
            (4, 1.0, 0.6),
            (8, 1.3, 0.7),
            (14, 1.6, 0.8),
            (25, 2.0, 1.0),
        )
    )

    count: int = Field(ge=0, le=200)
    length: float = Field(ge=0, le=1, description="part of the height, of the longest")
    width: float = Field(gt=0, le=50, description="pixels at half maximum")
    wander: float = Field(ge=0, le=0.5, description="drift to the sides, relative to the length")
    strength: float = Field(ge=0, le=1, description="opacity of the strongest")
    tone: Literal["light", "dark", "mixed"]

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Scratch the film."""
        marks = {tone: np.zeros(picture.shape[:2], np.float32) for tone in ("light", "dark")}
        for _ in range(self.count):
            is_dark = self.tone == "dark" or (self.tone == "mixed" and rng.random() < 0.5)
            self._scratch(marks["dark" if is_dark else "light"], rng)
        light, dark = (np.minimum(marks[tone], 1)[..., None] for tone in ("light", "dark"))
        scratched = picture + light * (np.float32(0.95) - picture) * (1 - dark) - dark * picture
        return Traced(scratched, {"mask": _either(light, dark)[..., 0]})

    def _scratch(self, mark: Plane, rng: np.random.Generator) -> None:
        height, width = mark.shape
        length = max(1, round(height * self.length * rng.uniform(0.3, 1)))
        top = int(rng.integers(-length // 4, max(1, height - length * 3 // 4)))
        steps = rng.standard_normal(length).cumsum() * self.wander * length**0.5
        lean = rng.normal(0, self.wander) * np.arange(length)
        centre = rng.uniform(0, width) + cv2.blur(steps, (1, 9)).ravel() + lean
        ends = np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.1 * length + 1)
        broken = np.clip(3 * clouds((length, 1), rng)[:, 0] - 0.6, 0, 1) * np.minimum(ends, 1)
        opacity = self.strength * rng.uniform(0.4, 1) * broken
        sigma = self.width * rng.uniform(0.6, 1.4) / 2.355
        self._draw(mark, top, centre, opacity, sigma)

    @staticmethod
    def _draw(
        mark: Plane,
        top: int,
        centre: NDArray[np.float64],
        opacity: NDArray[np.float64],
        sigma: float,
    ) -> None:
        inside = slice(max(0, -top), max(0, min(len(centre), mark.shape[0] - top)))
        centre, opacity = centre[inside], opacity[inside]
        if not len(centre):
            return
        reach = int(np.ceil(3 * sigma)) + 1
        left = max(0, int(centre.min()) - reach)
        columns = np.arange(left, min(mark.shape[1], int(centre.max()) + reach + 1))
        profile = np.exp(-(((columns - centre[:, None]) / sigma) ** 2) / 2)
        start = top + inside.start
        mark[start : start + len(centre), left : left + len(columns)] += (
            opacity[:, None] * profile * min(1.0, 2 * sigma)
        )


class Dust(TracedDegradation):
    """Specks and fibres on a print or a slide, light or dark.

    I = (1 - m) J + m c (Wan et al., Bringing Old Photos Back to Life, CVPR 2020, call it
    unstructured and structured defects).
    """

    name: ClassVar[str] = "dust"
    ranges: ClassVar = {
        "specks": "0.5~20.0",
        "size": "0.6~1.8",
        "fibres": "0.0..1.0",
        "strength": "0.4..1.0",
        "tone": ["light", "dark", "mixed"],
    }
    severities: ClassVar = tuple(
        {"specks": specks, "size": size, "fibres": fibres, "strength": strength, "tone": "light"}
        for specks, size, fibres, strength in (
            (2.0, 0.7, 0.1, 0.5),
            (5.0, 0.8, 0.3, 0.7),
            (10.0, 0.9, 0.6, 0.8),
            (20.0, 1.1, 1.0, 0.9),
            (35.0, 1.4, 2.0, 1.0),
        )
    )

    specks: float = Field(ge=0, le=500, description="number per 100 x 100 pixels")
    size: float = Field(gt=0, le=30, description="median radius of a speck in pixels")
    fibres: float = Field(ge=0, le=50, description="number per 100 x 100 pixels")
    strength: float = Field(ge=0, le=1, description="opacity of the strongest")
    tone: Literal["light", "dark", "mixed"]

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Let dust settle."""
        hidden = np.zeros(picture.shape[:2], np.float32)
        shares = {"light": (1.0, 0.0), "dark": (0.0, 1.0), "mixed": (0.5, 0.5)}[self.tone]
        for share, colour in zip(shares, (0.95, 0.05), strict=True):
            if share:
                mask = self._mask(picture.shape[:2], share, rng)
                picture = picture + mask[..., None] * (np.float32(colour) - picture)
                hidden = _either(hidden, mask)
        return Traced(picture, {"mask": hidden})

    def _mask(self, shape: tuple[int, ...], share: float, rng: np.random.Generator) -> Plane:
        canvas = np.zeros(shape, np.uint8)
        area = share * shape[0] * shape[1] / 100**2
        for _ in range(int(rng.poisson(self.specks * area))):
            self._speck(canvas, rng)
        for _ in range(int(rng.poisson(self.fibres * area))):
            self._fibre(canvas, rng)
        soft = np.asarray(cv2.GaussianBlur(canvas, (3, 3), 0.5), np.float32).reshape(shape)
        return soft * np.float32(1 / 255)

    def _opacity(self, rng: np.random.Generator) -> float:
        return float(255 * self.strength * rng.uniform(0.4, 1))

    def _speck(self, canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
        height, width = canvas.shape
        radius = self.size * np.exp(0.5 * rng.standard_normal())
        radii = radius * rng.uniform(0.5, 1.2, SPECK_CORNERS)
        turns = 2 * np.pi * (np.arange(SPECK_CORNERS) + rng.uniform(-0.3, 0.3)) / SPECK_CORNERS
        outline = np.stack([np.cos(turns), rng.uniform(0.5, 1) * np.sin(turns)], axis=1)
        corners = rng.uniform(0, 1, 2) * [width, height] + radii[:, None] * outline
        points = np.rint(corners * 2**SUBPIXEL).astype(np.int32)
        cv2.fillPoly(canvas, [points], self._opacity(rng), cv2.LINE_AA, SUBPIXEL)

    def _fibre(self, canvas: NDArray[np.uint8], rng: np.random.Generator) -> None:
        height, width = canvas.shape
        corners = rng.uniform(0, 1, 2) * [width, height] + 8 * self.size * (
            rng.standard_normal((4, 2)).cumsum(axis=0)
        )
        t = np.linspace(0, 1, 24)[:, None]
        curve = sum(
            weight * corner
            for weight, corner in zip(
                ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3), corners, strict=True
            )
        )
        points = np.rint(np.asarray(curve) * 2**SUBPIXEL).astype(np.int32)
        cv2.polylines(canvas, [points], False, self._opacity(rng), 1, cv2.LINE_AA, SUBPIXEL)


class ColourFade(Degradation):
    """The dyes of a colour print bleached by light and time, and its paper yellowed.

    Each dye keeps a part of its density, cyan the least and so the print turns red (Wilhelm and
    Brower, The Permanence and Care of Color Photographs, 1993); blacks turn grey.
    """

    name: ClassVar[str] = "colour-fade"
    ranges: ClassVar = {
        "cyan": "0.1..0.7",
        "magenta": "0.05..0.5",
        "yellow": "0.05..0.5",
        "yellowing": "0.0..0.3",
        "lift": "0.0..0.15",
    }
    severities: ClassVar = tuple(
        {
            "cyan": fade,
            "magenta": 0.6 * fade,
            "yellow": 0.7 * fade,
            "yellowing": 0.4 * fade,
            "lift": 0.2 * fade,
        }
        for fade in (0.15, 0.3, 0.45, 0.6, 0.75)
    )

    cyan: float = Field(ge=0, le=1, description="part of the density lost")
    magenta: float = Field(ge=0, le=1, description="part of the density lost")
    yellow: float = Field(ge=0, le=1, description="part of the density lost")
    yellowing: float = Field(ge=0, le=1, description="part of the blue that the paper swallows")
    lift: float = Field(ge=0, le=0.9, description="brightness of what was black")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Fade."""
        kept = 1 - np.array([self.cyan, self.magenta, self.yellow], np.float32)
        paper = 1 - np.float32(self.yellowing) * np.array([0.1, 0.35, 1], np.float32)
        if picture.shape[2] == 1:
            kept, paper = kept.mean(keepdims=True), paper.mean(keepdims=True)
        lift = np.float32(self.lift)
        return (lift + (1 - lift) * np.maximum(picture, 0) ** kept) * paper
