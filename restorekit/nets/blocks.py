"""What several nets share."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor


def convolutions(state: Mapping[str, Tensor]) -> list[Tensor]:
    """List the weights of the convolutions in a state dict with keys as "name.index.weight"."""
    weights = {key: value for key, value in state.items() if value.ndim == 4}
    # Safetensors files sort their keys, and 10 comes before 2.
    return [weights[key] for key in sorted(weights, key=lambda key: int(key.split(".")[1]))]


def check_size(net: str, x: Tensor, multiple: int, minimum: int = 1) -> None:
    """Raise ValueError unless height and width of (N, C, H, W) fit the net.

    They must be multiples of `multiple` and no less than `minimum`.
    """
    height, width = x.shape[-2:]
    if height % multiple or width % multiple or min(height, width) < minimum:
        least = f" and at least {minimum}" if minimum > multiple else ""
        raise ValueError(
            f"{net} takes heights and widths that are multiples of {multiple}{least}, "
            f"got {height}x{width}"
        )


def enlarge(x: Tensor, scale: int) -> Tensor:
    """Enlarge by bicubic interpolation with the kernel that MATLAB and Pillow have."""
    # Without antialias, torch's kernel is another one, OpenCV's.
    return F.interpolate(x, scale_factor=float(scale), mode="bicubic", antialias=True)
