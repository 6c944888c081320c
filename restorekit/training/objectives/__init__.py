"""What a run optimises: each objective is one strategy of the one loop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Batch:
    """Crops of one step, float32 (N, C, H, W)."""

    degraded: Tensor
    reference: Tensor

    def parts(self, count: int) -> Iterator["Batch"]:
        """Divide the batch into so many smaller ones."""
        pairs = zip(self.degraded.chunk(count), self.reference.chunk(count), strict=True)
        return (Batch(degraded, reference) for degraded, reference in pairs)


@dataclass(frozen=True)
class Phase:
    """One backward pass: the losses to sum and the optimiser that then steps.

    The gradient reaches the parameters of this optimiser alone.
    """

    optimizer: Optimizer
    losses: Mapping[str, Tensor]


class Objective(Protocol):
    """A training strategy.

    `step` yields its phases one after another; the loop takes each backward and steps its
    optimiser before it asks for the next, so a discriminator finds the generator already updated.
    """

    @property
    def net(self) -> nn.Module:
        """The net that is averaged, validated and shipped."""
        ...

    @property
    def others(self) -> Mapping[str, nn.Module]:
        """Further modules whose state has to survive, by name: discriminators, memories."""
        ...

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """The optimisers whose state has to survive, by name."""
        ...

    def step(self, batch: Batch) -> Iterator[Phase]:
        """Yield the phases of one step."""
        ...
