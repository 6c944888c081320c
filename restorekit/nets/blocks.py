"""What several nets share."""

from collections.abc import Mapping

from torch import Tensor


def convolutions(state: Mapping[str, Tensor]) -> list[Tensor]:
    """List the weights of the convolutions in a state dict with keys as "name.index.weight"."""
    weights = {key: value for key, value in state.items() if value.ndim == 4}
    # Safetensors files sort their keys, and 10 comes before 2.
    return [weights[key] for key in sorted(weights, key=lambda key: int(key.split(".")[1]))]


def check_size(net: str, x: Tensor, multiple: int) -> None:
    """Raise ValueError unless height and width of (N, C, H, W) are multiples of `multiple`."""
    height, width = x.shape[-2:]
    if height % multiple or width % multiple:
        raise ValueError(
            f"{net} takes heights and widths that are multiples of {multiple}, got {height}x{width}"
        )
