"""Where the events of a run are written down: log.csv and log.jsonl, and TensorBoard's files.

A resumed run cuts the logs at the step it resumes from, so that no step appears twice.
"""

import csv
import json
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from restorekit.errors import TrainingError
from restorekit.events import Event, Saved, Started, StepDone, Validated, as_line
from restorekit.files import atomic_path
from restorekit.media.image import read_image
from restorekit.training.state import STATE

LOG = "log.csv"
LINES = "log.jsonl"
BOARD = "tensorboard"
VALIDATIONS = "validation"
"""The folder of the pictures that a validation shows."""
FIRST_COLUMNS = ("step", "lr", "seconds")


class Sink(Protocol):
    """Something that writes events down."""

    def write(self, event: Event) -> None:
        """Take note of an event; `Started` comes first."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


def logged(
    events: Generator[Event, None, None], folder: Path, losses: Sequence[str]
) -> Generator[Event, None, None]:
    """Pass the events through and write them down in the run's folder.

    Raises TrainingError when a log cannot be written, after the run has saved its state.
    """
    sinks: list[Sink] = [_Table(folder / LOG, losses), _Lines(folder / LINES)]
    if find_spec("tensorboard") is not None:
        sinks.append(_Board(folder))
    with closing(events):
        try:
            for event in events:
                _write(sinks, event, folder)
                yield event
        finally:
            for sink in sinks:
                sink.close()


def _forget(folder: Path) -> None:
    """Drop the logs of a run that came to no state; one that is resumed has one."""
    if not (folder / STATE).exists():
        for name in (LOG, LINES):
            (folder / name).unlink(missing_ok=True)


def _write(sinks: Sequence[Sink], event: Event, folder: Path) -> None:
    try:
        if isinstance(event, Started) and not event.done:
            _forget(folder)
        for sink in sinks:
            sink.write(event)
    except OSError as error:
        raise TrainingError(
            f"{folder}: the logs cannot be written: {error.strerror or error}; "
            "free some space, then go on with --resume"
        ) from error


class _Table:
    """One row per step and per validation; a value seen for the first time adds a column."""

    def __init__(self, path: Path, losses: Sequence[str]) -> None:
        self._path = path
        self._columns = [*FIRST_COLUMNS, *losses]

    def write(self, event: Event) -> None:
        match event:
            case Started():
                kept = _rows(self._path, until=event.done)
                self._columns = [*dict.fromkeys([*self._columns, *(kept[0] if kept else ())])]
                self._rewrite(kept)
            case StepDone():
                times = {"lr": event.lr, "seconds": round(event.seconds, 4)}
                self._append({"step": event.step, **times, **event.losses})
            case Validated():
                self._append({"step": event.step, **event.values})

    def close(self) -> None:
        pass

    def _append(self, row: Mapping[str, Any]) -> None:
        new = [key for key in row if key not in self._columns]
        if new:
            self._columns += new
            self._rewrite(_rows(self._path))
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        with (
            atomic_path(self._path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


def _rows(path: Path, until: float = math.inf) -> list[dict[str, str]]:
    """Read the rows up to a step, without what a full disk or a power cut left unfinished."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in (*row, *row.values())]
    return [row for row in rows if row["step"].isdecimal() and int(row["step"]) <= until]


class _Lines:
    """One JSON object per event."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: Event) -> None:
        if type(event) is Event:
            return
        if isinstance(event, Started):
            self._cut(event.done)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(as_line(event) + "\n")

    def close(self) -> None:
        pass

    def _cut(self, done: int) -> None:
        """Keep what came before the first step after `done`."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        late = (n for n, line in enumerate(lines) if _step_of(line) > done)
        kept = lines[: next(late, len(lines))]
        with atomic_path(self._path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> float:
    """Read the step of an event, 0 where it has none; a line that was cut off is later than all."""
    try:
        return float(json.loads(line).get("step", 0))
    except ValueError:
        return math.inf


class _Board:
    """TensorBoard's event files: losses, rate, validations and their pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._step = 0

    def write(self, event: Event) -> None:
        match event:
            case Started():
                self._open(event.done)
            case StepDone():
                self._step = event.step
                self._scalars({f"loss/{name}": loss for name, loss in event.losses.items()})
                self._scalars({"lr": event.lr, "seconds per step": event.seconds})
            case Validated():
                self._step = event.step
                self._scalars({f"validation/{n}": value for n, value in event.values.items()})
            case Saved() if event.path.parent == self._folder / VALIDATIONS:
                pixels = read_image(event.path).pixels
                self._writer.add_image("validation", pixels, self._step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder / BOARD), purge_step=done + 1)

    def _scalars(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, self._step)
