"""Degraded pictures beside their references, with a manifest that rebuilds them to the byte."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from restorekit.degradations.base import Degradation, to_picture, to_samples
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.recipe import Recipe, apply_chain
from restorekit.errors import DataError, PictureError, UsageError
from restorekit.events import Event, FileDone, FileFailed, Finished, Started
from restorekit.media.image import read_image, write_image
from restorekit.media.paths import Source
from restorekit.types import Image, Pixels

MANIFEST = "manifest.jsonl"
PACKAGES = ("restorekit", "numpy", "opencv-python-headless", "pillow")
"""The packages that decide the bytes."""
Chain = tuple[tuple[int, Degradation], ...]


class Operation(BaseModel):
    """One degradation as it was drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: int
    """Where it stands in the recipe; part of the name of its random numbers."""
    op: str
    parameters: dict[str, float | int | str | bool]


class Entry(BaseModel):
    """One line of a manifest: all it takes to make the same bytes again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    source: str
    """Relative to the folder that was given."""
    source_sha256: str
    copy_number: int
    seed: int
    name: str
    """Relative path under degraded/ and reference/."""
    operations: tuple[Operation, ...]
    versions: dict[str, str]

    @property
    def chain(self) -> Chain:
        """The degradations, rebuilt."""
        return tuple(
            (o.place, find_degradation(o.op).from_values(o.parameters)) for o in self.operations
        )


@dataclass(frozen=True)
class PairJob:
    """A picture to degrade: where it lies, what it is called, and its chain."""

    path: Path
    relative: str
    """Its path below the folder that was given: the name of its random numbers."""
    copy_number: int
    seed: int
    chain: Chain

    @property
    def name(self) -> str:
        """Where the pair goes below degraded/ and reference/."""
        suffix = f"_{self.copy_number}" if self.copy_number else ""
        return f"{self.relative.rsplit('.', 1)[0]}{suffix}.png"


def plan_pairs(
    sources: Sequence[Source], recipe: Recipe, *, seed: int, count: int
) -> list[PairJob]:
    """Draw the chains of `count` copies of each picture.

    Two pictures that would share a name, such as a.jpg and a.png, are a UsageError.
    """
    jobs = [
        PairJob(source.path, name, copy, seed, recipe.draw(seed, name, copy))
        for source, name in ((source, source.relative.as_posix()) for source in sources)
        for copy in range(count)
    ]
    taken: dict[str, PairJob] = {}
    for job in jobs:
        other = taken.setdefault(job.name.lower(), job)
        if other is not job:
            raise UsageError(
                f"{job.path} and {other.path} would both become {job.name}; rename one of them"
            )
    return jobs


def replay_pairs(manifest: Path, sources: Sequence[Source]) -> list[PairJob]:
    """Read a manifest and find its pictures among the sources, each with the hash it had."""
    paths = {source.relative.as_posix(): source.path for source in sources}
    if not manifest.is_file():
        raise UsageError(f"{manifest}: no such manifest; degrade writes {MANIFEST}")
    jobs = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise DataError(
                f"{manifest}, line {number}: not an entry of version 1: {reason}"
            ) from None
        if entry.source not in paths:
            raise DataError(f"{manifest}, line {number}: {entry.source} is not among the inputs")
        path = paths[entry.source]
        if _sha256(path) != entry.source_sha256:
            raise DataError(f"{path}: is not the picture that {manifest} was made from")
        jobs.append(PairJob(path, entry.source, entry.copy_number, entry.seed, entry.chain))
    return jobs


def make_pairs(jobs: Sequence[PairJob], output: Path) -> Iterator[Event]:
    """Write degraded/, reference/ and the manifest below `output`, reporting each picture.

    A picture that cannot be read is reported and left out. Where the chain reduces the size, the
    reference is cropped to a multiple of the factor and keeps its size.
    """
    manifest = output / MANIFEST
    if manifest.exists():
        raise UsageError(f"{manifest}: holds pairs already; choose another folder or remove it")
    started = time.perf_counter()
    yield Started("degrade", len(jobs))
    failed = 0
    for job in jobs:
        try:
            yield _make_pair(job, output)
        except PictureError as error:
            failed += 1
            yield FileFailed(job.path, str(error))
    yield Finished(len(jobs) - failed, 0, failed, time.perf_counter() - started)


def _make_pair(job: PairJob, output: Path) -> FileDone:
    started = time.perf_counter()
    reference = _divisible(read_image(job.path).pixels, job)
    picture = apply_chain(to_picture(reference), job.chain, job.seed, job.relative, job.copy_number)
    destination = output / "degraded" / job.name
    write_image(output / "reference" / job.name, Image(reference))
    write_image(destination, Image(to_samples(picture, reference.dtype)))
    with (output / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(_entry(job).model_dump_json() + "\n")
    operations = [degradation.name for _, degradation in job.chain]
    seconds = time.perf_counter() - started
    return FileDone(job.path, destination, seconds, {"operations": operations})


def _divisible(pixels: Pixels, job: PairJob) -> Pixels:
    """Crop to a multiple of the chain's scale, so that reference and degraded picture align."""
    scale = math.prod(degradation.scale for _, degradation in job.chain)
    height, width = (side - side % scale for side in pixels.shape[:2])
    if not height or not width:
        raise PictureError(
            f"{job.path}: is {pixels.shape[1]} x {pixels.shape[0]}, "
            f"too small to be reduced {scale} times"
        )
    return np.ascontiguousarray(pixels[:height, :width])


def _entry(job: PairJob) -> Entry:
    operations = tuple(
        Operation(place=place, op=degradation.name, parameters=degradation.model_dump())
        for place, degradation in job.chain
    )
    return Entry(
        source=job.relative,
        source_sha256=_sha256(job.path),
        copy_number=job.copy_number,
        seed=job.seed,
        name=job.name,
        operations=operations,
        versions={name: version(name) for name in PACKAGES},
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
