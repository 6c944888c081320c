"""From files to files: restore a list of jobs, one bad file never stops the others."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from restorekit.files import is_there
from restorekit.media.compare import before_after
from restorekit.media.image import QUALITY, lost_in, read_image, write_image
from restorekit.media.paths import Job, place_of

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

    Raises UsageError that lists what exists, when both answers are given, or when a before/after
    picture would take the place of another file of the jobs.
    """
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    comparisons = compare_paths(jobs) if compare else []
    _refuse_clashes(jobs, comparisons)
    if overwrite or skip_existing:
        return
    pictures = [job.destination for job in jobs]
    found = [path for path in pictures + comparisons if is_there(path)]
    if found:
        more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
        raise UsageError(
            f"already there: {', '.join([*map(str, found[:_LISTED]), *more])}; "
            "replace with --overwrite, or leave what is done with --skip-existing"
        )


def _refuse_clashes(jobs: Sequence[Job], comparisons: Iterable[Path]) -> None:
    taken = {place_of(path) for job in jobs for path in (job.source, job.destination)}
    for job, path in zip(jobs, comparisons, strict=False):
        if place_of(path) in taken:
            raise UsageError(
                f"the before/after picture of {job.source} would be written to {path}, which is "
                "the place of another picture; choose another output, or leave --compare out"
            )
        taken.add(place_of(path))


def compare_paths(jobs: Sequence[Job]) -> list[Path]:
    """Name the before/after picture of each job: <stem>_compare.jpg beside the restored one.

    Where two sources would share it, the suffix of the source stays in the name.
    """
    short = [job.destination.with_name(f"{job.source.stem}{COMPARE}.jpg") for job in jobs]
    taken = Counter(map(place_of, short))
    return [
        path if taken[place_of(path)] == 1 else path.with_name(f"{job.source.name}{COMPARE}.jpg")
        for path, job in zip(short, jobs, strict=True)
    ]


@dataclass(frozen=True)
class Files:
    """What is to be written for a job; None is left as it is."""

    job: Job
    restored: Path | None
    comparison: Path | None

    @property
    def skipped(self) -> FileSkipped | None:
        """Why nothing is to be written, where that is so."""
        if self.restored or self.comparison:
            return None
        return FileSkipped(self.job.source, f"{self.job.destination} is already there")


def files_of(
    jobs: Sequence[Job], *, compare: bool = False, skip_existing: bool = False
) -> Iterator[Files]:
    """Say what is to be written for each job, by what is there when it is asked for."""
    comparisons = compare_paths(jobs) if compare else [None] * len(jobs)
    for job, comparison in zip(jobs, comparisons, strict=True):
        wanted = (job.destination, comparison)
        left = (None if skip_existing and path and is_there(path) else path for path in wanted)
        yield Files(job, *left)


def run_jobs(
    jobs: Sequence[Job],
    restorer: "Restorer",
    *,
    compare: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    quality: int = QUALITY,
    left_out: Sequence[FileSkipped] = (),
) -> Iterator[Event]:
    """Restore every job's source into its destination, reporting events.

    `left_out` are the pictures that were named and are no jobs; they are reported first.

    A file that cannot be done is reported and the rest goes on. Files appear whole or not at all,
    also on Ctrl-C. Raises UsageError before any work as `check_destinations` does.
    """
    check_destinations(jobs, compare=compare, overwrite=overwrite, skip_existing=skip_existing)
    total = len(jobs) + len(left_out)
    yield Started(f"{restorer.model.card.name} on {restorer.model.device}", total)
    begun = time.perf_counter()
    results = Counter(skipped=len(left_out))
    yield from left_out
    for files in files_of(jobs, compare=compare, skip_existing=skip_existing):
        if files.skipped:
            results["skipped"] += 1
            yield files.skipped
            continue
        try:
            yield from _make_files(files, restorer, quality)
            results["done"] += 1
        except Exception as error:
            results["failed"] += 1
            _log.debug("%s failed", files.job.source, exc_info=True)
            yield FileFailed(files.job.source, _explain(error))
    seconds = time.perf_counter() - begun
    yield Finished(results["done"], results["skipped"], results["failed"], seconds)


def _make_files(files: Files, restorer: "Restorer", quality: int) -> Iterator[Event]:
    begun = time.perf_counter()
    source, destination = files.job.source, files.job.destination
    written = [path for path in (files.restored, files.comparison) if path is not None]
    for path in written:
        _require_writable(path)
    degraded = read_image(source)
    yield FileStarted(source, degraded.height, degraded.width)
    if files.restored is None:
        restored = read_image(destination)
    else:
        restored = yield from restorer.restore(degraded)
        for loss in lost_in(destination, restored):
            yield Warned(f"{destination}: {loss}")
        write_image(destination, restored, quality=quality)
    details: dict[str, object] = {"height": restored.height, "width": restored.width}
    if files.comparison is not None:
        write_image(files.comparison, before_after(degraded, restored))
        details["compare"] = files.comparison
    yield FileDone(source, written[0], time.perf_counter() - begun, details)


def _require_writable(destination: Path) -> None:
    """Fail before the work, not after it, where the place of the result is known to be bad."""
    try:
        destination.exists()
    except OSError as error:  # a name too long, and a picture beside it may have a short one
        raise PictureError(
            f"{destination} cannot be written: {error.strerror}; choose another output"
        ) from error
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
