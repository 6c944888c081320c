"""Other colours for training references: what few photographs have, a net should know, too.

Rain on a yellow petal adds most to the blue, for red is at its limit; a net that hardly saw strong
colours takes as much from every channel, and leaves grey lines.
"""

import numpy as np

from restorekit.types import Pixels

_LEAST, _MOST = 0.5, 3.0


def vary_colours(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return whole-numbered samples (H, W, C) with the channels exchanged and other saturation.

    What a channel differs by from the mean of all is multiplied by 0.5 to 3, and clipped. Grey
    pictures stay as they are.
    """
    exchanged = pixels[..., rng.permutation(pixels.shape[2])].astype(np.float32)
    grey = exchanged.mean(2, keepdims=True)
    factor = np.exp(rng.uniform(np.log(_LEAST), np.log(_MOST)))
    varied = grey + np.float32(factor) * (exchanged - grey)
    return np.rint(varied.clip(0, np.iinfo(pixels.dtype).max)).astype(pixels.dtype)
