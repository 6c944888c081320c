"""How good a net is on the held-out pictures."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.backends.base import Backend
from restorekit.backends.registry import default_registry
from restorekit.media.image import write_image
from restorekit.metrics.full_reference import ssim
from restorekit.ops.pad import pad_to_multiple
from restorekit.training.batches import collate
from restorekit.training.objectives import Batch
from restorekit.training.sources import Source
from restorekit.types import Image

HIGHEST_PSNR = 50.0
"""In dB; a crop nearer to its reference counts so, as one does that came undegraded."""
SSIM_SIDE = 11
"""Smaller crops have no SSIM."""
SHOWN = 4
"""So many crops make the picture of a validation ..."""
SHOWN_SIDE = 128
"""... of so many pixels at most."""
Strip = NDArray[np.uint8]


class Held:
    """The numbers of a validation, crop by crop, and the first crops as a picture."""

    def __init__(self) -> None:
        self._errors: list[Tensor] = []
        self._similarities: list[Tensor] = []
        self._strips: list[Strip] = []

    def add(self, restored: Tensor, batch: Batch) -> None:
        """Take in one crop, (1, C, H, W)."""
        degraded = batch.degraded[:, : restored.shape[1]]
        if degraded.shape != restored.shape:
            degraded = F.interpolate(degraded, size=restored.shape[-2:], mode="bicubic")
        pictures = torch.cat([restored, degraded]).clamp(0, 1)
        self._errors.append((pictures - batch.reference).square().mean((1, 2, 3)))
        if min(pictures.shape[-2:]) >= SSIM_SIDE:
            self._similarities.append(ssim(pictures, batch.reference.expand_as(pictures)))
        if len(self._strips) < SHOWN:
            self._strips.append(_strip([pictures[1:], pictures[:1], batch.reference.clamp(0, 1)]))

    def values(self) -> dict[str, float]:
        """Mean values, of the restored crops and of the degraded ones."""
        each = -10 * torch.stack(self._errors).log10()
        psnr = each.clamp(max=HIGHEST_PSNR).mean(0)
        values = {"psnr": float(psnr[0]), "degraded_psnr": float(psnr[1])}
        if self._similarities:
            similarity = torch.stack(self._similarities).mean(0)
            values |= {"ssim": float(similarity[0]), "degraded_ssim": float(similarity[1])}
        return values

    def draw(self, path: Path) -> None:
        """Write the first crops, one a row: degraded, restored, reference."""
        width = max(strip.shape[1] for strip in self._strips)
        rows = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0))) for s in self._strips]
        write_image(path, Image(np.concatenate(rows)))


def hold(net: nn.Module, source: Source, seed: int, device: torch.device, backend: str) -> Held:
    """Restore the held-out crops: `psnr` and `ssim`, and `degraded_psnr` and so on as they came.

    They are means over the crops. Some may come undegraded, and PSNR has an upper bound therefore.
    """
    known = default_registry().get(backend)
    net.eval()
    held = Held()
    with torch.inference_mode():
        for example in source.held_out(seed):
            batch = collate([example])
            batch = Batch(batch.degraded.to(device), batch.reference.to(device))
            held.add(_restored(net, known, batch), batch)
    return held


def _restored(net: nn.Module, backend: Backend, batch: Batch) -> Tensor:
    able = backend.capabilities
    padded, _ = pad_to_multiple(batch.degraded, able.multiple, able.minimum)
    outputs = net(padded.contiguous(memory_format=torch.channels_last))
    height, width = batch.reference.shape[-2:]
    return picture(outputs, backend)[..., :height, :width]


def picture(outputs: Any, backend: Backend) -> Tensor:  # noqa: ANN401
    """Choose the restored picture out of what a net returns."""
    index = {"tensor": ..., "first": 0, "last": -1}[backend.result]
    chosen: Tensor = outputs[index]
    return chosen


def _strip(pictures: Iterable[Tensor]) -> Strip:
    shown = [_middle(_middle(p, 2), 3) for p in pictures]
    row = torch.cat(shown, dim=3)[0].permute(1, 2, 0)
    samples: Strip = (row * 255).round().to(torch.uint8).cpu().numpy()
    return samples


def _middle(x: Tensor, dim: int) -> Tensor:
    side = min(x.shape[dim], SHOWN_SIDE)
    return x.narrow(dim, (x.shape[dim] - side) // 2, side)
