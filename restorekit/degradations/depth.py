"""Depth for pictures that have none."""

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradations.base import Picture, Plane
from restorekit.degradations.fields import clouds
from restorekit.errors import UsageError

WORKING_SIDE = 192
"""Depth is made at this longer side and then fitted to the edges of the whole picture."""
NEAR = 0.12
"""The foot of the picture is so far away, where the horizon is 1 away."""
SKY = 0.45
"""What is nowhere darker than this, is taken for sky."""
RELIEF = 0.55
"""Things stand in front of the farthest by this at most,"""
RELIEF_IN_A_ROOM = 0.75
"""and by this where there is no horizon."""


def depth_of(
    picture: Picture,
    given: Plane | None,
    horizon: float,
    rng: np.random.Generator,
    room: float = 0.0,
    near: float = 0.0,
) -> Plane:
    """Return the given depth, or else guess one; raises UsageError where it does not fit.

    What is nearest in a guessed depth is `near` away, as part of the farthest.
    """
    if given is None:
        guessed = pseudo_depth(picture, horizon, rng, room)
        return guessed + np.float32(near) * (1 - guessed)
    if given.shape != picture.shape[:2]:
        raise UsageError(
            f"the depth map is {_size(given)} and the picture {_size(picture)}; "
            "give one of the same size"
        )
    if not np.isfinite(given).all() or given.min() < 0:
        raise UsageError(
            "the depth map has values below 0, infinite or missing; fill its holes, "
            "0 is at the camera"
        )
    return given.astype(np.float32)


def _size(array: NDArray[np.float32]) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"


def pseudo_depth(
    picture: Picture, horizon: float, rng: np.random.Generator, room: float = 0.0
) -> Plane:
    """Guess a depth in [0, 1], 1 the farthest: a ground plane, a sky, and things of one depth each.

    `horizon` is where the ground ends, 0 the top row and 1 the bottom one. Bright and even parts
    count as sky (the dark channel of He et al., CVPR 2009); the depth of everything else is drawn,
    smooth inside and with steps at the edges of the picture (the guided filter of He et al., 2010).
    With `room` that goes from 0 to 1 the ground and the sky give way to things at any depth.
    """
    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / WORKING_SIDE)
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    reduced = cv2.resize(np.clip(picture, 0, 1), size, interpolation=cv2.INTER_AREA)
    small = np.asarray(reduced, np.float32).reshape(size[1], size[0], -1)
    rough = np.multiply(_ground(small.shape, horizon, room), _standing(small, rng, room))
    guide = np.clip(picture, 0, 1).mean(axis=2)
    return np.clip(_fitted(rough, small.mean(axis=2), guide), 0, 1)


def _ground(shape: tuple[int, ...], horizon: float, room: float) -> Plane:
    rows = (np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0]
    distance = NEAR / (np.maximum(rows - horizon, 0) + NEAR)
    distance += np.float32(room) * (1 - distance)
    return np.broadcast_to(distance[:, None], shape[:2]).astype(np.float32)


def _standing(small: Picture, rng: np.random.Generator, room: float) -> Plane:
    darkest = cv2.erode(small.min(axis=2), np.ones((7, 7)), borderType=cv2.BORDER_REFLECT)
    sky = (1 - room) / (1 + np.exp(-(darkest - SKY) / 0.06))
    relief = RELIEF + room * (RELIEF_IN_A_ROOM - RELIEF)
    things = 1 - relief * clouds(small.shape, rng)
    standing: Plane = (things + (1 - things) * sky).astype(np.float32)
    return standing


def _fitted(rough: Plane, small: Plane, guide: Plane) -> Plane:
    """Filter `rough` so that its edges are those of the guide, which `small` is reduced from."""
    side = max(1, max(small.shape) // 8)

    def mean(plane: Plane) -> Plane:
        smooth = cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT)
        return np.asarray(smooth, np.float32).reshape(small.shape)

    guide_mean, rough_mean = mean(small), mean(rough)
    slope = (mean(small * rough) - guide_mean * rough_mean) / (
        mean(small**2) - guide_mean**2 + 1e-3
    )
    offset = rough_mean - slope * guide_mean
    size = guide.shape[::-1]
    slope, offset = (
        cv2.resize(mean(plane), size, interpolation=cv2.INTER_LINEAR).reshape(guide.shape)
        for plane in (slope, offset)
    )
    return slope * guide + offset
