"""Measure one model on the pairs of one set in one protocol."""

import errno
import logging
import math
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restorekit.data.pairs import Pair, read_pair
from restorekit.degradations.base import to_picture, to_samples
from restorekit.degradations.recipe import Recipe
from restorekit.degradations.sampling import FILTERS, resize
from restorekit.errors import DataError, PictureError, RestorekitError, UndefinedMetricError
from restorekit.evaluation.samples import degrade_sample
from restorekit.events import Event, FileFailed, Finished, PairMeasured, Started, Warned
from restorekit.media.image import write_image
from restorekit.metrics.protocols import METRICS, Protocol, measure_or_say
from restorekit.ops.pixels import to_pixels, to_tensor
from restorekit.types import Image, Pixels

Restore = Callable[[Tensor], Tensor]

CPU = torch.device("cpu")
COLOURS = 3
_SWITCH, _RESET_PEAK = Path("/proc/self/clear_refs"), "5"
"""Linux: what is written where to restart the count of the largest resident memory."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""Why one picture cannot be saved, when no other can either."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairResult:
    """The metrics of one pair, for the degraded and for the restored picture."""

    name: str
    pixels: int
    """Of the reference."""
    degraded: Mapping[str, float]
    """Empty where the degraded picture cannot be compared, as in super-resolution."""
    restored: Mapping[str, float]
    """NaN for a metric that is not available, or not defined for this picture."""
    seconds: float
    """Time of the restoration alone, without reading, measuring and saving; 0 of a picture that
    somebody else has restored, like `peak_bytes`."""
    peak_bytes: int = 0
    """Most memory during the restoration: of the whole process on a CPU, of tensors on a CUDA
    device; 0 where the system does not tell."""
    groups: tuple[str, ...] = ()
    """What a manifest says of the degraded picture: its operations and their severities."""
    undefined: tuple[str, ...] = ()
    """Why metrics are not defined for the restored picture, one sentence each."""


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
    backend: str = ""
    """The net, by which published numbers of the same one are found."""

    @property
    def total(self) -> int:
        """How many pairs there are: in the complete set, or else among those that were given."""
        return self.whole or len(self.pairs) + len(self.failed)

    @property
    def is_complete(self) -> bool:
        """Whether every pair of the complete set was measured."""
        return len(self.pairs) == self.total

    @property
    def coverage(self) -> str:
        """How much of the set the numbers stand for: "100 pairs" or "7 of 100 pairs"."""
        count = str(self.total) if self.is_complete else f"{len(self.pairs)} of {self.total}"
        return f"{count} pair{'' if self.total == 1 else 's'}"

    @property
    def has_degraded(self) -> bool:
        """Whether the degraded pictures were measured too."""
        return any(pair.degraded for pair in self.pairs)

    def values(self, metric: str) -> list[float]:
        """One value for each restored picture; NaN where the metric is not available."""
        return [pair.restored.get(metric, math.nan) for pair in self.pairs]

    def degraded_values(self, metric: str) -> list[float]:
        """One value for each degraded picture; NaN where it was not measured."""
        return [pair.degraded.get(metric, math.nan) for pair in self.pairs]

    def mean(self, metric: str) -> float:
        """Mean of a metric over the restored pictures; NaN where it is not available."""
        return mean(self.values(metric))

    def degraded_mean(self, metric: str) -> float:
        """Mean of a metric over the degraded pictures; NaN where it is not available."""
        return mean(self.degraded_values(metric))

    @property
    def losses(self) -> list[float]:
        """How much each restored picture is worse than its degraded one; negative where better.

        In the unit of the protocol's first metric; 0 where one of the two was not measured.
        """
        metric = METRICS[self.protocol.metrics[0]]
        sign = 1 if metric.higher_is_better else -1
        before, after = self.degraded_values(metric.name), self.values(metric.name)
        return [
            0.0 if a == b or math.isnan(a - b) else sign * (a - b)
            for a, b in zip(before, after, strict=True)
        ]

    @property
    def made_worse(self) -> int:
        """How many restored pictures are worse than their degraded ones."""
        return sum(loss > 0 for loss in self.losses)

    @property
    def seconds_per_megapixel(self) -> float:
        """Time of the restorations divided by the pixels of the references.

        NaN where nothing was restored.
        """
        pixels = sum(pair.pixels for pair in self.pairs)
        seconds = sum(pair.seconds for pair in self.pairs)
        return seconds / pixels * 1e6 if seconds else math.nan

    @property
    def peak_bytes(self) -> int:
        """Most memory during any of the restorations; 0 where the system does not tell."""
        return max((pair.peak_bytes for pair in self.pairs), default=0)


def mean(values: Iterable[float]) -> float:
    """Average what is not NaN; NaN where nothing is left."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


@dataclass(frozen=True)
class Plan:
    """How pairs are restored and measured, what is known already and where results go."""

    restore: Restore
    """From (1, C, H, W) in [0, 1] to the size of the reference."""
    protocol: Protocol
    device: torch.device = CPU
    """Where the restoration runs: whose memory is looked at."""
    save_dir: Path | None = None
    """Restored pictures are kept here, as PNG under the names of their pairs."""
    is_restored: bool = False
    """The pictures are restored already: only they are measured."""
    known: Callable[[Pair], PairResult | None] = lambda _: None
    """Find the result of a pair that was measured before."""
    keep: Callable[[Pair, PairResult], None] = lambda _pair, _result: None
    """Take a new result."""
    recipe: Recipe | None = None
    """Makes the degraded pictures of clean pairs."""


