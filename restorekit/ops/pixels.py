"""Between a picture's samples and tensors: (H, W, C) of any depth, and (1, C, H, W) in [0, 1]."""

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from restorekit.types import Pixels


def to_tensor(pixels: Pixels) -> Tensor:
    """Copy (H, W, C) samples into a float32 tensor (1, C, H, W); integers are scaled to [0, 1]."""
    planes = np.array(np.moveaxis(pixels, 2, 0), dtype=np.float32, order="C")
    if np.issubdtype(pixels.dtype, np.integer):
        planes /= np.iinfo(pixels.dtype).max
    return torch.from_numpy(planes)[None]


def to_pixels(tensor: Tensor, like: DTypeLike) -> Pixels:
    """Turn (1, C, H, W) or (C, H, W) into (H, W, C) samples of a dtype.

    Values are clipped to [0, 1]; uint8 and uint16 are rounded, a half up.
    """
    planes = tensor.detach().reshape(tensor.shape[-3:]).to("cpu", torch.float32).clamp(0, 1)
    dtype = np.dtype(like)
    if np.issubdtype(dtype, np.integer):
        planes.mul_(np.iinfo(dtype).max).add_(0.5)
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy(), dtype=dtype)
