"""PatchGAN: a discriminator that scores every 70x70 patch of a picture as real or made.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017, section
6.1.2: C64-C128-C256-C512 and one more convolution. It sees the picture alone, without the condition
of the paper, for a degraded picture may be of another size.

The paper's batch norm, at its batch of one, is an instance norm; taken as that, the score of a
picture does not depend on the others of its batch.
"""

import torch
from torch import Tensor, nn

KERNEL, SLOPE, SPREAD = 4, 0.2, 0.02
SMALLEST = 24
"""Shortest side of a picture that has a score."""


class PatchGAN(nn.Module):
    """Four convolutions of `width` to 8 * `width` channels, three of them of stride 2."""

    def __init__(self, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width, KERNEL, 2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            *_normed(width, 2 * width, stride=2),
            *_normed(2 * width, 4 * width, stride=2),
            *_normed(4 * width, 8 * width, stride=1),
            nn.Conv2d(8 * width, 1, KERNEL, padding=1),
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) in [0, 1] to logits (N, 1, H // 8 - 2, W // 8 - 2).

        H and W are at least `SMALLEST`.
        """
        scores: Tensor = self.layers(2 * x - 1)
        return scores


def _normed(inner: int, outer: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inner, outer, KERNEL, stride, padding=1, bias=False),
        nn.InstanceNorm2d(outer, affine=True),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Draw the kernels as the paper does."""
    if isinstance(module, nn.Conv2d):
        module.weight.normal_(0, SPREAD)
        if module.bias is not None:
            module.bias.zero_()
