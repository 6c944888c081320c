"""What the loops and jobs report.

They are generators of these events; the command line, a CSV file, a test and a notebook read the
same stream. `cli.render` draws them, `--json` prints them as lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Event:
    """Base of all events."""


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
class StepDone(Event):
    """One optimiser step of a training run."""

    step: int
    total: int
    losses: Mapping[str, float]
    lr: float
    seconds: float


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
