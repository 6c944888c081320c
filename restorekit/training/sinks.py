"""Where the events of a run are written down."""

import csv
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from restorekit.events import Event, Started, StepDone, Validated
from restorekit.files import atomic_path

LOG = "log.csv"


def logged(
    events: Generator[Event, None, None], folder: Path, losses: Sequence[str]
) -> Generator[Event, None, None]:
    """Pass the events through and write steps and validations to `folder`/log.csv.

    A resumed run cuts the log at the step it resumes from, so that no step appears twice.
    """
    columns = ["step", "lr", "seconds", *losses, "psnr", "degraded_psnr"]
    with closing(events):
        for event in events:
            row = _row(event)
            if isinstance(event, Started):
                _cut(folder / LOG, columns, after=event.done)
            elif row is not None:
                with (folder / LOG).open("a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, columns).writerow(row)
            yield event


def _row(event: Event) -> dict[str, float] | None:
    match event:
        case StepDone():
            step = {"step": event.step, "lr": event.lr, "seconds": round(event.seconds, 4)}
            return step | dict(event.losses)
        case Validated():
            return {"step": event.step, **event.values}
        case _:
            return None


def _cut(path: Path, columns: Sequence[str], after: int) -> None:
    kept: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if int(row["step"]) <= after]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(kept)
