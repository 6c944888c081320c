"""What nets have in common that look at the whole picture made small before they restore a part."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 128
MULTIPLE = 8
"""Of what both sides of the small picture are, for U-Nets of four scales."""

Part = tuple[float, float]
"""Where a part of a picture begins and ends, as fractions of the picture's height or width."""
WHOLE: Part = (0.0, 1.0)


class Overview(ABC):
    """First looks at a reduced copy of the picture, then restores its pixels by what was seen.

    A net with `side`, a buffer of one number: the longer side of the small picture in pixels.
    """

    side: Tensor

    @abstractmethod
    def overview(self, small: Tensor) -> Tensor:
        """Look at the small picture (N, 3, h, w); return planes (N, P, h', w') of what was seen."""

    @abstractmethod
    def follow(self, x: Tensor, seen: Tensor) -> Tensor:
        """Restore pixels (N, 3, H, W) by the planes (N, P, H, W) that were spread over them."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to the same shape."""
        small = F.adaptive_avg_pool2d(x, self.reduced_size(*x.shape[-2:]))
        return self.follow(x, self.spread(self.overview(small), x.shape[-2:]))

    def reduced_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the small picture: multiples of 8, the longer one about `side`."""
        shrink = max(1.0, max(height, width) / float(self.side))
        rows, columns = (
            max(MULTIPLE, round(length / shrink / MULTIPLE) * MULTIPLE)
            for length in (height, width)
        )
        return rows, columns

    @staticmethod
    def spread(
        seen: Tensor, size: Sequence[int], rows: Part = WHOLE, columns: Part = WHOLE
    ) -> Tensor:
        """Interpolate planes to the (H, W) pixels of a part of the picture."""
        down, right = (
            _centres(part, count).to(seen.device)
            for part, count in zip((rows, columns), size, strict=True)
        )
        grid = torch.stack(torch.meshgrid(right, down, indexing="xy"), -1)
        grid = grid.expand(len(seen), -1, -1, -1).to(seen.dtype)
        return F.grid_sample(seen, grid, padding_mode="border", align_corners=False)


def side_buffer(side: int) -> Tensor:
    """Make the buffer, so that a bare state dict tells it; raises ValueError below 8."""
    if side < MULTIPLE:
        raise ValueError(f"the small picture has {MULTIPLE} pixels a side or more, not {side}")
    return torch.full((1,), float(side))


def _centres(part: Part, count: int) -> Tensor:
    """Where the centres of pixels lie between the borders of the picture, at -1 and 1."""
    start, end = part
    centres = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return 2 * (start + (end - start) * centres) - 1
