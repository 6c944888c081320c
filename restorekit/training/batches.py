"""Batches that are a function of (seed, step, index), whatever the number of workers."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restorekit.errors import DataError, PictureError
from restorekit.training.distributed import Group
from restorekit.training.objectives import Batch
from restorekit.training.order import Draw, Order
from restorekit.training.sources import Crop, Example, Source

Broken = PictureError | DataError


@dataclass(frozen=True)
class Examples(Dataset[Example | Broken]):
    """The examples of a run by their draws."""

    source: Source
    order: Order

    def __getitem__(self, draw: Draw) -> Example | Broken:
        """Return the example, or why there is none: raised in a worker, it loses its message."""
        try:
            return self.example(draw)
        except (PictureError, DataError) as error:
            return error

    def example(self, draw: Draw) -> Example:
        """Make the example; raises PictureError or DataError."""
        example = self.source.random(self.order.seed, draw)
        mix = self.order.mix(draw)
        if mix is None or mix.other == draw:
            return example
        degraded, reference = self.source.random(self.order.seed, mix.other)
        kept, rest = np.float32(mix.kept), np.float32(1 - mix.kept)
        return kept * example[0] + rest * degraded, kept * example[1] + rest * reference


@dataclass(frozen=True)
class Shares:
    """The draws of one process, step by step."""

    order: Order
    steps: range
    group: Group

    def __iter__(self) -> Iterator[list[Draw]]:
        """Go through the steps."""
        return (self.order.draws(step, self.group) for step in self.steps)


def batches(
    source: Source, order: Order, steps: range, group: Group | None = None
) -> Iterator[Batch]:
    """Yield the batches of the steps, prepared ahead by `data.workers` processes.

    Of a run of several processes only the group's own share. Raises PictureError or DataError for
    a picture that broke since the run began.
    """
    workers = order.data.workers
    loader = DataLoader(
        Examples(source, order),
        batch_sampler=Shares(order, steps, group or Group()),
        num_workers=workers,
        collate_fn=_collate_or_tell,
        worker_init_fn=_prepare_worker,
        # Its own, for opening a loader draws a number, and a resumed run opens one more.
        generator=torch.Generator(),
        prefetch_factor=4 if workers else None,
    )
    for batch in loader:
        if isinstance(batch, Broken):
            raise batch
        yield batch


def _collate_or_tell(examples: Sequence[Example | Broken]) -> Batch | Broken:
    broken = (example for example in examples if isinstance(example, Broken))
    return next(broken, None) or collate([e for e in examples if not isinstance(e, Broken)])


def collate(examples: Sequence[Example]) -> Batch:
    """Stack examples into (N, C, H, W) tensors."""
    degraded, reference = zip(*examples, strict=True)
    return Batch(_stacked(degraded), _stacked(reference))


def _stacked(crops: Sequence[Crop]) -> Tensor:
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def _prepare_worker(_worker: int) -> None:
    # Ctrl-C reaches every process of the terminal; the trainer alone decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
