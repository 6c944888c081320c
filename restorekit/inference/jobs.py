"""From files to files: restore a list of jobs, one bad file never stops the others."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.errors import PictureError, RestorekitError, UsageError
from restorekit.events import (
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Started,
    Warned,
)
from restorekit.media.compare import before_after
from restorekit.media.image import QUALITY, lost_in, read_image, write_image
from restorekit.media.paths import Job

if TYPE_CHECKING:
    from restorekit.inference.pipeline import Restorer

COMPARE = "_compare"
"""What a before/after picture adds to the name of its source."""

_LISTED = 5
_log = logging.getLogger(__name__)


def check_destinations(
    jobs: Sequence[Job],
    *,
    compare: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> None:
    """Refuse to replace files unless told what to do with them.

    Raises UsageError that lists what exists, or when both answers are given.
    """
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    if overwrite or skip_existing:
        return
    pictures = [job.destination for job in jobs]
    found = [path for path in pictures + (compare_paths(jobs) if compare else []) if path.exists()]
    if found:
        more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
        raise UsageError(
            f"already there: {', '.join([*map(str, found[:_LISTED]), *more])}; "
            "replace with --overwrite, or leave what is done with --skip-existing"
        )


def compare_paths(jobs: Sequence[Job]) -> list[Path]:
    """Name the before/after picture of each job: <stem>_compare.jpg beside the restored one.

    Where two sources would share it, the suffix of the source stays in the name.
    """
    short = [job.destination.with_name(f"{job.source.stem}{COMPARE}.jpg") for job in jobs]
    taken = Counter(short)
    return [
        path if taken[path] == 1 else path.with_name(f"{job.source.name}{COMPARE}.jpg")
        for path, job in zip(short, jobs, strict=True)
    ]


def run_jobs(
    jobs: Sequence[Job],
    restorer: "Restorer",
    *,
    compare: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    quality: int = QUALITY,
) -> Iterator[Event]:
    """Restore every job's source into its destination, reporting events.

    A file that cannot be done is reported and the rest goes on. Files appear whole or not at all,
    also on Ctrl-C. Raises UsageError before any work as `check_destinations` does.
    """
    check_destinations(jobs, compare=compare, overwrite=overwrite, skip_existing=skip_existing)
    yield Started(f"{restorer.model.card.name} on {restorer.model.device}", len(jobs))
    begun = time.perf_counter()
    results: Counter[str] = Counter()
    comparisons = compare_paths(jobs) if compare else [None] * len(jobs)
    for job, comparison in zip(jobs, comparisons, strict=True):
        if skip_existing and job.destination.exists():
            results["skipped"] += 1
            yield FileSkipped(job.source, f"{job.destination} is already there")
            continue
        try:
            yield from _restore_file(job, restorer, comparison, quality)
            results["done"] += 1
        except Exception as error:
            results["failed"] += 1
            _log.debug("%s failed", job.source, exc_info=True)
            yield FileFailed(job.source, _explain(error))
    seconds = time.perf_counter() - begun
    yield Finished(results["done"], results["skipped"], results["failed"], seconds)


def _restore_file(
    job: Job, restorer: "Restorer", comparison: Path | None, quality: int
) -> Iterator[Event]:
    begun = time.perf_counter()
    _require_writable(job.destination)
    degraded = read_image(job.source)
    yield FileStarted(job.source, degraded.height, degraded.width)
    restored = yield from restorer.restore(degraded)
    for loss in lost_in(job.destination, restored):
        yield Warned(f"{job.destination}: {loss}")
    write_image(job.destination, restored, quality=quality)
    details: dict[str, object] = {"height": restored.height, "width": restored.width}
    if comparison is not None:
        write_image(comparison, before_after(degraded, restored))
        details["compare"] = comparison
    yield FileDone(job.source, job.destination, time.perf_counter() - begun, details)


def _require_writable(destination: Path) -> None:
    """Fail before the work, not after it, where the place of the result is known to be bad."""
    folder = next(path for path in destination.absolute().parents if path.exists())
    if not folder.is_dir():
        raise PictureError(f"{destination} cannot be written: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PictureError(
            f"{destination} cannot be written: no permission in {folder}; choose another place"
        )
    if destination.is_dir():
        raise PictureError(f"{destination} is a folder and cannot be written over; name a file")


def _explain(error: Exception) -> str:
    if isinstance(error, RestorekitError):
        return str(error)
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
