"""Several models on several sets: one measurement after the other, resumable picture by picture."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from torch import Tensor

from restorekit.backends.hub import find_model, sha256
from restorekit.backends.methods import find_method
from restorekit.backends.model import Model, load_model
from restorekit.data.pairs import Pair, check_sizes
from restorekit.errors import DataError, UsageError
from restorekit.evaluation.conditions import restorer_for
from restorekit.evaluation.examples import Example, make_examples
from restorekit.evaluation.journal import Measurement, append, open_journal
from restorekit.evaluation.run import (
    CPU,
    Evaluation,
    PairResult,
    Plan,
    Restore,
    measure_pairs,
    saved_path,
)
from restorekit.evaluation.subject import Subject
from restorekit.evaluation.tables import DEGRADED
from restorekit.events import Event, Warned
from restorekit.metrics.protocols import METRICS, unavailable

INPUT = "input"
"""The baseline that leaves the degraded pictures as they are; its row is called `degraded`."""


@dataclass(frozen=True)
class Candidate:
    """A model to be measured, under the name that it has in the report."""

    label: str
    identity: str
    """The hash of the weights; for what has none its name and restorekit's version."""
    model: Model | None
    """None returns the pictures as they are."""

    @property
    def published_net(self) -> str:
        """The net by which published numbers are found; empty for weights that were trained here.

        Those are often of another size, and never a paper's.
        """
        if self.model is None or self.model.card.training is not None:
            return ""
        return self.model.backend.name


def choose_candidates(
    models: Sequence[str | Path],
    baselines: Sequence[str] = (),
    *,
    device: str = "auto",
    scale: int = 1,
) -> list[Candidate]:
    """Load models, each a name or a file, and baselines by name.

    A baseline is `input`, the degraded pictures as they are, or a model without weights, such as
    `median`; one that enlarges does it by `scale`. All are loaded at once, so that a damaged file
    is known before anything is measured. Raises UsageError when one is unknown or two would have
    one name in the report.
    """
    names = dict.fromkeys([*map(str, models), *(_scaled(name, scale) for name in baselines)])
    labels: dict[str, str] = {}
    for name in names:
        label = _label(name)
        if label in labels:
            raise UsageError(
                f"{labels[label]} and {name} would both be called {label} in the report; "
                "leave one out or rename it"
            )
        labels[label] = name
    return [_candidate(label, name, device) for label, name in labels.items()]


def _scaled(baseline: str, scale: int) -> str:
    """Name a baseline that enlarges together with the scale."""
    named = f"{baseline}-x{scale}"
    return named if scale > 1 and find_method(named) else baseline


def _label(name: str) -> str:
    if name == INPUT:
        return DEGRADED
    found = find_model(name)
    return found.stem if isinstance(found, Path) else name


def _candidate(label: str, name: str, device: str) -> Candidate:
    if name == INPUT:
        return Candidate(label, name, None)
    found = find_model(name)
    without = f"{name} of restorekit {version('restorekit')}"
    identity = sha256(found) if isinstance(found, Path) else without
    return Candidate(label, identity, load_model(name, device=device))


def as_they_are(label: str) -> Candidate:
    """The candidate for pictures that somebody else has restored."""
    return Candidate(label, "pictures as they are", None)


