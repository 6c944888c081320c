"""Events as a person or a program wants to see them.

On a terminal: bars that move, and a line for each thing done. Elsewhere: the lines alone, warnings
and failures on stderr. For programs: one JSON object a line.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from restorekit.cli.live import label, training_screen
from restorekit.events import (
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    PairMeasured,
    Saved,
    Started,
    StepDone,
    TileDone,
    TrialDone,
    Tuned,
    Validated,
    Warned,
    WeightsLoaded,
    as_line,
)

Show = Callable[[Event], None]

_STEP_SECONDS = 10
"""A log gets a line about the steps of a training this often."""
_STYLES = {
    Warned: "yellow",
    FileFailed: "red",
    FileSkipped: "dim",
    Finished: "bold",
    Tuned: "bold",
}
_KEYS_SHOWN = 8
"""So many tensors that did not fit are named."""


def render(events: Iterable[Event], *, as_json: bool = False, training: bool = False) -> int:
    """Show events as they come, what failed once more at the end; return how many files failed.

    On a terminal a `training` is one table that is kept up to date.
    """
    failed: list[FileFailed] = []
    done = 0
    with _json_lines() if as_json else _screen(training) as show:
        for event in events:
            show(event)
            done += isinstance(event, FileDone | FileSkipped)
            if isinstance(event, FileFailed):
                failed.append(event)
    if done and not as_json:
        for event in failed:
            typer.echo(f"not done: {event.source}", err=True)
    return len(failed)


def describe(event: Event) -> str | None:
    """Put an event in one line; None for those that only move a bar."""
    match event:
        case Warned():
            return f"warning: {event.message}"
        case FileDone():
            return f"{event.source} -> {event.destination}  {_facts(event)}"
        case FileSkipped():
            return f"skipped {event.source}: {event.reason}"
        case FileFailed():
            place = "" if event.error.startswith(str(event.source)) else f"{event.source}: "
            return f"failed: {place}{event.error}"
        case PairMeasured():
            return f"{event.name}  {_numbers(event.values)}"
        case Finished():
            return _sum_up(event)
    return _describe_training(event)


def _describe_training(event: Event) -> str | None:
    match event:
        case StepDone():
            return f"step {event.step}/{event.total}  {_numbers(event.losses)}  lr {event.lr:.2e}"
        case Validated():
            best = "  (best so far)" if event.is_best else ""
            return f"step {event.step}: {_numbers(event.values)}{best}"
        case Saved():
            return f"saved {event.path}"
        case WeightsLoaded():
            return _weights(event)
        case TrialDone():
            value = "diverged" if event.value is None else f"{event.value:.4f}"
            settings = "  ".join(f"{key} {_short(each)}" for key, each in event.settings.items())
            return f"{event.arm}  {event.run}: {value}  {settings}  {duration(event.seconds)}"
        case Tuned():
            return f"{event.path}\n  {_changes(event.before, event.after)}"
    return None


def _styled(event: Event) -> Text | None:
    line = describe(event)
    return None if line is None else Text(line, _STYLES.get(type(event), ""))


@contextmanager
def _json_lines() -> Iterator[Show]:
    def show(event: Event) -> None:
        if type(event) is not Event:  # a pause to stop at, which says nothing
            typer.echo(as_line(event))

    yield show


@contextmanager
def _screen(training: bool) -> Iterator[Show]:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines()
        return
    if training:
        with training_screen(console, _styled) as show:
            yield show
        return
    with _progress(console) as progress:
        yield _Bars(progress)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


class _Lines:
    """Lines for a file or a pipe."""

    def __init__(self) -> None:
        self._next_step = 0.0

    def __call__(self, event: Event) -> None:
        line = describe(event)
        if line is None or (isinstance(event, StepDone) and not self._is_due(event)):
            return
        typer.echo(line, err=isinstance(event, Warned | FileFailed))

    def _is_due(self, event: StepDone) -> bool:
        now = time.monotonic()
        if now < self._next_step and event.step != event.total:
            return False
        self._next_step = now + _STEP_SECONDS
        return True


class _Bars:
    """Bars on a terminal: one for the whole job, one for the tiles of the present picture."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._job: TaskID | None = None
        self._tiles: TaskID | None = None

    def __call__(self, event: Event) -> None:
        self._move(event)
        line = None if isinstance(event, StepDone | PairMeasured) else _styled(event)
        if line is not None:
            self._progress.console.print(line)

    def _move(self, event: Event) -> None:
        match event:
            case Started():
                self._job = self._progress.add_task(
                    event.what,
                    total=event.total,
                    completed=event.done,
                    visible=event.total > 1,
                    unit="",
                )
            case FileStarted():
                name = f"{event.source.name}  {event.width} x {event.height}"
                self._tiles = self._progress.add_task(name, total=None, unit="tiles")
            case TileDone() if self._tiles is not None:
                self._progress.update(self._tiles, completed=event.done, total=event.total)
            case StepDone() if self._job is not None:
                self._progress.update(
                    self._job, completed=event.step, description=_numbers(event.losses)
                )
            case FileDone() | FileSkipped() | FileFailed() | PairMeasured() | TrialDone():
                self._finish_item()
            case Finished() if self._job is not None:
                self._progress.remove_task(self._job)
                self._job = None

    def _finish_item(self) -> None:
        if self._tiles is not None:
            self._progress.remove_task(self._tiles)
            self._tiles = None
        if self._job is not None:
            self._progress.advance(self._job)


def _facts(event: FileDone) -> str:
    size = [f"{event.details[side]}" for side in ("width", "height") if side in event.details]
    return ", ".join([*([" x ".join(size)] if size else []), f"{event.seconds:.1f} s"])


def _weights(event: WeightsLoaded) -> str:
    lines = [f"{event.loaded} tensors of the file loaded"]
    for keys, what in (
        (event.reinitialised, "tensors of the net stay random"),
        (event.dropped, "tensors of the file dropped"),
    ):
        if keys:
            more = [f"... and {len(keys) - _KEYS_SHOWN} more"] if len(keys) > _KEYS_SHOWN else []
            lines += [f"{len(keys)} {what}:", *(f"  {key}" for key in [*keys[:_KEYS_SHOWN], *more])]
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _changes(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    return ", ".join(
        f"{label(name)} {before[name]:.4g} before tuning, {after[name]:.4g} after"
        for name in after
        if name in before and not name.startswith("degraded")
    )


def _numbers(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def _sum_up(event: Finished) -> str:
    counts = {"done": event.done, "skipped": event.skipped, "failed": event.failed}
    said = [f"{count} {word}" for word, count in counts.items() if count or word == "done"]
    return f"{', '.join(said)} in {duration(event.seconds)}"


def duration(seconds: float) -> str:
    """Say how long that is: 3.2 s, 4 min 5 s or 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
