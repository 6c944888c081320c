"""Things that move on their own while the shutter is open."""

from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.kernels import (
    POINTS_PER_PIXEL,
    Kernel,
    Points,
    convolve,
    deposit,
)
from restorekit.degradations.light import Space, work_in

SUBPIXEL = 4
"""Bits of the fractions of a pixel in which OpenCV draws."""
REACH = 4
"""A soft edge ends at so many standard deviations."""
ROUND = 64
"""Points of an outline without corners."""
MOST_CORNERS = 7
WHOLE = np.float32(0.9999)
"""From here on a thing hides what is behind it when the shutter is half way."""
TINY = np.float32(1e-6)


class MovingObjects(TracedDegradation):
    """Parts of the scene move during the exposure, each its own way, before the rest that does not.

    Layers (Wulff and Black, Modeling Blurred Video with Layers, ECCV 2014): a part with the mask m
    that moves along the path k leaves k * (m I) + (1 - k * m) B of the background B, in light. The
    reference is the middle of the exposure; what a part hid until then is filled in from around it.
    The parts are blobs and polygons at random places, the later ones before the earlier.
    """

    name: ClassVar[str] = "moving-objects"
    ranges: ClassVar = {
        "count": "1..4",
        "size": "0.15..0.7",
        "length": "3.0..40.0",
        "angle": "0.0..360.0",
        "spread": "0.0..180.0",
        "bend": "0.0..40.0",
        "softness": "0.5~3.0",
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {
            "count": count,
            "size": 0.5,
            "length": length,
            "angle": 20.0,
            "spread": 90.0,
            "bend": 20.0,
            "softness": 1.0,
            "space": "linear",
        }
        for count, length in ((2, 4.0), (2, 10.0), (3, 18.0), (4, 30.0), (6, 50.0))
    )

    count: int = Field(ge=0, le=50)
    size: float = Field(gt=0, le=2, description="of the largest, part of the shorter side")
    length: float = Field(ge=0, le=500, description="path of the fastest in pixels")
    angle: float = Field(ge=0, le=360, description="degrees from the horizontal")
    spread: float = Field(ge=0, le=180, description="degrees off `angle`, at most")
    bend: float = Field(ge=0, le=180, description="degrees by which a path turns and back, at most")
    softness: float = Field(gt=0, le=50, description="Gaussian radius of the edges in pixels")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Let parts move; the mask has the part of the exposure in which one was there."""
        seen = np.ones(picture.shape[:2], np.float32)
        if not self.length or not self.count:
            return Traced(picture, {"mask": 1 - seen})
        moved = work_in(self.space, picture, lambda light: self._moved(light, seen, rng))
        return Traced(moved, {"mask": np.clip(1 - seen, 0, 1)})

    def _moved(self, light: Picture, seen: Plane, rng: np.random.Generator) -> Picture:
        """Let every part move; what is `seen` of the background, shrinks."""
        moved = light.copy()
        for _ in range(self.count):
            part = self._draw(light.shape, rng)
            window = part.window
            left, there = _exposed(light[window], part)
            behind = _filled_in(moved[window], part)
            moved[window] = left + (1 - there)[..., None] * behind
            seen[window] *= 1 - there
        return moved

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> "_Part":
        height, width = shape[:2]
        radius = self.size * min(height, width) * rng.uniform(0.2, 0.5)
        place = complex(rng.uniform(0, width), rng.uniform(0, height))
        outline = place + radius * _outline(rng)
        angle = self.angle + self.spread * rng.uniform(-1, 1)
        length, bend = self.length * rng.uniform(0.4, 1), self.bend * rng.uniform(-1, 1)
        kernel = deposit(_path(length, angle, bend))
        return _cut_out(outline, self.softness, kernel, shape)


class _Part(NamedTuple):
    """A thing that moves, in the window of the picture that it does not leave."""

    window: tuple[slice, slice]
    mask: Plane
    """Where it is when the shutter is half way, (h, w) in [0, 1]."""
    kernel: Kernel


def _outline(rng: np.random.Generator) -> Points:
    """Draw a shape of about radius 1 around 0, with corners or without, stretched along an axis."""
    if rng.random() < 0.5:
        count = int(rng.integers(3, MOST_CORNERS, endpoint=True))
        turns = 2 * np.pi * (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / count
        radii = rng.uniform(0.6, 1, count)
    else:
        turns, radii = 2 * np.pi * np.arange(ROUND) / ROUND, np.ones(ROUND)
        for wave in range(2, 5):
            phase = rng.uniform(0, 2 * np.pi)
            radii += rng.uniform(0, 0.4 / wave) * np.sin(wave * turns + phase)
    shape = radii * np.exp(1j * turns)
    stretched = shape.real + 1j * rng.uniform(0.4, 1) * shape.imag
    return np.asarray(stretched * np.exp(2j * np.pi * rng.random()), np.complex128)


def _path(length: float, angle: float, bend: float) -> Points:
    """Go `length` pixels at an even speed, turning by `bend` degrees until half way and back.

    Both halves are alike, so that the middle of the exposure is the centroid.
    """
    count = max(1, int(np.ceil(length * POINTS_PER_PIXEL)))
    moments = (np.arange(count) + 0.5) / count - 0.5
    headings = np.deg2rad(angle + bend * (4 * moments**2 - 1 / 3))
    return np.asarray(np.exp(-1j * headings).cumsum() * length / count, np.complex128)


def _cut_out(outline: Points, softness: float, kernel: Kernel, shape: tuple[int, ...]) -> _Part:
    reach = int(np.ceil(REACH * softness)) + len(kernel) // 2 + 2
    rows, columns = (
        slice(max(0, int(ends.min()) - reach), min(side, int(ends.max()) + reach + 1))
        for ends, side in zip((outline.imag, outline.real), shape[:2], strict=True)
    )
    canvas = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    corners = np.stack([outline.real - columns.start, outline.imag - rows.start], axis=1)
    points = np.rint(corners * 2**SUBPIXEL).astype(np.int32)
    cv2.fillPoly(canvas, [points], 255, cv2.LINE_AA, SUBPIXEL)
    hard = canvas.astype(np.float32) / np.float32(255)
    soft = cv2.GaussianBlur(hard, (0, 0), softness, borderType=cv2.BORDER_REFLECT)
    return _Part((rows, columns), np.asarray(soft, np.float32).reshape(canvas.shape), kernel)


def _exposed(light: Picture, part: _Part) -> tuple[Picture, Plane]:
    """Return the light that the part leaves, and for how much of the exposure it is there."""
    mask = part.mask[..., None]
    left = convolve(np.concatenate([mask * light, mask], axis=2), part.kernel)
    return left[..., :-1], left[..., -1]


def _filled_in(background: Picture, part: _Part) -> Picture:
    """Guess what the part hides when the shutter is half way: the mean of what is around it."""
    hides = part.mask > WHOLE
    side = 2 * len(part.kernel) + 1
    known = (1 - part.mask)[..., None]
    both = np.concatenate([known * background, known], axis=2)
    means = np.asarray(cv2.blur(both, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
    means = means.reshape(both.shape)
    nearby = (means[..., :-1] + TINY * background) / (means[..., -1:] + TINY)
    return np.where(hides[..., None], nearby, background)
