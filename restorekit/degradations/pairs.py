"""Degraded pictures beside their references, with a manifest that rebuilds them to the byte."""

import errno
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from restorekit.degradations.base import MapName, Picture, Plane, to_picture, to_samples
from restorekit.degradations.frames import Clip
from restorekit.degradations.manifest import (
    MANIFEST,
    Entry,
    add_line,
    keep_complete,
    operations_of,
    sha256,
    versions,
)
from restorekit.degradations.plan import PairJob
from restorekit.degradations.recipe import make_reference, scale_of, trace_chain
from restorekit.errors import DataError, PictureError, UsageError
from restorekit.events import Event, FileDone, FileFailed, Finished, Started, Warned
from restorekit.files import atomic_path, is_there
from restorekit.media.color_profile import is_srgb
from restorekit.media.encode import encode
from restorekit.media.formats import Format
from restorekit.media.image import QUALITY, read_image
from restorekit.types import Image, Pixels

AHEAD = 4
"""Pictures that are begun for each worker before the first of them has to be finished."""
SUFFIXES: Mapping[MapName, str] = {
    "kernel": ".tif",
    "depth": ".tif",
    "mask": ".png",
    "map": ".npy",
}
"""Kernels and depth are float32, masks 16 bit, maps float32 (H, W, 2)."""


@dataclass(frozen=True)
class Opened:
    """What was read for a pair."""

    reference: Pixels
    picture: Picture
    """What the chain starts from."""
    depth: Plane | None = None
    lost: str = ""
    """What the picture has and the pair will not have."""


@dataclass(frozen=True)
class Made:
    """A pair that was written, or why it was not."""

    job: PairJob
    entry: Entry | None
    error: str
    seconds: float
    lost: str = ""


def make_pairs(
    jobs: Sequence[PairJob], output: Path, *, workers: int = 1, resume: bool = False
) -> Iterator[Event]:
    """Write degraded/, reference/, the maps and the manifest below `output`, reporting each pair.

    The bytes of all of them do not depend on the number of processes. A picture that cannot be
    read is reported and left out. Where the chain reduces the size, the reference is cropped to a
    multiple of the factor and keeps its size. A pair belongs to the manifest once its files are
    there; `resume` goes on behind the last one.

    Raises:
        UsageError: the folder holds pairs already, or on a resume those of another command.
        DataError: the folder cannot be written to, or a picture changed before a resume.
    """
    done = _resumed(jobs, output) if resume else _fresh(output)
    left = [job for job in jobs if job.name not in done]
    begun = time.perf_counter()
    yield Started("degrade", len(jobs), len(done))
    failed = 0
    warned: set[Path] = set()
    found: set[str] = {name.partition("/")[0] for entry in done.values() for name in entry.files}
    for made in _made(left, output, workers):
        if made.entry is None:
            failed += 1
            yield FileFailed(made.job.path, made.error)
            continue
        add_line(output / MANIFEST, made.entry)
        if made.lost and made.job.path not in warned:
            warned.add(made.job.path)
            yield Warned(f"{made.job.path}: {made.lost}")
        found |= {name.partition("/")[0] for name in made.entry.files}
        operations = [degradation.name for _, degradation in made.job.chain]
        place = output / "degraded" / made.job.name
        yield FileDone(made.job.path, place, made.seconds, {"operations": operations})
    for kind in {kind for job in jobs for kind in job.save} - found:
        yield Warned(f"no step of the recipe has a {kind} to save")
    yield Finished(len(left) - failed, 0, failed, time.perf_counter() - begun)


def _fresh(output: Path) -> dict[str, Entry]:
    for name in (MANIFEST, "degraded", "reference"):
        if (output / name).exists():
            raise UsageError(
                f"{output / name}: there are pairs already; go on with --resume, "
                "choose another folder or remove it"
            )
    return {}


def _resumed(jobs: Sequence[PairJob], output: Path) -> dict[str, Entry]:
    entries = {entry.name: entry for entry in keep_complete(output)}
    planned = {job.name: job for job in jobs}
    for name, entry in entries.items():
        job = planned.get(name)
        if job is None or not job.makes(entry):
            raise UsageError(
                f"{output / MANIFEST}: {name} is not what this command makes; resume with the "
                "recipe, the seed and the pictures that the pairs were begun with"
            )
        if job.source_sha256() != entry.source_sha256:
            raise DataError(f"{job.path}: has changed since {name} was made from it")
    return entries


def _made(jobs: Sequence[PairJob], output: Path, workers: int) -> Iterator[Made]:
    """Make the pairs in the order of the jobs."""
    make = partial(_make_pair, output=output)
    if workers == 1 or len(jobs) < 2:
        yield from map(make, jobs)
        return
    # Spawned, for OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _prepare_worker)
    waiting: deque[Future[Made]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(make, job))
            if len(waiting) == AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "a worker died, perhaps for want of memory; go on with --resume and fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    # Ctrl-C reaches every process of the terminal; the parent alone decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make_pair(job: PairJob, output: Path) -> Made:
    begun = time.perf_counter()
    try:
        opened = _opened(job)
        files = _render(job, opened)
        entry = _entry(job, files)
        _require_promised(job, entry)
        _write(files, output)
    except (PictureError, UsageError) as error:
        return Made(job, None, str(error), time.perf_counter() - begun)
    return Made(job, entry, "", time.perf_counter() - begun, opened.lost)