def measure_pairs(
    pairs: Sequence[Pair], plan: Plan, what: str
) -> Generator[Event, None, tuple[list[PairResult], list[FileFailed]]]:
    """Measure the pairs that are not known yet; return results in the pairs' order and failures.

    A pair that cannot be measured is reported and left out. Raises DataError where no restored
    picture can be saved any more, as on a full disk.
    """
    found = {pair.name: result for pair in pairs if (result := plan.known(pair)) is not None}
    yield Started(what, len(pairs), len(found))
    begun = time.perf_counter()
    failed: list[FileFailed] = []
    results = dict(found)
    for pair in pairs:
        if pair.name in found:
            continue
        try:
            result = _measure_pair(pair, plan)
        except Exception as error:
            _require_room(error, f"{len(results)} of {len(pairs)} pictures of {what}")
            _log.debug("%s failed", pair.degraded, exc_info=True)
            failed.append(FileFailed(pair.degraded, _explain(error)))
            yield failed[-1]
            continue
        results[pair.name] = result
        plan.keep(pair, result)
        yield PairMeasured(pair.name, _flat(result), result.seconds)
        for reason in result.undefined:
            yield Warned(f"{pair.name} is left out of the mean of one metric: {reason}")
    done = len(results) - len(found)
    yield Finished(done, len(found), len(failed), time.perf_counter() - begun)
    return [results[pair.name] for pair in pairs if pair.name in results], failed


def _require_room(error: Exception, done: str) -> None:
    cause = error.__cause__
    if isinstance(error, PictureError) and isinstance(cause, OSError) and cause.errno in _FULL:
        raise DataError(
            f"{str(error).partition(';')[0]}, nor could what comes after it; {done} are saved: "
            "make room, then go on with --resume, or choose another folder with --save"
        ) from error


def open_pair(
    pair: Pair, protocol: Protocol, recipe: Recipe | None = None
) -> tuple[Tensor, Tensor, Pixels]:
    """Read a pair; return the degraded picture, the reference (1, C, H, W) and its samples.

    From a clean picture the degraded one is made by the recipe, the protocol's noise, or MATLAB's
    bicubic reduction, rounded to 8 bits as the scripts of super-resolution write it.
    """
    degraded, reference = read_pair(pair)
    if recipe is not None:
        degraded, reference = degrade_sample(reference, recipe, pair.name)
        return to_tensor(degraded), to_tensor(reference), reference
    target = to_tensor(reference)
    if protocol.noise is not None:
        return protocol.noise.add(target, pair.name), target, reference
    if pair.is_clean:
        small = resize(to_picture(reference), 1 / pair.scale, FILTERS["bicubic"])
        return to_tensor(to_samples(small, np.uint8)), target, reference
    return to_tensor(degraded), target, reference


def _measure_pair(pair: Pair, plan: Plan) -> PairResult:
    degraded, target, reference = open_pair(pair, plan.protocol, plan.recipe)
    restored, seconds, peak = (degraded, 0.0, 0) if plan.is_restored else _timed(degraded, plan)
    comparable = not plan.is_restored and _are_comparable(degraded, target)
    before, _ = _compare(degraded, target, plan.protocol) if comparable else ({}, ())
    after, undefined = _compare(restored, target, plan.protocol)
    if undefined and all(map(math.isnan, after.values())):
        raise UndefinedMetricError("; ".join(undefined))
    if plan.save_dir is not None:
        saved = Image(to_pixels(restored, like=reference.dtype))
        write_image(saved_path(plan.save_dir, pair), saved)
    pixels = reference.shape[0] * reference.shape[1]
    return PairResult(pair.name, pixels, before, after, seconds, peak, undefined=undefined)


def _timed(degraded: Tensor, plan: Plan) -> tuple[Tensor, float, int]:
    """Restore; return the picture, the seconds and the peak memory, 0 where it is not known."""
    is_watched = _restart_peak(plan.device)
    begun = time.perf_counter()
    restored = plan.restore(degraded).cpu()
    seconds = time.perf_counter() - begun
    return restored, seconds, _peak(plan.device) if is_watched else 0


def _are_comparable(degraded: Tensor, target: Tensor) -> bool:
    return degraded.shape[-2:] == target.shape[-2:] and degraded.shape[1] <= COLOURS


def saved_path(folder: Path, pair: Pair) -> Path:
    """Where the restored picture of a pair is kept."""
    return folder / f"{pair.name}.png"


def _compare(
    picture: Tensor, target: Tensor, protocol: Protocol
) -> tuple[dict[str, float], tuple[str, ...]]:
    channels = max(picture.shape[1], target.shape[1])
    shape = (-1, channels, -1, -1)
    return measure_or_say(picture.expand(shape), target.expand(shape), protocol)


def _flat(result: PairResult) -> dict[str, float]:
    before = {f"degraded_{metric}": value for metric, value in result.degraded.items()}
    return {**result.restored, **before}


def _explain(error: Exception) -> str:
    if isinstance(error, RestorekitError):
        return str(error)
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _restart_peak(device: torch.device) -> bool:
    """Forget the peak so far; False where the system does not let us."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _SWITCH.write_text(_RESET_PEAK)
    except OSError:
        return False
    return device.type == "cpu"


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
