"""OpenCV as a decoder and encoder of deep samples, with red and blue where we have them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.media.formats import FormatError


def decode_unchanged(data: bytes) -> NDArray[Any]:
    """Decode to (H, W), (H, W, 3) RGB or (H, W, 4) RGBA at the file's own depth.

    Raises:
        FormatError: OpenCV finds no picture.
    """
    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FormatError(_reason(error)) from error
    if samples is None:
        raise FormatError("has damaged samples; copy or export the file again")
    return _swapped(samples)


def encode_png(samples: NDArray[Any]) -> bytes:
    """Encode (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA of 8 or 16 bits."""
    _, encoded = cv2.imencode(".png", _swapped(samples))
    return encoded.tobytes()


def _swapped(samples: NDArray[Any]) -> NDArray[Any]:
    """Exchange red and blue."""
    if samples.ndim == 2 or samples.shape[2] == 1:
        return samples
    return np.ascontiguousarray(samples[..., [2, 1, 0, 3][: samples.shape[2]]])


def _reason(error: cv2.error) -> str:
    if "CV_IO_MAX_IMAGE_PIXELS" in str(error):
        return "has more pixels than OpenCV decodes; set OPENCV_IO_MAX_IMAGE_PIXELS too"
    return "has damaged samples; copy or export the file again"
