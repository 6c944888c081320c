"""Haze and rain, taken out without learning."""

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from restorekit.classical.base import Method, Picture, guided

_BRIGHTEST = 0.001
"""The share of pixels, those with the brightest dark channel, that the air is measured on."""


@Method
def dark_channel(
    picture: Picture,
    radius: Annotated[
        int, Field(ge=1, le=50, description="patches are 2 * radius + 1 pixels a side, 1 to 50")
    ] = 7,
    amount: Annotated[
        float, Field(ge=0, le=1, description="how much of the haze is taken out, 0 to 1")
    ] = 0.95,
    least: Annotated[
        float,
        Field(gt=0, le=1, description="the least light that is believed to come through, 0 to 1"),
    ] = 0.1,
    smooth: Annotated[
        int, Field(ge=1, le=200, description="radius of the guided filter in pixels, 1 to 200")
    ] = 40,
) -> Picture:
    """Measure haze by the darkest channel of each patch, which is near 0 in clear air.

    He et al., "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009, with the guided
    filter of their TPAMI 2013 paper in place of matting. The picture is J t + A (1 - t).
    """
    air = _air(picture, radius)
    through = 1 - amount * _dark(picture / air, radius)
    guide = picture.mean(2, keepdims=True)
    through = np.clip(guided(through, guide, smooth, 1e-3), least, 1)
    return np.asarray((picture - air) / through + air, np.float32)


@Method
def guided_filter(
    picture: Picture,
    radius: Annotated[
        int, Field(ge=1, le=50, description="windows are 2 * radius + 1 pixels a side, 1 to 50")
    ] = 5,
    smooth: Annotated[
        float,
        Field(gt=0, le=1, description="variance of values in [0, 1] that counts as flat, to 1"),
    ] = 0.01,
    sharp: Annotated[
        float, Field(ge=0, le=1, description="share of the darker picture in the guide, 0 to 1")
    ] = 0.8,
) -> Picture:
    """Split off the fine detail, keep of it what follows the edges, and nothing that is brighter.

    After Zheng et al., "Single-Image-Based Rain and Snow Removal Using Multi-guided Filter",
    ICONIP 2013: streaks are thin, bright and not where the smooth part has edges.
    """
    low = guided(picture, picture, radius, smooth)
    kept = low + guided(picture - low, low, radius, smooth)
    darker = np.minimum(kept, picture)
    guide = sharp * darker + (1 - sharp) * kept
    return np.asarray(guided(darker, guide, radius, smooth * 1e-2), np.float32)


def _dark(picture: Picture, radius: int) -> Picture:
    """Take the least value of all channels in a window, (H, W, 1)."""
    window = np.ones((2 * radius + 1,) * 2, np.uint8)
    least = np.ascontiguousarray(picture.min(2), np.float32)
    return np.asarray(cv2.erode(least, window), np.float32)[..., None]


def _air(picture: Picture, radius: int) -> Picture:
    """Measure the colour of the air, (C,), where haze is thickest."""
    dark = _dark(picture, radius).ravel()
    count = max(int(dark.size * _BRIGHTEST), 1)
    thickest = np.argpartition(dark, -count)[-count:]
    colour = picture.reshape(-1, picture.shape[2])[thickest].mean(0)
    return np.maximum(colour, np.float32(1e-3))
