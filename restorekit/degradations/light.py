"""Display values and the light they stand for."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from restorekit.degradations.base import Picture

Space = Literal["linear", "display"]
"""Where a degradation happens: in scene light, or in the sRGB values of the file."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue display values (ITU-R BT.601)."""
CLIPPED = 0.95
"""White from here on may have been brighter than the file could say."""


def to_linear(picture: Picture) -> Picture:
    """Turn display values into light by the sRGB curve (IEC 61966-2-1); below 0 becomes 0."""
    values = np.maximum(picture, 0)
    curve = ((values + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(values <= 0.04045, values / np.float32(12.92), curve)


def to_display(light: Picture) -> Picture:
    """Turn light into display values by the sRGB curve; below 0 becomes 0."""
    values = np.maximum(light, 0)
    curve = np.float32(1.055) * values ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(values <= 0.0031308, values * np.float32(12.92), curve)


def work_in(space: Space, picture: Picture, change: Callable[[Picture], Picture]) -> Picture:
    """Apply `change` to the display values or to the light, and return display values."""
    return change(picture) if space == "display" else to_display(change(to_linear(picture)))


def brighten_highlights(light: Picture, factor: float) -> Picture:
    """Give clipped lights back up to `factor` times the brightness that the file could hold."""
    # A pure colour at its maximum is no light source.
    lit = np.clip((light.min(axis=2, keepdims=True) - CLIPPED) / (1 - CLIPPED), 0, 1)
    return light * (1 + np.float32(factor - 1) * lit)
