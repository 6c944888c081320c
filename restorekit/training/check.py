"""Is everything right for a run? Pictures, what the net will see, time and space."""

import math
import statistics
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from restorekit.data.crops import require_side
from restorekit.data.matching import survey
from restorekit.data.pairs import Pair, read_pair
from restorekit.data.pictures import read_picture
from restorekit.degradations.base import to_picture, to_samples
from restorekit.errors import DataError, RestorekitError
from restorekit.events import Event, FileFailed, Finished, PairMeasured, Started, Warned
from restorekit.files import free_bytes
from restorekit.media.compare import sheet
from restorekit.media.image import write_image
from restorekit.training.batches import Examples, batches
from restorekit.training.config import DataRecipe, TrainingRecipe
from restorekit.training.loop import Run, make_folder, open_run, require_space, take_step
from restorekit.training.sources import Crop, find_pictures
from restorekit.training.validation import hold
from restorekit.types import Image, Pixels

SHEET = "check.png"
SHEET_ROWS, SHEET_EXAMPLES, SHEET_HEIGHT = 4, 3, 160
"""Rows from all over the run, examples in each, and pixels of a row's height."""
TIMED = 4
"""Steps that are timed in each stage, after one that is not."""
UNLIKE = 12.0
"""Pairs below this PSNR in dB hardly show the same scene."""


@dataclass(frozen=True)
class Opened:
    """What a picture turned out to be; sizes in pixels, of the degraded one of a pair."""

    width: int
    height: int
    psnr: float
    """Of the degraded picture, dB; NaN where there is nothing to compare."""


@dataclass(frozen=True)
class Split:
    """The pictures to train on, or those held out for validation."""

    name: str
    pictures: int
    unusable: int
    smallest: str
    """As 640x480, of those that can be used."""
    largest: str
    psnr: float | None
    """Mean over the pairs as they came, dB; None for clean pictures."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found; nothing of it stays but the contact sheet."""

    splits: tuple[Split, ...]
    sheet: Path
    steps: int
    seconds_per_step: float
    """Mean over the run, whose stages may differ."""
    validations: int
    seconds_per_validation: float
    needed_bytes: int
    """Room for the run's states and checkpoints."""
    free_bytes: int

    @property
    def seconds(self) -> float:
        """How long the run will take."""
        return self.steps * self.seconds_per_step + self.validations * self.seconds_per_validation


def check_run(
    recipe: TrainingRecipe, folder: Path, device: torch.device
) -> Generator[Event, None, CheckReport]:
    """Open every picture, draw what the net will see, take some steps and forget them.

    Raises DataError after all files were looked at, when one is of no use; TrainingError when the
    run would fill the disk. Writes nothing but `check.png` into the run's folder.
    """
    begun = time.perf_counter()
    splits = yield from _open_all(recipe.data)
    run = open_run(recipe, device)
    write_image(make_folder(folder) / SHEET, draw_sheet(run))
    needed = require_space(run, folder)
    per_step = _mean_step(run)
    validation = time.perf_counter()
    hold(run.objective.net, run.source, recipe.seed, device, recipe.net.backend)
    validation = time.perf_counter() - validation
    yield Finished(sum(s.pictures for s in splits), 0, 0, time.perf_counter() - begun)
    return CheckReport(
        splits,
        folder / SHEET,
        run.length.steps,
        per_step,
        math.ceil(run.length.steps / recipe.validate_every) + recipe.validate_start,
        validation,
        needed,
        free_bytes(folder),
    )


def draw_sheet(run: Run) -> Image:
    """Draw examples of the beginning, the middle and the end of a run, degraded and reference."""
    examples = Examples(run.source, run.order)
    rows = []
    for row in range(SHEET_ROWS):
        step = row * run.length.steps // SHEET_ROWS
        drawn = [
            examples.example(run.order.draw(step, index))
            for index in range(min(SHEET_EXAMPLES, run.order.batch(step)))
        ]
        rows.append([_shown(crop) for example in drawn for crop in example])
    return sheet(rows, ["degraded", "reference"] * SHEET_EXAMPLES, SHEET_HEIGHT)


