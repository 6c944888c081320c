"""Measure again what the card of a checkpoint says of its quality."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from restorekit.backends.card import Measured
from restorekit.data.catalog import find_dataset
from restorekit.errors import DataError, RestorekitError, UsageError
from restorekit.evaluation.series import Series, choose_candidates
from restorekit.evaluation.subject import Subject, choose_subject
from restorekit.events import Event
from restorekit.metrics.protocols import METRICS, get_protocol, with_metrics

TOLERANCES = {"psnr": 0.01, "edge_psnr": 0.01}
"""How far a mean may be from the card's, in dB; other arithmetic rounds in another way."""
TOLERANCE = 0.001
"""The same for metrics that have no unit."""


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
        margin = TOLERANCES.get(metric, TOLERANCE) + 1e-4
        return abs(self.now[metric] - self.row.values[metric]) <= margin


def remeasure(
    path: Path, data_root: Path, *, device: str = "auto"
) -> Generator[Event, None, list[Remeasured]]:
    """Measure a checkpoint on the sets of its card, by the card's protocols; one result a row.

    A row of no known set, or of a set that is not whole below `data_root`, is not measured. Raises
    CheckpointError for a damaged file.
    """
    candidates = choose_candidates([path], device=device)
    model = candidates[0].model
    results: list[Remeasured] = []
    for row in model.card.measured if model else ():
        try:
            subject = _subject(row, data_root)
        except RestorekitError as error:
            results.append(Remeasured(row, why_not=str(error)))
            continue
        (evaluation,) = yield from Series([subject], candidates).run()
        if evaluation.failed:
            first = evaluation.failed[0]
            results.append(Remeasured(row, why_not=f"{first.source}: {first.error}"))
            continue
        now = {metric: evaluation.mean(metric) for metric in subject.protocol.metrics}
        results.append(Remeasured(row, now))
    return results


def _subject(row: Measured, data_root: Path) -> Subject:
    """Find the pairs and the protocol of a row; RestorekitError says why they are not there."""
    known = find_dataset(row.dataset)
    if known is None:
        raise UsageError(f"'{row.dataset}' is no set that restorekit knows")
    metrics = [name for name in row.values if name in METRICS]
    if not metrics:
        raise UsageError(f"none of {', '.join(row.values)} is a metric")
    protocol = with_metrics(get_protocol(row.protocol), metrics)
    subject = choose_subject(row.dataset, data_root=data_root, protocol=protocol)
    if subject.whole > len(subject.pairs):
        raise DataError(f"only {len(subject.pairs)} of {subject.whole} pairs are there")
    return subject
