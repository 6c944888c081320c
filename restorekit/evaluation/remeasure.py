"""Measure what the card of a checkpoint says of its quality: for the first time, or again."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from restorekit.backends.card import Card, Measured, read_card
from restorekit.data.catalog import find_dataset
from restorekit.errors import DataError, RestorekitError, UsageError
from restorekit.evaluation.run import Evaluation
from restorekit.evaluation.samples import PREFIX, is_samples, usual_samples
from restorekit.evaluation.series import Candidate, Series, choose_candidates
from restorekit.evaluation.subject import Subject, choose_subject
from restorekit.events import Event
from restorekit.metrics.protocols import METRICS, get_protocol, with_metrics

TOLERANCES = {"psnr": 0.01, "edge_psnr": 0.01}
"""How far a mean may be from the card's, in dB; other arithmetic rounds in another way."""
TOLERANCE = 0.001
"""The same for metrics that have no unit."""

DEGRADED = "degraded_"
"""Before the name of a metric: its mean over the pictures as they came."""


@dataclass(frozen=True)
class Remeasured:
    """A row of a card and the means that its set and protocol give now."""

    row: Measured
    now: Mapping[str, float] = field(default_factory=dict)
    """By metric; empty where it could not be measured."""
    why_not: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether every mean is the card's; None where it could not be measured."""
        return all(map(self._is_near, self.now)) if self.now else None

    @property
    def must(self) -> bool:
        """Whether it can be measured everywhere, so that not to measure it is a failure."""
        return is_samples(self.row.dataset)

    @property
    def said(self) -> str:
        """Put the result in a line."""
        if not self.now:
            return f"not measured: {self.why_not}"
        return ", ".join(map(self._compared, self.now))

    def _compared(self, metric: str) -> str:
        measured = f"{metric} {self.now[metric]:.4f}"
        if self._is_near(metric):
            return measured
        return f"{measured}, but {self.row.values[metric]:g} on the card"

    def _is_near(self, metric: str) -> bool:
        # Cards round to four digits, which must not tip the balance.
        margin = TOLERANCES.get(metric.removeprefix(DEGRADED), TOLERANCE) + 1e-4
        return abs(self.now[metric] - self.row.values[metric]) <= margin


def remeasure(
    path: Path, data_root: Path | None, *, device: str = "auto"
) -> Generator[Event, None, list[Remeasured]]:
    """Measure a checkpoint on the sets of its card, by the card's protocols; one result a row.

    Without a `data_root` only the rows on the samples that ship are measured, and the others left
    out. A row of no known set, or of a set that is not whole below `data_root`, is not measured.
    Raises CheckpointError for a damaged file.
    """
    candidates = choose_candidates([path], device=device)
    model = candidates[0].model
    results: list[Remeasured] = []
    for row in model.card.measured if model else ():
        if data_root is None and not is_samples(row.dataset):
            continue
        try:
            subject = _subject(row, data_root or Path())
            evaluation = yield from _measured(subject, candidates)
        except RestorekitError as error:
            results.append(Remeasured(row, why_not=str(error)))
            continue
        now = means(evaluation)
        results.append(Remeasured(row, {name: now[name] for name in row.values if name in now}))
    return results


def measure_on_samples(
    path: Path, recipe: str | None = None, *, device: str = "auto"
) -> Generator[Event, None, Card]:
    """Measure a checkpoint of ours on the samples; return its card with the row, at the end.

    The row takes the place of an older one on the samples. `recipe` makes the degraded pictures,
    without one it is the usual of the model's task. Raises UsageError for an unknown recipe or one
    of another scale, DataError where the samples cannot be read, CheckpointError for no file of
    ours.
    """
    card = read_card(path)
    dataset = usual_samples(card) if recipe is None else f"{PREFIX}{recipe}"
    evaluation = yield from _measured(
        choose_subject(dataset), choose_candidates([path], device=device)
    )
    finite = {name: round(v, 4) for name, v in means(evaluation).items() if math.isfinite(v)}
    row = Measured(dataset=dataset, protocol=evaluation.protocol.id, values=finite)
    others = tuple(old for old in card.measured if not is_samples(old.dataset))
    return card.model_copy(update={"measured": (*others, row)})


def means(evaluation: Evaluation) -> dict[str, float]:
    """Give the means of an evaluation as a card has them, `degraded_psnr` beside `psnr`."""
    metrics = evaluation.protocol.metrics
    before = {f"{DEGRADED}{metric}": evaluation.degraded_mean(metric) for metric in metrics}
    return {metric: evaluation.mean(metric) for metric in metrics} | before


def _measured(subject: Subject, candidates: list[Candidate]) -> Generator[Event, None, Evaluation]:
    """Measure on a whole set; DataError names the first picture that failed."""
    (evaluation,) = yield from Series([subject], candidates).run()
    if evaluation.failed:
        first = evaluation.failed[0]
        raise DataError(f"{first.source}: {first.error}")
    return evaluation


def _subject(row: Measured, data_root: Path) -> Subject:
    """Find the pairs and the protocol of a row; RestorekitError says why they are not there."""
    if not is_samples(row.dataset) and find_dataset(row.dataset) is None:
        raise UsageError(f"'{row.dataset}' is no set that restorekit knows")
    metrics = [name for name in row.values if name in METRICS]
    if not metrics:
        raise UsageError(f"none of {', '.join(row.values)} is a metric")
    protocol = with_metrics(get_protocol(row.protocol), metrics)
    subject = choose_subject(row.dataset, data_root=data_root, protocol=protocol)
    if subject.whole > len(subject.pairs):
        raise DataError(f"only {len(subject.pairs)} of {subject.whole} pairs are there")
    return subject
