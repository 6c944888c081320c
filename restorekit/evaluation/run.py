"""Measure models on pairs of pictures, one protocol at a time."""

import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from restorekit.backends.hub import find_checkpoint
from restorekit.backends.model import load_model
from restorekit.data.catalog import DATASETS, Dataset, find_dataset
from restorekit.data.pairs import Pair, check_sizes, clean_pictures, find_pairs
from restorekit.errors import DataError, RestorekitError, UnknownNameError, UsageError
from restorekit.events import Event, FileFailed, Finished, PairMeasured, Started
from restorekit.inference.pipeline import Restorer
from restorekit.media.image import read_image, write_image
from restorekit.metrics.protocols import METRICS, Protocol, get_protocol, measure
from restorekit.ops.pixels import to_pixels, to_tensor
from restorekit.types import Image, Task

Restore = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PairResult:
    """The metrics of one pair, for the degraded and for the restored picture."""

    name: str
    pixels: int
    degraded: Mapping[str, float]
    restored: Mapping[str, float]
    seconds: float
    """Time of the restoration alone, without reading, measuring and saving."""


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on a set in a protocol; means are over pictures."""

    model: str
    dataset: str
    protocol: Protocol
    pairs: tuple[PairResult, ...]
    failed: tuple[FileFailed, ...] = ()
    whole: int = 0
    """How many pairs the complete set has; 0 where that is not known."""

    def mean(self, metric: str) -> float:
        """Mean of a metric over the restored pictures."""
        return statistics.fmean(pair.restored[metric] for pair in self.pairs)

    def degraded_mean(self, metric: str) -> float:
        """Mean of a metric over the degraded pictures."""
        return statistics.fmean(pair.degraded[metric] for pair in self.pairs)

    @property
    def losses(self) -> list[float]:
        """How much each restored picture is worse than its degraded one; negative where better.

        In the unit of the protocol's first metric.
        """
        metric = METRICS[self.protocol.metrics[0]]
        sign = 1 if metric.higher_is_better else -1
        return [
            sign * (pair.degraded[metric.name] - pair.restored[metric.name])
            if pair.degraded[metric.name] != pair.restored[metric.name]
            else 0.0
            for pair in self.pairs
        ]

    @property
    def made_worse(self) -> int:
        """How many restored pictures are worse than their degraded ones."""
        return sum(loss > 0 for loss in self.losses)

    @property
    def seconds_per_megapixel(self) -> float:
        """Time of the restorations divided by the pixels of the references."""
        return sum(p.seconds for p in self.pairs) / sum(p.pixels for p in self.pairs) * 1e6


def evaluate(
    pairs: Sequence[Pair],
    restore: Restore,
    protocol: Protocol,
    *,
    model: str = "restored",
    dataset: str = "pairs",
    whole: int = 0,
    save_dir: Path | None = None,
) -> Generator[Event, None, Evaluation]:
    """Restore and measure each pair; return the result as the generator's value.

    `restore` maps (1, C, H, W) in [0, 1] to the same size. Restored pictures are saved as PNG
    under the names of their pairs. Pairs of different sizes are a DataError before anything is
    computed; a pair that fails later is reported and left out, and listed in the result.
    """
    check_sizes(pairs)
    yield Started(f"{model} on {dataset}", len(pairs))
    begun = time.perf_counter()
    results: list[PairResult] = []
    failed: list[FileFailed] = []
    for pair in pairs:
        try:
            result = _measure_pair(pair, restore, protocol, save_dir)
        except RestorekitError as error:
            failed.append(FileFailed(pair.degraded, str(error)))
            yield failed[-1]
            continue
        results.append(result)
        yield PairMeasured(pair.name, _flat(result), result.seconds)
    if not results:
        raise DataError(f"none of {len(pairs)} pairs could be measured; first: {failed[0].error}")
    yield Finished(len(results), 0, len(failed), time.perf_counter() - begun)
    return Evaluation(model, dataset, protocol, tuple(results), tuple(failed), whole)


def _measure_pair(
    pair: Pair, restore: Restore, protocol: Protocol, save_dir: Path | None
) -> PairResult:
    reference = read_image(pair.reference)
    target = to_tensor(reference.pixels)
    degraded = _degraded(pair, target, protocol)
    begun = time.perf_counter()
    restored = restore(degraded).cpu()
    seconds = time.perf_counter() - begun
    channels = max(degraded.shape[1], target.shape[1])
    target = target.expand(-1, channels, -1, -1)
    before = measure(degraded.expand(-1, channels, -1, -1), target, protocol)
    after = measure(restored.expand(-1, channels, -1, -1), target, protocol)
    if save_dir is not None:
        saved = Image(to_pixels(restored, like=reference.pixels.dtype))
        write_image(save_dir / f"{pair.name}.png", saved)
    return PairResult(pair.name, reference.height * reference.width, before, after, seconds)


def _degraded(pair: Pair, target: Tensor, protocol: Protocol) -> Tensor:
    if protocol.noise is not None:
        return protocol.noise.add(target, pair.name)
    return to_tensor(read_image(pair.degraded).pixels)


def _flat(result: PairResult) -> dict[str, float]:
    before = {f"degraded_{metric}": value for metric, value in result.degraded.items()}
    return {**result.restored, **before}


@dataclass(frozen=True)
class Subject:
    """What is measured and how: the pairs of a set and the protocol."""

    dataset: str
    pairs: Sequence[Pair]
    protocol: Protocol
    task: Task | None = None
    """The set's own task; None for a folder of anybody's pairs."""
    whole: int = 0
    """How many pairs the complete set has; 0 where that is not known."""


def choose_subject(
    dataset: str, *, data_root: Path = Path(), protocol: Protocol | None = None
) -> Subject:
    """Find a set by its name below `data_root`, or take a folder of pairs.

    Without a protocol it is the set's own, for a folder `rgb`; a protocol with noise takes a folder
    of clean pictures. Raises UsageError where protocol and set do not suit each other, DataError
    where files are missing or unpaired.
    """
    known = find_dataset(dataset)
    if known is not None:
        chosen = protocol or get_protocol(known.protocol)
        _require_suited(known, chosen)
        pairs = known.pairs(data_root)
        return Subject(known.name, pairs, chosen, known.task, known.pictures)
    folder = Path(dataset)
    if not folder.is_dir():
        raise _unknown(folder)
    chosen = protocol or get_protocol("rgb")
    pairs = clean_pictures(folder) if chosen.noise else find_pairs(folder)
    return Subject(folder.resolve().name, pairs, chosen)


def evaluate_models(
    subject: Subject,
    models: Sequence[str | Path],
    *,
    device: str = "auto",
    save_dir: Path | None = None,
) -> Generator[Event, None, list[Evaluation]]:
    """Measure several models, each a name or a file, one after the other on the same pairs.

    With `save_dir` each model's restored pictures go into a folder of its name.
    """
    files = _labelled([find_checkpoint(model) for model in models])
    evaluations = []
    for label, file in files.items():
        restorer = Restorer(load_model(file, device=device))
        evaluation = yield from evaluate(
            subject.pairs,
            restorer.restore_tensor,
            subject.protocol,
            model=label,
            dataset=subject.dataset,
            whole=subject.whole,
            save_dir=save_dir / label if save_dir else None,
        )
        evaluations.append(evaluation)
    return evaluations


def _labelled(files: Sequence[Path]) -> dict[str, Path]:
    labelled: dict[str, Path] = {}
    for file in files:
        if file.stem in labelled:
            raise UsageError(
                f"{labelled[file.stem]} and {file} would both be called {file.stem} in the report; "
                "leave one out or rename it"
            )
        labelled[file.stem] = file
    return labelled


def _require_suited(dataset: Dataset, protocol: Protocol) -> None:
    if dataset.clean and protocol.noise is None:
        raise UsageError(
            f"{dataset.name} holds clean pictures only and protocol {protocol.id} adds no noise; "
            f"choose {dataset.protocol} or another one that does"
        )
    if protocol.noise is not None and not dataset.clean:
        raise UsageError(
            f"{dataset.name} has degraded pictures of its own and protocol {protocol.id} would add "
            f"noise; choose {dataset.protocol}, or give a folder of clean pictures"
        )


def _unknown(folder: Path) -> UsageError:
    if len(folder.parts) > 1:
        return UsageError(f"{folder}: no such folder; give a folder of pairs or the name of a set")
    return UnknownNameError("data set", str(folder), DATASETS)