def _shown(crop: Crop) -> Image:
    return Image(to_samples(crop[..., :3].clip(0, 1), np.dtype(np.uint8)))


def _open_all(data: DataRecipe) -> Generator[Event, None, tuple[Split, ...]]:
    left_over = survey(data.pairs).findings if data.pairs is not None else ()
    for finding in left_over:
        yield FileFailed(finding.path, f"{finding.problem}: {finding.path}")
    if left_over:
        files = "1 file" if len(left_over) == 1 else f"{len(left_over)} files"
        raise DataError(f"{data.pairs}: {files} of no use; each is named above")
    train, held_out = find_pictures(data)
    yield Started("open pictures", len(train) + len(held_out))
    patch = max([data.patch, *(s.patch for s in data.stages)]) if data.small == "refuse" else 1
    splits = []
    for name, pictures, least in (("train", train, patch), ("validation", held_out, 1)):
        opened: list[Opened | None] = []
        for picture in pictures:
            opened += [(yield from _open(name, picture, least))]
        splits.append(_summed_up(name, opened))
    if any(split.unusable for split in splits):
        counts = " and ".join(f"{s.unusable} of {s.pictures} to {s.name}" for s in splits)
        raise DataError(f"{counts} cannot be used; each is named above")
    return tuple(splits)


def _open(name: str, picture: Path | Pair, least: int) -> Generator[Event, None, Opened | None]:
    """Open a picture and tell its size and, of a pair, its PSNR; None when it is of no use."""
    begun = time.perf_counter()
    path = picture if isinstance(picture, Path) else picture.degraded
    try:
        degraded, reference = _decoded(picture)
        require_side(path, degraded.shape[:2], least)
    except RestorekitError as error:
        yield FileFailed(path, f"{name}: {error}")
        return None
    opened = Opened(degraded.shape[1], degraded.shape[0], _psnr(degraded, reference))
    if opened.psnr < UNLIKE:
        yield Warned(
            f"{name}: {path}: only {opened.psnr:.1f} dB like its reference; "
            "do both show the same scene?"
        )
    values = {key: value for key, value in asdict(opened).items() if math.isfinite(value)}
    yield PairMeasured(f"{name}: {path}", values, time.perf_counter() - begun)
    return opened


def _decoded(picture: Path | Pair) -> tuple[Pixels, Pixels]:
    if isinstance(picture, Pair):
        return read_pair(picture)
    pixels = read_picture(picture).pixels
    return pixels, pixels


def _psnr(degraded: Pixels, reference: Pixels) -> float:
    """PSNR in dB; NaN of clean pictures and of pairs of two sizes."""
    if degraded is reference or degraded.shape != reference.shape:
        return math.nan
    difference = to_picture(degraded) - to_picture(reference)
    return -10 * math.log10(max(float(np.square(difference).mean()), 1e-10))


def _summed_up(name: str, opened: Sequence[Opened | None]) -> Split:
    usable = sorted(filter(None, opened), key=lambda each: each.width * each.height)
    values = [each.psnr for each in usable if math.isfinite(each.psnr)]
    return Split(
        name,
        len(opened),
        len(opened) - len(usable),
        f"{usable[0].width}x{usable[0].height}" if usable else "",
        f"{usable[-1].width}x{usable[-1].height}" if usable else "",
        statistics.fmean(values) if values else None,
    )


def _mean_step(run: Run) -> float:
    """Seconds of a step, loading included: the mean over the run's stages."""
    ends = [stage.until for stage in run.recipe.data.stages]
    bounds = [0, *(end for end in ends if end < run.length.steps), run.length.steps]
    lengths = [end - begin for begin, end in pairwise(bounds)]
    times = [_time_stage(run, begin) for begin in bounds[:-1]]
    return sum(map(math.prod, zip(lengths, times, strict=True))) / run.length.steps


def _time_stage(run: Run, begin: int) -> float:
    times = []
    started = time.perf_counter()
    for batch in batches(run.source, run.order, range(begin, begin + 1 + TIMED)):
        take_step(run, batch, lr=0.0)
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.fmean(times[1:])
