"""What the loops and jobs report.

They are generators of these events; the command line, a CSV file, a test and a notebook read the
same stream. `cli.render` draws them, `--json` prints them as lines.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True)
class Event:
    """Base of all events; by itself it says nothing but that a training may be stopped here."""


@dataclass(frozen=True)
class Started(Event):
    """A job of `total` items begins; a resumed one has `done` behind it."""

    what: str
    total: int
    done: int = 0


@dataclass(frozen=True)
class Warned(Event):
    """Something the user should know; the work goes on."""

    message: str


@dataclass(frozen=True)
class FileStarted(Event):
    """A file was opened; `height` and `width` are in pixels."""

    source: Path
    height: int
    width: int


@dataclass(frozen=True)
class TileDone(Event):
    """`done` of `total` tiles of the present picture are finished."""

    done: int
    total: int


@dataclass(frozen=True)
class FileDone(Event):
    """A file was written; `details` are what the verb has to say of it."""

    source: Path
    destination: Path
    seconds: float
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FileSkipped(Event):
    """A file was left as it is, and why."""

    source: Path
    reason: str


@dataclass(frozen=True)
class FileFailed(Event):
    """A file could not be done; the rest goes on."""

    source: Path
    error: str


@dataclass(frozen=True)
class PairMeasured(Event):
    """One pair of an evaluation; `values` maps metric names to numbers."""

    name: str
    values: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class WeightsLoaded(Event):
    """Weights of a file went into a net that need not be the same.

    `loaded` counts tensors; `reinitialised` are those of the net that keep their random values,
    each with the reason; `dropped` are those of the file that the net does not have.
    """

    loaded: int
    reinitialised: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tuned(Event):
    """A fine-tuning ended; `before` and `after` are of the same validation."""

    path: Path
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class TrialDone(Event):
    """One run of a study; `value` is None where the training diverged."""

    arm: str
    """The values of the scientific hyper-parameters."""
    run: str
    settings: Mapping[str, object]
    """The nuisance hyper-parameters."""
    value: float | None
    seconds: float


@dataclass(frozen=True)
class StepDone(Event):
    """One optimiser step of a training run."""

    step: int
    total: int
    losses: Mapping[str, float]
    lr: float
    seconds: float
    samples: int = 0
    """Examples in the step, those of all processes."""


@dataclass(frozen=True)
class Validated(Event):
    """Validation after `step` steps; PSNR in dB."""

    step: int
    values: Mapping[str, float]
    is_best: bool


@dataclass(frozen=True)
class Saved(Event):
    """A checkpoint or a training state was written."""

    path: Path


@dataclass(frozen=True)
class Finished(Event):
    """The end of a job."""

    done: int
    skipped: int
    failed: int
    seconds: float


def as_line(event: Event) -> str:
    """Put an event in one line of JSON; numbers that are not finite become null."""
    values = {each.name: _plain(getattr(event, each.name)) for each in fields(event)}
    return json.dumps({"event": type(event).__name__, **values}, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | str | None) else str(value)
