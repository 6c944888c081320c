"""The pictures that a model restores best and worst, cut to where it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from restorekit.evaluation.run import Evaluation, PairResult, Restore, open_pair
from restorekit.evaluation.subject import Subject
from restorekit.metrics.protocols import METRICS
from restorekit.ops.pixels import to_pixels
from restorekit.types import Pixels

SIDE = 192
"""Height and width of a crop in pixels of the reference, or the picture's where it is smaller."""
GAIN = 4
"""So many times the difference to the reference is amplified."""
EACH = 2
"""So many of the best and of the worst pictures are shown."""
_STEP = 16

Kind = Literal["best", "worst"]


@dataclass(frozen=True, eq=False)
class Example:
    """One picture: crops (H, W, 3 or 1), uint8, of the same place.

    The place of a worst picture is where it is farthest from its reference, that of a best one
    where the restoration brought most.
    """

    kind: Kind
    dataset: str
    model: str
    result: PairResult
    degraded: Pixels | None
    """None for somebody's restored pictures, of which the degraded ones are not known."""
    restored: Pixels
    reference: Pixels
    difference: Pixels
    """|restored - reference|, 4 times amplified."""
    left: int
    top: int


def ranked(evaluation: Evaluation) -> list[tuple[Kind, PairResult]]:
    """Choose the worst and the best pictures by the protocol's first metric, none of them twice."""
    metric = METRICS[evaluation.protocol.metrics[0]]
    known = [pair for pair in evaluation.pairs if not math.isnan(pair.restored[metric.name])]
    ordered = sorted(
        known, key=lambda pair: pair.restored[metric.name], reverse=not metric.higher_is_better
    )
    count = min(EACH, len(ordered) // 2)
    worst: list[tuple[Kind, PairResult]] = [("worst", pair) for pair in ordered[: max(count, 1)]]
    return worst + [("best", pair) for pair in ordered[len(ordered) - count :][::-1]]


def make_examples(evaluation: Evaluation, subject: Subject, restore: Restore) -> list[Example]:
    """Restore the best and the worst pictures of an evaluation once more, and cut them."""
    pairs = {pair.name: pair for pair in subject.pairs}
    chosen = ranked(evaluation)
    examples = []
    for kind, result in chosen:
        degraded, reference, _ = open_pair(pairs[result.name], subject.protocol, subject.recipe)
        pictures = [_visible(degraded, reference), restore(degraded).cpu(), reference]
        example = _cut(kind, evaluation, result, pictures)
        examples.append(replace(example, degraded=None) if subject.is_restored else example)
    return examples


def _visible(degraded: Tensor, reference: Tensor) -> Tensor:
    """Bring a degraded picture to the size of its reference, its pixels as squares."""
    return F.interpolate(degraded[:, :3], reference.shape[-2:], mode="nearest")


def _cut(
    kind: Kind, evaluation: Evaluation, result: PairResult, pictures: Sequence[Tensor]
) -> Example:
    channels = max(picture.shape[1] for picture in pictures)
    degraded, restored, reference = (
        picture.clamp(0, 1).expand(-1, channels, -1, -1) for picture in pictures
    )
    error = (restored - reference).abs()
    top, left = _place((degraded - reference).abs() - error if kind == "best" else error)
    box = (..., slice(top, top + SIDE), slice(left, left + SIDE))

    def crop(picture: Tensor) -> Pixels:
        return to_pixels(picture[box], np.uint8)

    return Example(
        kind,
        evaluation.dataset,
        evaluation.model,
        result,
        degraded=crop(degraded),
        restored=crop(restored),
        reference=crop(reference),
        difference=crop(GAIN * error),
        left=left,
        top=top,
    )


def _place(weight: Tensor) -> tuple[int, int]:
    """Find the corner (top, left) of the crop where the mean of (1, C, H, W) is largest."""
    height, width = weight.shape[-2:]
    window = (min(SIDE, height), min(SIDE, width))
    means = F.avg_pool2d(weight.mean(1, keepdim=True), window, stride=_STEP)
    row, column = divmod(int(means.argmax()), means.shape[-1])
    return row * _STEP, column * _STEP
