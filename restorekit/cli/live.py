"""A training run on a terminal: one table that is kept up to date."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from restorekit.events import (
    Event,
    Finished,
    Saved,
    Started,
    StepDone,
    Validated,
)

REFRESH = 4
"""Times per second."""
SMOOTHING = 0.95
"""Part that the past has in the losses shown."""
VALIDATIONS = 8
"""So many of the last validations are shown, and the best before them."""
_SHOWN_IN_TABLE = StepDone, Validated, Saved, Started, Finished


class TrainingTable:
    """What a run is doing: progress, losses, rate, speed and the last validations."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started: Started | None = None
        self._step: StepDone | None = None
        self._begun = 0.0
        self._here = 0
        self._samples = 0
        self._losses: dict[str, float] = {}
        self._validations: list[Validated] = []
        self._best: Validated | None = None
        self._saved: Saved | None = None

    def take(self, event: Event) -> None:
        """Note what an event says."""
        match event:
            case Started():
                self._started, self._begun = event, self._now()
            case StepDone():
                self._take_step(event)
            case Validated():
                self._validations.append(event)
                self._best = event if event.is_best else self._best
            case Saved():
                self._saved = event

    def __rich__(self) -> RenderableType:
        """Draw the present state."""
        if self._started is None:
            return Text("preparing ...")
        parts: list[RenderableType] = [self._progress(self._started)]
        # An empty table would draw a line that the display cannot take back.
        if self._step is not None or self._saved is not None:
            parts.append(self._figures())
        if self._validations:
            parts.append(self._measured())
        return Group(*parts)

    def _take_step(self, event: StepDone) -> None:
        self._step = event
        self._here += 1
        self._samples += event.samples
        for name, loss in event.losses.items():
            before = self._losses.get(name, loss)
            self._losses[name] = SMOOTHING * before + (1 - SMOOTHING) * loss

    def _progress(self, started: Started) -> Table:
        done = self._step.step if self._step else started.done
        row = Table.grid(padding=(0, 2))
        row.add_row(
            Text(started.what, "bold"),
            ProgressBar(total=started.total, completed=done, width=30),
            f"{done}/{started.total}",
            f"{clock(self._elapsed())} elapsed",
            self._left(started.total - done),
        )
        return row

    def _elapsed(self) -> float:
        return self._now() - self._begun

    def _left(self, steps: int) -> str:
        if not self._here:
            return ""
        seconds = steps * self._elapsed() / self._here
        end = time.strftime("%a %H:%M", time.localtime(time.time() + seconds))
        return f"{clock(seconds)} left, until {end}"

    def _figures(self) -> Table:
        figures = {f"loss {name}": f"{loss:.4g}" for name, loss in self._losses.items()}
        if self._step is not None:
            seconds = self._elapsed() or 1.0
            figures["learning rate"] = f"{self._step.lr:.2e}"
            figures["samples/s"] = f"{self._samples / seconds:.1f}"
            figures["steps/s"] = f"{self._here / seconds:.2f}"
        if self._saved is not None:
            figures["saved"] = self._saved.path.name
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for name in figures:
            table.add_column(name)
        table.add_row(*figures.values())
        return table

    def _measured(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("validation", justify="right")
        names = {name: None for event in self._validations for name in event.values}
        for name in names:
            table.add_column(label(name), justify="right")
        table.add_column("")
        earlier, last = self._validations[:-VALIDATIONS], self._validations[-VALIDATIONS:]
        for event in [*(e for e in earlier if e is self._best), *last]:
            numbers = [f"{event.values[n]:.4f}" if n in event.values else "" for n in names]
            is_best = event is self._best
            table.add_row(
                f"step {event.step}",
                *numbers,
                "best" if is_best else "",
                style="green" if is_best else "",
            )
        return table


@contextmanager
def training_screen(
    console: Console, describe: Callable[[Event], Text | None]
) -> Iterator[Callable[[Event], None]]:
    """Show a run's events: those with a line of their own above the table, the rest in it."""
    table = TrainingTable()
    with Live(table, console=console, refresh_per_second=REFRESH) as live:

        def show(event: Event) -> None:
            table.take(event)
            if not isinstance(event, _SHOWN_IN_TABLE) and (line := describe(event)) is not None:
                live.console.print(line)

        yield show


def label(name: str) -> str:
    """Name a measure as a person would: PSNR, degraded PSNR."""
    *words, measure = name.split("_")
    return " ".join([*words, measure.upper()])


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
