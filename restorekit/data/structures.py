"""Man-made lines for training references: what a net must not take for rain or scratches.

Photographs hold few fences, blinds, facades and wires, and no borders of a scan; a net that never
saw them wipes them off. Drawn into a reference before it is degraded, they belong to the picture
that has to come back.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from restorekit.types import Pixels

Mask = NDArray[np.float32]
"""(H, W): how much of a pixel the pattern covers, 0 to 1."""
Shape: TypeAlias = tuple[int, ...]
Pattern = Callable[[Shape, float, np.random.Generator], Mask]
"""Draws lines in a picture of that shape, most of them along that angle in radians."""


def draw_structure(pixels: Pixels, rng: np.random.Generator, along: float | None = None) -> Pixels:
    """Return the samples with bars, a lattice, a facade or beams over a part of the picture.

    Bars are 2 to 60 pixels apart. They have a colour of their own and lie `along` a direction in
    degrees from the horizontal, or any; beams lie across each other.
    """
    shape = pixels.shape[:2]
    angle = rng.uniform(0, np.pi)
    if along is not None:
        angle = np.pi / 2 - np.deg2rad(along)
    pattern: Pattern = (_plain, _lattice, _facade, _beams)[rng.integers(4)]
    cover = pattern(shape, angle, rng)
    cover *= _part(shape, rng) * np.float32(rng.uniform(0.4, 1))
    top = np.iinfo(pixels.dtype).max
    colour = np.clip(rng.uniform(0, 1) + 0.1 * rng.standard_normal(pixels.shape[2]), 0, 1) * top
    mixed = pixels + cover[..., None] * (colour.astype(np.float32) - pixels)
    return np.rint(mixed).astype(pixels.dtype)


def draw_border(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the samples with plain borders, as of a scan, along some of the four edges.

    Each is 1 to 12 pixels wide, or less than half of the picture. The one or two lines where it
    meets the picture mix both, or are darker or lighter than both, as a scanner's sharpening
    leaves them.
    """
    drawn = pixels.copy()
    top = np.iinfo(pixels.dtype).max
    grey = rng.choice([0, 1, rng.uniform(0, 1)])
    for turns in range(4):
        if rng.random() < 0.5:
            continue
        edge = np.rot90(drawn, turns)
        width = min(int(np.exp(rng.uniform(0, np.log(13)))), (len(edge) - 1) // 2)
        edge[:width] = _tinted(grey, pixels, rng)
        rim = rng.choice([grey, 0, 1], p=[0.3, 0.5, 0.2])
        meeting = edge[width : width + rng.integers(1, 3)]
        mixed = meeting + rng.uniform(0, 1) * (rim * top - meeting)
        meeting[:] = np.rint(mixed).astype(pixels.dtype)
    return drawn


def _tinted(grey: float, pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A sample of about that grey, 0 to 1, in the depth and channels of the picture."""
    colour = np.clip(grey + 0.03 * rng.standard_normal(pixels.shape[2]), 0, 1)
    return np.rint(colour * np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def _plain(shape: Shape, angle: float, rng: np.random.Generator) -> Mask:
    """Bars side by side."""
    return _bars(shape, angle, _pitch(rng), rng)


def _lattice(shape: Shape, angle: float, rng: np.random.Generator) -> Mask:
    """Bars, and as many that cross them."""
    pitch = _pitch(rng)
    crossing = _bars(shape, angle + rng.uniform(0.8, 2.3), pitch, rng)
    return np.maximum(_bars(shape, angle, pitch, rng), crossing)


def _facade(shape: Shape, angle: float, rng: np.random.Generator) -> Mask:
    """Bars that others, of a strength of their own, cut into pieces, as floors do windows."""
    floors = _bars(shape, angle + rng.uniform(1.2, 1.9), _pitch(rng), rng)
    windows = _plain(shape, angle, rng) * (1 - floors)
    return np.maximum(windows, np.float32(rng.uniform(0, 1)) * floors)


def _pitch(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(2.5), np.log(60))))


def _bars(shape: Shape, angle: float, pitch: float, rng: np.random.Generator) -> Mask:
    """Parallel bars with anti-aliased rims, slightly fanned as in perspective."""
    across, along = _rotated(shape, angle)
    fan = 1 + np.float32(rng.normal(0, 0.15) / max(shape)) * along
    place = (across * fan + np.float32(rng.uniform(0, pitch))) % np.float32(pitch)
    half = pitch * rng.uniform(0.08, 0.3)
    return _within(half, place - np.float32(pitch / 2))


def _beams(shape: Shape, angle: float, rng: np.random.Generator) -> Mask:
    """Up to twenty straight beams, up to 6 pixels wide, of which some lie about along `angle`."""
    cover = np.zeros(shape, np.float32)
    for _ in range(rng.integers(3, 21)):
        turned = angle + rng.choice([rng.normal(0, 0.3), rng.uniform(0, np.pi)])
        across, along = _rotated(shape, turned)
        middle, start = rng.uniform(-0.7, 0.7, 2) * max(shape)
        beam = _within(rng.uniform(0.3, 3), across - middle)
        beam *= _within(rng.uniform(0.05, 0.7) * max(shape), along - start)
        cover = np.maximum(cover, beam)
    return cover


def _within(half: float, distance: Mask) -> Mask:
    """What lies within a distance, with anti-aliased rims."""
    inside: Mask = np.clip(half - np.abs(distance) + 0.5, 0, 1).astype(np.float32)
    return inside


def _part(shape: Shape, rng: np.random.Generator) -> Mask:
    """Everything, or one side of a straight edge."""
    if rng.random() < 0.3:
        return np.ones(shape, np.float32)
    across, _ = _rotated(shape, rng.uniform(0, 2 * np.pi))
    edge = rng.uniform(-0.3, 0.3) * max(shape)
    return np.clip(across - edge + 0.5, 0, 1).astype(np.float32)


def _rotated(shape: Shape, angle: float) -> tuple[Mask, Mask]:
    """Coordinates across and along a direction, in pixels from the middle."""
    rows, columns = np.indices(shape, dtype=np.float32)
    y, x = rows - shape[0] / 2, columns - shape[1] / 2
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    return x * cosine + y * sine, y * cosine - x * sine
