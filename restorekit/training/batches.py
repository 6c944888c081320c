"""Batches that are a function of (seed, step, index), whatever the number of workers."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restorekit.data.crops import (
    PictureCache,
    centre_crop,
    random_crop,
    require_side,
    sharpness,
)
from restorekit.data.pairs import Pair, find_pairs
from restorekit.data.structures import draw_structure
from restorekit.degradations.base import to_picture
from restorekit.degradations.recipe import Recipe, apply_chain, generator
from restorekit.degradations.recipe import load_recipe as load_degradation
from restorekit.errors import DataError, UsageError
from restorekit.media.paths import collect
from restorekit.training.config import DataRecipe
from restorekit.training.objectives import Batch
from restorekit.types import Pixels

Crop = NDArray[np.float32]
"""(H, W, 3) in [0, 1]; a degraded one may lie outside."""
Example: TypeAlias = tuple[Crop, Crop]
"""Degraded and reference."""
Item = TypeVar("Item")
Key = tuple[str | int, ...]
"""What names an example: ("train", step, index) or ("validate", picture)."""


class Source(Protocol):
    """Where examples come from."""

    def random(self, seed: int, key: Key) -> Example:
        """Return the training example of that name."""
        ...

    def held_out(self, seed: int) -> Iterator[Example]:
        """Return the validation examples, always the same."""
        ...


class CleanPhotos:
    """Clean photographs, degraded on the fly."""

    def __init__(self, files: Sequence[Path], data: DataRecipe, recipe: Recipe) -> None:
        self._train, self._validate = _split(files, data)
        self._data, self._recipe = data, recipe
        self._cache = PictureCache()
        for file in self._train:
            require_side(file, self._cache.read(file), data.patch)

    def random(self, seed: int, key: Key) -> Example:
        """Crop a random photo and degrade the crop."""
        rng = generator(seed, *key, "crop")
        crops = [self._crop(rng) for _ in range(self._data.candidates)]
        return self._degraded(self._reference(max(crops, key=sharpness), seed, key), seed, key)

    def held_out(self, seed: int) -> Iterator[Example]:
        """Degrade the centres of the held-out photos."""
        for file in self._validate:
            crop = centre_crop(self._cache.read(file), self._data.validation_patch)
            yield self._degraded(to_picture(crop), seed, ("validate", file.name))

    def _crop(self, rng: np.random.Generator) -> Pixels:
        photo = self._cache.read(self._train[int(rng.integers(len(self._train)))])
        return random_crop([photo], self._data.patch, rng)[0]

    def _reference(self, crop: Pixels, seed: int, key: Key) -> Crop:
        if self._data.structures:
            rng = generator(seed, *key, "structure")
            if rng.random() < self._data.structures:
                crop = draw_structure(crop, rng)
        return to_picture(crop)

    def _degraded(self, reference: Crop, seed: int, key: Key) -> Example:
        chain = self._recipe.draw(seed, *key)
        return apply_chain(reference, chain, seed, *key), reference


class PairFolder:
    """Pictures that exist degraded and as reference."""

    def __init__(self, pairs: Sequence[Pair], data: DataRecipe) -> None:
        self._train, self._validate = _split(pairs, data)
        self._data = data
        self._cache = PictureCache()
        for pair in self._train:
            for pixels in self._read(pair):
                require_side(pair.degraded, pixels, data.patch)

    def random(self, seed: int, key: Key) -> Example:
        """Crop a random pair."""
        rng = generator(seed, *key, "crop")
        pair = self._train[int(rng.integers(len(self._train)))]
        degraded, reference = random_crop(self._read(pair), self._data.patch, rng)
        return to_picture(degraded), to_picture(reference)

    def held_out(self, seed: int) -> Iterator[Example]:
        """Return the centres of the held-out pairs."""
        for pair in self._validate:
            degraded, reference = (
                to_picture(centre_crop(p, self._data.validation_patch)) for p in self._read(pair)
            )
            yield degraded, reference

    def _read(self, pair: Pair) -> list[Pixels]:
        return [self._cache.read(pair.degraded), self._cache.read(pair.reference)]


def open_source(data: DataRecipe) -> Source:
    """Open and check what a recipe names; raises UsageError or DataError before any step."""
    if data.pairs is not None:
        return PairFolder(find_pairs(data.pairs), data)
    if data.photos is None or data.degradation is None:
        raise UsageError(
            "the recipe names no training pictures; "
            "add --set data.photos=DIR (clean photos) or --set data.pairs=DIR"
        )
    files = [source.path for source in collect([data.photos], recursive=True)]
    return CleanPhotos(files, data, load_degradation(data.degradation))


class Examples(Dataset[Example]):
    """Example number `step * batch + index` of an endless run."""

    def __init__(self, source: Source, seed: int, batch: int) -> None:
        self._source, self._seed, self._batch = source, seed, batch

    def __getitem__(self, number: int) -> Example:
        """Make the example."""
        step, index = divmod(number, self._batch)
        return self._source.random(self._seed, ("train", step, index))


def batches(source: Source, data: DataRecipe, seed: int, steps: range) -> Iterator[Batch]:
    """Yield the batches of the steps, prepared ahead by `data.workers` processes."""
    loader = DataLoader(
        Examples(source, seed, data.batch),
        batch_size=data.batch,
        sampler=range(steps.start * data.batch, steps.stop * data.batch),
        num_workers=data.workers,
        collate_fn=collate,
        worker_init_fn=_prepare_worker,
        # Its own, for opening a loader draws a number, and a resumed run opens one more.
        generator=torch.Generator(),
        prefetch_factor=4 if data.workers else None,
    )
    return iter(loader)


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


def _split(items: Sequence[Item], data: DataRecipe) -> tuple[Sequence[Item], Sequence[Item]]:
    if len(items) <= data.hold_out:
        raise DataError(
            f"{len(items)} pictures are too few: {data.hold_out} are held out for validation "
            "(data.hold_out) and at least one has to be left to train on"
        )
    return items[: -data.hold_out], items[-data.hold_out :]
