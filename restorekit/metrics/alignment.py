"""Lay a restored picture over its reference before they are compared: the rule of RealBlur.

Rim et al., "Real-World Blur Dataset for Learning and Benchmarking Deblurring Algorithms", 2020:
sharp and blurred picture come from two cameras, so that brightness and place differ a little, and a
net that deblurs perfectly would be punished for it.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from restorekit.errors import DataError
from restorekit.metrics.full_reference import require_comparable

ITERATIONS = 100
BLUR = 5
"""Side of the Gaussian window that ECC smooths both pictures with, in pixels."""


def align(restored: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scale the brightness of one picture and warp it: (1, C, H, W) each in [0, 1].

    Returns the aligned picture, the reference and a mask (1, 1, H, W); both pictures are black
    where the mask is 0, which is where the aligned one does not reach. Raises DataError when the
    pictures have too little in common.
    """
    require_comparable(restored, reference)
    a, b = (_pixels(x) for x in (restored, reference))
    a = a * (a * b).sum() / max((a * a).sum(), np.finfo(np.float32).tiny)
    homography = _homography(a, b)
    size = (b.shape[1], b.shape[0])
    how = cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        a, homography, size, flags=cv2.INTER_CUBIC | how, borderMode=cv2.BORDER_REFLECT
    )
    inside = cv2.warpPerspective(
        np.ones(b.shape[:2], np.float32), homography, size, flags=cv2.INTER_NEAREST | how
    )
    mask = torch.from_numpy(inside)[None, None].double()
    return _tensor(warped) * mask, reference.double().cpu() * mask, mask


def _homography(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, 0)
    start = np.eye(3, dtype=np.float32)
    try:
        # OpenCV's stubs do not know that the mask may be missing.
        _, found = cv2.findTransformECC(  # type: ignore[call-overload]
            _gray(b), _gray(a), start, cv2.MOTION_HOMOGRAPHY, stop, None, BLUR
        )
    except cv2.error as error:
        raise DataError(
            "the picture cannot be aligned with its reference: they have too little in common "
            f"({error.err}); check the pair, or choose a protocol without alignment"
        ) from None
    return found


def _gray(x: np.ndarray) -> np.ndarray:
    return x if x.ndim == 2 else cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)


def _pixels(x: Tensor) -> np.ndarray:
    """Turn (1, C, H, W) into (H, W, 3), or (H, W) for one channel, float32."""
    planes = x[0].permute(1, 2, 0).float().cpu().numpy()
    return np.ascontiguousarray(planes[..., 0] if planes.shape[2] == 1 else planes)


def _tensor(pixels: np.ndarray) -> Tensor:
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(planes).permute(2, 0, 1)[None].double()
