"""Paired regression, deeply supervised where the net restores at several scales."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from restorekit.training.losses import LossName, weighted
from restorekit.training.objectives import Batch, Phase


class Paired:
    """Sum of the weighted losses over all scales that the net returns.

    The reference of a smaller scale is the bilinear half, not antialiased, as SFNet trains
    (Cui et al., ICLR 2023).
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Optimizer,
        weights: Mapping[LossName, float],
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.net = net
        self.optimizers = {"net": optimizer}
        self._weights = weights
        self._autocast = autocast

    def step(self, batch: Batch) -> Iterator[Phase]:
        """Yield the one phase."""
        with self._autocast():
            outputs = self.net(batch.degraded)
        scales: Sequence[Tensor] = [outputs] if isinstance(outputs, Tensor) else outputs
        losses: dict[str, Tensor] = {}
        for restored in scales:
            reference = _resized(batch.reference, restored)
            for name, loss in weighted(self._weights, restored.float(), reference).items():
                losses[name] = losses[name] + loss if name in losses else loss
        yield Phase(self.optimizers["net"], losses)


def _resized(reference: Tensor, like: Tensor) -> Tensor:
    if reference.shape[-2:] == like.shape[-2:]:
        return reference
    return F.interpolate(reference, size=like.shape[-2:], mode="bilinear", align_corners=False)