@dataclass(frozen=True)
class Series:
    """All that one run measures: every candidate on every subject.

    Before anything is computed it raises UsageError when two subjects would have one name in the
    report or a candidate enlarges otherwise than a subject asks, DataError for pairs of two sizes.
    """

    subjects: Sequence[Subject]
    candidates: Sequence[Candidate]
    save_dir: Path | None = None
    """Each model's restored pictures go into a folder of its name, of several sets in one of the
    set's name."""
    journal: Path | None = None
    resume: bool = False
    """Take from the journal what it knows; without, it is only written."""

    def __post_init__(self) -> None:
        names = [subject.dataset for subject in self.subjects]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise UsageError(
                f"two sets would both be called {twice[0]} in the report; measure them one by one"
            )
        for subject in self.subjects:
            check_sizes(subject.pairs)
            for candidate in self.candidates:
                _require_scale(candidate, subject)

    def run(self) -> Generator[Event, None, list[Evaluation]]:
        """Measure, model by model; return the evaluations ordered by subject.

        A model of which no picture of a set could be measured is in the result without pairs.
        Raises DataError when that is so of all.
        """
        known = open_journal(self.journal) if self.journal else {}
        for subject in self.subjects:
            yield from map(Warned, _reservations(subject))
        evaluations: list[Evaluation] = []
        for candidate in self.candidates:
            for subject in self.subjects:
                what = self._what(candidate, subject, len(evaluations) + 1)
                plan = self._plan(candidate, subject, known if self.resume else {})
                results, failed = yield from measure_pairs(subject.pairs, plan, what)
                evaluations.append(
                    Evaluation(
                        candidate.label,
                        subject.dataset,
                        subject.protocol,
                        tuple(_grouped(result, subject) for result in results),
                        tuple(failed),
                        subject.whole,
                        candidate.published_net,
                    )
                )
        if not any(evaluation.pairs for evaluation in evaluations):
            first = evaluations[0].failed[0]
            raise DataError(
                f"none of {sum(len(subject.pairs) for subject in self.subjects)} pairs could be "
                f"measured; first: {first.error}"
            )
        places = {subject.dataset: place for place, subject in enumerate(self.subjects)}
        return sorted(evaluations, key=lambda evaluation: places[evaluation.dataset])

    def examples(self, evaluations: Sequence[Evaluation]) -> list[Example]:
        """Restore the best and the worst pictures of evaluations once more, to show them."""
        return [
            example
            for each in evaluations
            if each.pairs and each.model != DEGRADED
            for example in self._examples_of(each)
        ]

    def _examples_of(self, evaluation: Evaluation) -> list[Example]:
        subject = next(s for s in self.subjects if s.dataset == evaluation.dataset)
        candidate = next(c for c in self.candidates if c.label == evaluation.model)
        return make_examples(evaluation, subject, restoration(candidate.model, subject))

    def _what(self, candidate: Candidate, subject: Subject, number: int) -> str:
        total = len(self.subjects) * len(self.candidates)
        counted = f"{number}/{total} " if total > 1 else ""
        return f"{counted}{candidate.label} on {subject.dataset}"

    def _plan(
        self,
        candidate: Candidate,
        subject: Subject,
        known: Mapping[str, PairResult],
    ) -> Plan:
        model = candidate.model
        device = model.device if model else CPU
        measurement = Measurement(
            candidate.label, candidate.identity, subject.dataset, subject.protocol, str(device)
        )
        save_dir = self._save_dir(candidate, subject)

        def find(pair: Pair) -> PairResult | None:
            missing = save_dir is not None and not saved_path(save_dir, pair).is_file()
            return None if missing else known.get(measurement.key(pair))

        def keep(pair: Pair, result: PairResult) -> None:
            if self.journal is not None:
                append(self.journal, measurement, pair, result)

        return Plan(
            restoration(model, subject),
            subject.protocol,
            device,
            save_dir,
            subject.is_restored,
            find,
            keep,
            subject.recipe,
        )

    def _save_dir(self, candidate: Candidate, subject: Subject) -> Path | None:
        if self.save_dir is None:
            return None
        several = len(self.subjects) > 1
        return (self.save_dir / subject.dataset if several else self.save_dir) / candidate.label


def _require_scale(candidate: Candidate, subject: Subject) -> None:
    scale = candidate.model.scale if candidate.model else 1
    if scale != subject.scale:
        wanted = "such as --baseline bicubic" if subject.scale > 1 else "one that does not enlarge"
        raise UsageError(
            f"{candidate.label} has scale {scale}, and the references of {subject.dataset} are "
            f"{subject.scale} times as large as its degraded pictures; choose a model of scale "
            f"{subject.scale}, {wanted}"
        )


def restoration(model: Model | None, subject: Subject) -> Restore:
    """How a model restores a picture in the subject's protocol; None returns it as it is."""
    if model is None:
        return _unchanged
    return restorer_for(model, subject.protocol, subject.pairs[0].degraded)


def _unchanged(x: Tensor) -> Tensor:
    return x


def _grouped(result: PairResult, subject: Subject) -> PairResult:
    return replace(result, groups=subject.groups.get(result.name, ()))


def _reservations(subject: Subject) -> Iterator[str]:
    """What has to be known of the numbers before they are made."""
    if subject.whole > len(subject.pairs):
        yield (
            f"{subject.dataset}: {len(subject.pairs)} of {subject.whole} pairs are here; means "
            "over a part of a set are no numbers to put beside published ones"
        )
    for name, reason in unavailable(subject.protocol).items():
        yield f"{subject.dataset}: {METRICS[name].label} will be n/a: {reason}"
