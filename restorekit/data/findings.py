"""What is wrong with the files of a set, and how it is told in one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SHOWN = 5
"""So many names are listed in a message; the rest is counted."""


class Problem(StrEnum):
    """What can be wrong with a file of a set; the words follow a count."""

    NO_REFERENCE = "without a reference"
    NO_DEGRADED = "references without a degraded picture"
    NO_FILE = "named in the list and not there"
    STRANGE_NAME = "with a name that is not of this set"
    SAME_NAME = "of the same name as another file"
    SIZE = "of another size"
    UNREADABLE = "that cannot be read"


@dataclass(frozen=True)
class Finding:
    """A file that something is wrong with."""

    problem: Problem
    path: Path
    details: str = ""

    def __str__(self) -> str:
        if self.problem is Problem.UNREADABLE:
            return self.details  # a PictureError begins with its path
        return f"{self.path} ({self.details})" if self.details else str(self.path)


def summed_up(findings: Iterable[Finding]) -> str:
    """Count the findings of each kind and list the first few."""
    kinds: dict[Problem, list[str]] = {}
    for finding in findings:
        kinds.setdefault(finding.problem, []).append(str(finding))
    return "; ".join(f"{len(files)} {kind}: {listed(files)}" for kind, files in kinds.items())


def listed(names: Iterable[str]) -> str:
    """Join the first few and count the rest."""
    known = list(names)
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + rest
