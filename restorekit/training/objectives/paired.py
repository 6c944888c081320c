"""Paired regression, deeply supervised where the net restores at several scales."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from restorekit.nets.deepdeblur import bicubic_pyramid
from restorekit.training.losses import Loss
from restorekit.training.objectives import Batch, Phase


class Paired:
    """Sum of the losses over all scales that the net returns.

    The reference of a smaller scale is the bilinear half, not antialiased, as SFNet trains (Cui et
    al., ICLR 2023), or MATLAB's bicubic one, as in DeepDeblur (Nah et al., CVPR 2017).
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Optimizer,
        losses: Mapping[str, Loss],
        autocast: Callable[[], AbstractContextManager[object]],
        scales: Literal["bilinear", "bicubic"] = "bilinear",
    ) -> None:
        self.net = net
        self.others: Mapping[str, nn.Module] = {}
        self.optimizers = {"net": optimizer}
        self._losses = losses
        self._autocast = autocast
        self._resize = {"bilinear": _bilinear, "bicubic": _bicubic}[scales]

    def step(self, batch: Batch) -> Iterator[Phase]:
        """Yield the one phase."""
        losses = self.compare(self.restore(batch.degraded), batch)
        yield Phase(self.optimizers["net"], losses)

    def restore(self, degraded: Tensor) -> Sequence[Tensor]:
        """Restore at all scales of the net."""
        with self._autocast():
            outputs = self.net(degraded)
        return [outputs] if isinstance(outputs, Tensor) else outputs

    def compare(self, scales: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """Sum each loss over the scales."""
        losses: dict[str, Tensor] = {}
        for restored in scales:
            wanted = self._resize(batch.reference, restored)
            for name, judge in self._losses.items():
                loss = judge(restored.float(), wanted, batch.degraded)
                losses[name] = losses[name] + loss if name in losses else loss
        return losses


def _bilinear(reference: Tensor, like: Tensor) -> Tensor:
    if reference.shape[-2:] == like.shape[-2:]:
        return reference
    return F.interpolate(reference, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _bicubic(reference: Tensor, like: Tensor) -> Tensor:
    halvings = (reference.shape[-1] // like.shape[-1]).bit_length() - 1
    return bicubic_pyramid(reference, halvings)[-1] if halvings else reference
