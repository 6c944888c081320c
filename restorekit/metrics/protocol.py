"""What a protocol is: everything that moves a number besides the pictures and the model."""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise that a protocol adds to clean pictures; never clipped nor rounded."""

    sigma: float
    """Standard deviation in 8-bit levels."""
    seed: int = 0
    by_name: bool = False
    """Noise of its own for each picture's name. Otherwise the generator restarts with `seed` at
    each picture, so that pictures of one size get the same noise: the rule of the papers."""

    def add(self, picture: Tensor, name: str) -> Tensor:
        """Return (1, C, H, W) plus noise drawn in the order height, width, channel."""
        _, channels, height, width = picture.shape
        drawn = self._generator(name).normal(0, self.sigma / 255, (height, width, channels))
        return picture + torch.from_numpy(drawn).permute(2, 0, 1).to(picture)

    def _generator(self, name: str) -> np.random.RandomState | np.random.Generator:
        if self.by_name:
            return np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        return np.random.RandomState(self.seed)


@dataclass(frozen=True)
class Window:
    """Over what the net of a paper averaged in its published test, where it was not the picture.

    A window of `fraction` 256ths of the height and the width, either of the first picture of the
    set, padded, for the pictures of all sizes that follow, or of the crops of its training.
    """

    backend: str
    fraction: int
    of: Literal["first picture", "crop"] = "first picture"


Quantise = Literal["none", "round", "truncate"]
Space = Literal["rgb", "y-float", "y-matlab", "y-full"]
Padding = Literal["reflect", "edge"]
Statistics = Literal["usual", "global"]


@dataclass(frozen=True)
class Protocol:
    """How a number is made: how the model runs, what happens to the pictures, what is computed."""

    id: str
    description: str
    source: str
    space: Space = "rgb"
    """RGB, MATLAB's Y unrounded or rounded to 8 bits, or full-range luma rounded to 8 bits."""
    quantise: Quantise = "round"
    """What becomes of samples between two 8-bit levels; they are clipped to [0, 1] in any case."""
    crop_border: int = 0
    """Pixels left out on each side."""
    crop_multiple: int = 1
    """Both sides are cut at the right and the bottom to a multiple of this."""
    ssim: str = "gaussian-valid"
    """Key of `SSIM_VARIANTS`."""
    metrics: tuple[str, ...] = ("psnr", "ssim")
    """Keys of `METRICS`; the first one says which pictures were made worse."""
    noise: Noise | None = None
    """Added to clean pictures to make the degraded ones; None for sets of pairs."""
    scale: int = 1
    """How many times larger the reference is: the scale of super-resolution."""
    align: bool = False
    """The restored picture is first laid over its reference, as RealBlur's authors do."""
    tile: int | None = None
    """The longest side of a tile in pixels; 0 is the whole picture, None goes by free memory."""
    overlap: int | None = None
    """Pixels that neighbouring tiles share; None is enough for the net."""
    padding: Padding = "reflect"
    """How pictures are continued at the right and the bottom to the sizes that the net takes."""
    statistics: Statistics = "usual"
    """Over what nets average that average over pictures: over windows of the size of their
    training crops, which is usual here, or over the whole picture, as most papers do."""
    windows: tuple[Window, ...] = ()
    """The nets that averaged over something else in this table."""
