"""Padding to the sizes that a net takes."""

import torch
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int, minimum: int = 1) -> tuple[Tensor, tuple[int, int]]:
    """Reflect (..., H, W) at the right and the bottom until both are multiples and large enough.

    Returns the padded tensor, or `x` itself where nothing is to do, and the (H, W) to crop to.
    The reflection repeats where the picture is smaller than the padding; one pixel is replicated.
    """
    height, width = x.shape[-2:]
    for dim, size in ((-2, height), (-1, width)):
        target = -(-max(size, minimum) // multiple) * multiple
        if target != size:
            x = x.index_select(dim, _reflected(size, target, x.device))
    return x, (height, width)


def _reflected(size: int, target: int, device: torch.device) -> Tensor:
    """Indices 0 1 2 .. size-1 size-2 .. 1 0 1 .., `target` of them."""
    period = max(2 * (size - 1), 1)
    index = torch.arange(target, device=device) % period
    return torch.minimum(index, period - index) if size > 1 else index
