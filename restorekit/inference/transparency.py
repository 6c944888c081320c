"""What a picture's transparency asks of its restoration."""

import cv2
import numpy as np

from restorekit.types import Pixels


def fill_hidden(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Give fully transparent pixels the colour of the nearest visible one.

    What hides there, most often black, would else bleed into the visible border.
    """
    hidden = np.zeros(pixels.shape[:2], bool) if alpha is None else alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(labels.max() + 1, np.intp)
    nearest[labels[~hidden]] = np.flatnonzero(~hidden)
    filled = pixels.copy()
    filled[hidden] = pixels.reshape(-1, pixels.shape[2])[nearest[labels[hidden]]]
    return filled


def enlarge(alpha: Pixels | None, scale: int) -> Pixels | None:
    """Enlarge an alpha channel; at scale 1 it is returned as it is."""
    if alpha is None or scale == 1:
        return alpha
    size = (alpha.shape[1] * scale, alpha.shape[0] * scale)
    large = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 1) if alpha.dtype == np.float32 else large