def _render(job: PairJob, opened: Opened) -> dict[str, bytes]:
    """Return the contents of the files of a pair by their paths below the output folder."""
    reference, picture, depth = _divisible(job, opened.reference, opened.picture, opened.depth)
    if job.reference:
        picture = make_reference(picture, job.reference, job.seed, job.key, job.copy_number)
        reference = to_samples(picture, reference.dtype)
    degraded = trace_chain(picture, job.chain, job.seed, job.key, job.copy_number, depth=depth)
    files = {
        f"reference/{job.name}": _png(reference),
        f"degraded/{job.name}": _png(to_samples(degraded.picture, reference.dtype)),
    }
    stem = job.name.removesuffix(".png")
    for kind in job.save:
        maps = (values for name, values in degraded.maps if name == kind)
        for number, values in enumerate(maps, 1):
            again = f".{number}" if number > 1 else ""
            files[f"{kind}/{stem}{again}{SUFFIXES[kind]}"] = _encoded(kind, values)
    return files


def _opened(job: PairJob) -> Opened:
    if job.frames is not None:
        return Opened(*Clip(job.path, job.source).read(job.frames))
    image = read_image(job.path)
    picture = to_picture(image.pixels)
    depth = _depth(job.depth, picture) if job.depth is not None else None
    return Opened(image.pixels, picture, depth, _lost(image))


def _lost(image: Image) -> str:
    profiled = image.icc is not None and not is_srgb(image.icc)
    parts = {"alpha channel": image.alpha is not None, "colour profile": profiled}
    lost = [f"the {part}" for part, is_there in parts.items() if is_there]
    verb = "is" if len(lost) == 1 else "are"
    return f"{' and '.join(lost)} {verb} dropped" if lost else ""


def _depth(path: Path, picture: Picture) -> Plane:
    depth = to_picture(read_image(path).pixels)
    if depth.shape[2] != 1:
        raise PictureError(f"{path}: is a colour picture; a depth map has one channel")
    if depth.shape[:2] != picture.shape[:2]:
        sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in (depth, picture))
        raise PictureError(f"{path}: depth map and picture differ in size: {sizes}")
    return depth[:, :, 0]


def _divisible(
    job: PairJob, reference: Pixels, picture: Picture, depth: Plane | None
) -> tuple[Pixels, Picture, Plane | None]:
    """Crop to a multiple of the chain's scale, so that reference and degraded picture align."""
    scale = scale_of(job.chain)
    height, width = (side - side % scale for side in reference.shape[:2])
    if not height or not width:
        raise PictureError(
            f"{job.path}: is {reference.shape[1]} x {reference.shape[0]}, "
            f"too small to be reduced {scale} times"
        )
    reference, picture = (np.ascontiguousarray(p[:height, :width]) for p in (reference, picture))
    return reference, picture, None if depth is None else depth[:height, :width]


def _encoded(kind: MapName, values: NDArray[np.float32]) -> bytes:
    if kind == "map":
        file = BytesIO()
        np.save(file, values)
        return file.getvalue()
    plane = values[:, :, None]
    if kind == "mask":
        return _png(to_samples(plane, np.uint16))
    return encode(Image(plane), Format.TIFF, QUALITY)


def _png(pixels: Pixels) -> bytes:
    return encode(Image(pixels), Format.PNG, QUALITY)


def _entry(job: PairJob, files: Mapping[str, bytes]) -> Entry:
    return Entry(
        source=job.source,
        source_sha256=job.source_sha256(),
        frames=job.frames,
        depth_sha256=sha256(job.depth) if job.depth is not None else None,
        copy_number=job.copy_number,
        seed=job.seed,
        recipe=job.recipe,
        recipe_sha256=job.recipe_sha256,
        name=job.name,
        reference=operations_of(job.reference) or None,
        operations=operations_of(job.chain),
        save=job.save,
        files={name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        versions=versions(),
    )


def _require_promised(job: PairJob, entry: Entry) -> None:
    different = [name for name, digest in job.promised.items() if entry.files.get(name) != digest]
    if different:
        now = ", ".join(f"{package} {number}" for package, number in versions().items())
        raise PictureError(
            f"{job.path}: gives other bytes for {', '.join(different)} than the manifest lists; "
            f"replay with the versions it names (these are {now})"
        )


def _write(files: Mapping[str, bytes], output: Path) -> None:
    """Write all of the files or none."""
    try:
        with ExitStack() as stack:
            for name, data in files.items():
                stack.enter_context(atomic_path(output / name)).write_bytes(data)
    except BaseException as error:
        for path in (output / name for name in files):
            if is_there(path):
                path.unlink()
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise PictureError(
                f"{max(files, key=len)}: is too long a name for a file here; rename the picture"
            ) from error
        if isinstance(error, OSError):
            raise DataError(
                f"{output}: cannot be written to ({error.strerror or error}); make room or choose "
                "another place, what is finished is kept"
            ) from error
        raise
