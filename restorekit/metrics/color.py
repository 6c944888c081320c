"""Colour difference as the eye sees it: CIEDE2000.

Sharma et al., "The CIEDE2000 Color-Difference Formula: Implementation Notes", 2005. Colours are
sRGB (IEC 61966-2-1) under daylight D65.
"""

import math

import torch
from torch import Tensor

from restorekit.metrics.full_reference import require_comparable

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)
FULL_TURN = 2 * math.pi
# 25 to the 7th: chroma where the correction of hue and grey axis sets in.
CHROMA = 25.0**7


def delta_e(restored: Tensor, reference: Tensor) -> Tensor:
    """Mean CIEDE2000 over the pixels: two (N, C, H, W) in [0, 1] to (N,); 1 is just visible.

    A grey picture counts as one with three equal channels.
    """
    require_comparable(restored, reference)
    a, b = (_lab(x.double().expand(-1, 3, -1, -1)) for x in (restored, reference))
    return _ciede2000(a, b).mean(dim=(1, 2))


def _lab(rgb: Tensor) -> Tensor:
    """Convert sRGB (N, 3, H, W) to CIE L*a*b*."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    matrix = (
        torch.tensor(RGB_TO_XYZ, dtype=rgb.dtype) / torch.tensor(WHITE, dtype=rgb.dtype)[:, None]
    )
    xyz = torch.einsum("kc,nchw->nkhw", matrix, linear)
    x, y, z = torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _ciede2000(one: Tensor, two: Tensor) -> Tensor:
    (l1, a1, b1), (l2, a2, b2) = one.unbind(1), two.unbind(1)
    chroma = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - _saturating(chroma))
    c1, h1 = _polar(a1 * stretch, b1)
    c2, h2 = _polar(a2 * stretch, b2)
    mean_c, mean_l = (c1 + c2) / 2, (l1 + l2) / 2
    turn, mean_h = _hues(h1, h2, grey=c1 * c2 == 0)
    lightness = (l2 - l1) / (1 + 0.015 * (mean_l - 50) ** 2 / (20 + (mean_l - 50) ** 2).sqrt())
    colour = (c2 - c1) / (1 + 0.045 * mean_c)
    hue = 2 * (c1 * c2).sqrt() * torch.sin(turn / 2) / (1 + 0.015 * mean_c * _hue_weight(mean_h))
    bend = torch.exp(-(((torch.rad2deg(mean_h) - 275) / 25) ** 2))
    rotation = -2 * _saturating(mean_c) * torch.sin(torch.deg2rad(60 * bend))
    return (lightness**2 + colour**2 + hue**2 + rotation * colour * hue).clamp(min=0).sqrt()


def _saturating(chroma: Tensor) -> Tensor:
    return (chroma**7 / (chroma**7 + CHROMA)).sqrt()


def _polar(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma and hue, the hue from 0 to a full turn."""
    return torch.hypot(a, b), torch.atan2(b, a) % FULL_TURN


def _hues(h1: Tensor, h2: Tensor, grey: Tensor) -> tuple[Tensor, Tensor]:
    """The way from one hue to the other and the hue half-way, on the shorter side of the circle."""
    turn, total = h2 - h1, h1 + h2
    far = turn.abs() > math.pi
    mean = (
        torch.where(far, total + torch.where(total < FULL_TURN, FULL_TURN, -FULL_TURN), total) / 2
    )
    turn = torch.where(far, turn - FULL_TURN * turn.sign(), turn)
    return turn.masked_fill(grey, 0), torch.where(grey, total, mean)


def _hue_weight(h: Tensor) -> Tensor:
    return (
        1
        - 0.17 * torch.cos(h - math.radians(30))
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + math.radians(6))
        - 0.20 * torch.cos(4 * h - math.radians(63))
    )
