"""Every error that restorekit raises on purpose.

    RestorekitError                exit code 1: something failed
    ├── UsageError                 exit code 2: the command or the call is wrong
    │   └── UnknownNameError       a name that is not in the list; says the nearest
    ├── PictureError               a picture that cannot be read or written
    ├── CheckpointError            a checkpoint that cannot be used
    │   ├── UnknownNetError        no backend fits the state dict
    │   └── UnsafePickleError      the file asks to run code
    ├── DataError                  pairs or data sets that do not fit together
    │   └── UndefinedMetricError   a metric that is not defined for a picture
    ├── TrainingError              a run that cannot start or go on
    └── MissingExtraError          an optional dependency is not installed

A message says what happened, with which file or value, what would be accepted and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RestorekitError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(RestorekitError):
    """The command line or the call asks for something that does not exist or does not fit."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not in a list; the message ends with the nearest names."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = get_close_matches(name, choices, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices)}"
        super().__init__(f"unknown {kind} '{name}'; {hint}")


class PictureError(RestorekitError):
    """A picture that cannot be read or written; the message starts with its path."""


class CheckpointError(RestorekitError):
    """A checkpoint that cannot be read, or does not fit its net or its task."""


class UnknownNetError(CheckpointError):
    """No backend fits the state dict; the message lists the nearest and what they miss."""


class UnsafePickleError(CheckpointError):
    """A pickle that asks for code to run; nothing of it was executed."""


class DataError(RestorekitError):
    """Pairs or data sets that are missing, empty or do not fit together."""


class UndefinedMetricError(DataError):
    """A metric that is not defined for a picture, such as one smaller than its window."""


class TrainingError(RestorekitError):
    """A training run that cannot start, resume or go on."""


class MissingExtraError(RestorekitError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'restorekit[{extra}]'")
