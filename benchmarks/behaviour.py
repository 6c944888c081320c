"""Make docs/behaviour.md: what the embedded models do to pictures that need nothing, and more.

    python benchmarks/behaviour.py [MODEL ...] [--photos DIR] [--runs runs] [-o FILE]

Everything is measured on the samples that ship, on the CPU; `--photos` takes the clean pictures
from a folder instead. `--runs` is where the training runs lie whose float32 weights tell what
storing float16 costs; a model without a run there has no such number. Models that are not measured
keep their lines on the page, if that has the same clean pictures.
"""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from restorekit.backends.hub import embedded, find_checkpoint, weights_folder
from restorekit.backends.model import load_model
from restorekit.data.matching import clean_pictures
from restorekit.data.pairs import read_pair
from restorekit.errors import UsageError
from restorekit.evaluation.run import open_pair
from restorekit.evaluation.samples import is_samples, usual_samples
from restorekit.evaluation.subject import choose_subject
from restorekit.inference.pipeline import Restorer, usual_overlap
from restorekit.inference.plan import split, whole
from restorekit.metrics.full_reference import psnr
from restorekit.ops.pixels import to_tensor
from restorekit.training.state import read_state
from restorekit.types import Precision, Task

PAGE = Path(__file__).parents[1] / "docs" / "behaviour.md"
TILE = 256
"""Pixels: half of what a CPU takes by itself where there is enough memory."""
HALVES = (Precision.FLOAT16, Precision.BFLOAT16)

WANTED = {Task.DENOISE: 40.0, Task.DERAIN: 40.0, Task.DESNOW: 40.0, Task.DEHAZE: 40.0}
"""Least mean PSNR, in dB, of a restored clean picture to the picture itself."""
OTHERWISE = 30.0
"""The same for tasks that are not named, where a picture that looks clean may not be."""
EXEMPT = {
    Task.LOWLIGHT: "brightens every picture",
    Task.SR: "makes a picture of another size",
}
"""Tasks whose business it is to change every picture: no PSNR to the input is asked of them."""
SHIFT = 0.5
"""Largest mean shift of a channel over all clean pictures, in 1/255; not asked of lowlight."""
TILES = 0.5
"""Largest difference that tiles may make, root mean square, in 1/255 ..."""
SEAM = 0.5
"""... and largest mean step of that difference along a border of tiles."""
HALF_COST = {Precision.FLOAT16: 0.02, Precision.BFLOAT16: 0.05}
"""Most that the arithmetic may cost, in dB."""
STORAGE_COST = 0.02
"""Most that storing float16 may cost, in dB."""


@dataclass(frozen=True)
class Clean:
    """What a model does to clean pictures."""

    psnr: float | None
    """Mean PSNR to the input, in dB; None where it is another size."""
    least: float | None
    shift: float
    """Mean shift over the pictures of the channel where it is largest, in 1/255."""
    worst_shift: float
    """The same of a single picture."""


@dataclass(frozen=True)
class Tiled:
    """What tiles change, in 1/255."""

    largest: float
    rms: float
    seam: float
    """Largest step across a border of tiles, averaged along the border."""


@dataclass(frozen=True)
class Behaviour:
    """All that is measured of a model."""

    name: str
    task: Task
    clean: Clean
    tiled: Tiled
    halves: Mapping[Precision, float | None]
    """dB that the arithmetic costs; None where the net refuses it."""
    storage: float | None
    """dB that float16 weights cost; None without the run's float32 weights."""

    @property
    def faults(self) -> Sequence[str]:
        """What is not as it should be, in words."""
        wanted = WANTED.get(self.task, OTHERWISE)
        mean = self.clean.psnr
        checks = [
            ("a clean picture is changed", self.task not in EXEMPT and mean < wanted),
            ("colours shift", self.task is not Task.LOWLIGHT and self.clean.shift >= SHIFT),
            ("tiles make a difference", self.tiled.rms > TILES or self.tiled.seam > SEAM),
            ("float16 storage costs", (self.storage or 0) >= STORAGE_COST),
            *(
                (f"{precision} costs", cost is not None and cost > HALF_COST[precision])
                for precision, cost in self.halves.items()
            ),
        ]
        return [said for said, is_so in checks if is_so]


def bounded_psnr(a, b):
    """PSNR of pictures in [0, 1], in dB; 100 where they are equal, for a mean to have it."""
    return min(float(psnr(a.double(), b.double())), 100.0)


def clean_of(model, pictures):
    """Restore pictures that need nothing."""
    restorer = Restorer(model)
    values, shifts = [], []
    for picture in pictures:
        restored = restorer.restore_tensor(picture)
        shifts.append((restored.mean((2, 3)) - picture.mean((2, 3)))[0] * 255)
        if restored.shape == picture.shape:
            values.append(bounded_psnr(restored, picture))
    mean = statistics.fmean(values) if values else None
    each = torch.stack(shifts)
    systematic, worst = each.mean(0).abs().max(), each.abs().max()
    return Clean(mean, min(values, default=None), float(systematic), float(worst))


def tiled_of(model, pairs):
    """Restore four samples, side by side, at once and in nine tiles.

    They are degraded where the model does not enlarge; what it enlarges is large enough as it is.
    """
    parts = [pair[model.scale > 1] for pair in pairs[:4]]
    picture = torch.cat([torch.cat(parts[:2], -1), torch.cat(parts[2:], -1)], -2)
    in_tiles, at_once = (Restorer(model, tile=tile).restore_tensor(picture) for tile in (TILE, 0))
    difference = (in_tiles - at_once) * 255
    return Tiled(
        float(difference.abs().max()),
        float(difference.square().mean().sqrt()),
        max(steps_at_borders(model, picture, difference)),
    )


def steps_at_borders(model, picture, difference):
    """Yield how much the difference jumps at each border of tiles, averaged along it."""
    overlap = usual_overlap(model.backend.capabilities)
    grid = split(whole(*picture.shape[-2:]), TILE, overlap, model.multiple)
    for dim, spans in ((-2, grid.rows), (-1, grid.columns)):
        jumps = difference.diff(dim=dim).mean(1).abs()
        along = jumps.mean(-1 if dim == -2 else -2)[0]
        for place in {span.start for span in spans[1:]} | {span.stop for span in spans[:-1]}:
            yield float(along[place * model.scale - 1])


def half_costs(model, pairs):
    """Give the dB that each half precision costs; None where the net refuses it, inf if not finite.

    The pictures are restored whole, and by the arithmetic that half precision has on this CPU.
    """
    full = mean_psnr(model, pairs, Precision.FLOAT32)
    costs = {}
    for precision in HALVES:
        try:
            model.precision(precision)
        except UsageError:
            costs[precision] = None
            continue
        costs[precision] = full - mean_psnr(model, pairs, precision)
    return costs


def mean_psnr(model, pairs, precision=Precision.FLOAT32):
    """Mean PSNR of the restored pictures; minus infinity where one is not finite."""
    values = []
    for degraded, reference in pairs:
        restored = model(degraded, precision=precision)
        if not torch.isfinite(restored).all():
            return -math.inf
        values.append(bounded_psnr(restored.clamp(0, 1), reference))
    return statistics.fmean(values)


def storage_cost(model, pairs, run):
    """Give the dB that float16 weights cost: those of the run's last state, kept and rounded."""
    averaged = read_state(run / "state.pt")["average"]
    state = {
        key.removeprefix("module."): value
        for key, value in averaged.items()
        if key.startswith("module.")
    }
    model.net.load_state_dict(state)
    full = mean_psnr(model, pairs)
    rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    model.net.load_state_dict(rounded)
    return full - mean_psnr(model, pairs)


def pairs_of(model):
    """The samples, degraded as the card's row says or as is usual for the task."""
    named = [row.dataset for row in model.card.measured if is_samples(row.dataset)]
    subject = choose_subject(*named or [usual_samples(model.card)])
    opened = (open_pair(pair, subject.protocol, subject.recipe) for pair in subject.pairs)
    return [(degraded, reference) for degraded, reference, _ in opened]


def photos_in(folder):
    """The clean pictures of a folder."""
    return [to_tensor(read_pair(pair)[1]) for pair in clean_pictures(folder)]


def behaviour_of(model, photos, pairs, run=None):
    """Measure a model; `run` is the folder of its training."""
    return Behaviour(
        name=model.card.name,
        task=model.task,
        clean=clean_of(model, photos),
        tiled=tiled_of(model, pairs),
        halves=half_costs(model, pairs),
        # Last, for it changes the weights.
        storage=storage_cost(model, pairs, run) if run is not None else None,
    )


HEAD = """# What the models do besides restoring

Made by `python benchmarks/behaviour.py`; no number on this page is typed by hand.

- **clean**: PSNR in dB of the restored picture to the picture itself, where nothing had to be
  restored: mean, and **least**, of {clean}. Wanted:
  {wanted} dB of {tasks}; {otherwise} dB of the others,
  which may find something to do in a good photograph. Not asked of
  {exempt}.
- **shift**: how far the mean of a colour channel moves over all of these pictures, in 1/255, of
  the channel that moves most, and **worst**, in one picture. Wanted: a shift below {shift}, except
  of lowlight.
- **tiles**: what it changes to restore in nine tiles of {tile} pixels instead of at once, in 1/255:
  root mean square, the largest mean step across a border of tiles (**seam**), and the **largest**
  difference of all. Wanted: at most {tiles} and {seam}. From here on the pictures are the samples
  that ship, degraded as the card of the model says.
- **float16**, **bfloat16**: dB that the arithmetic costs against float32, by CPU autocast; infinite
  where a number is not finite. Wanted: at most {half} and {bhalf}. A CPU computes in
  bfloat16 where it has the instructions and the picture 8 bits, else in float32.
- **storage**: dB that weights stored in float16 cost, of the last state of the training. Wanted:
  below {storage}.

"""
COLUMNS = (
    *("model", "task", "clean", "least", "shift", "worst", "tiles", "seam", "largest"),
    *("float16", "bfloat16", "storage", "not as wanted"),
)


def page(rows, clean, before=""):
    """The page as text, with the lines that the page `before` has of other models."""
    head = HEAD.format(
        clean=clean,
        wanted=f"{WANTED[Task.DENOISE]:g}",
        tasks=", ".join(WANTED),
        otherwise=f"{OTHERWISE:g}",
        exempt=" and ".join(f"{task} ({why})" for task, why in EXEMPT.items()),
        shift=SHIFT,
        tile=TILE,
        tiles=f"{TILES:g}",
        seam=SEAM,
        half=HALF_COST[Precision.FLOAT16],
        bhalf=HALF_COST[Precision.BFLOAT16],
        storage=STORAGE_COST,
    )
    titles = f"| {' | '.join(COLUMNS)} |\n|---|---|{'---:|' * (len(COLUMNS) - 3)}---|\n"
    top = head + titles
    kept = before.removeprefix(top).splitlines(keepends=True) if before.startswith(top) else []
    lines = {name_in(text): text for text in [*kept, *map(line, rows)]}
    return top + "".join(lines[name] for name in sorted(lines))


def line(row):
    """A model's row of the table."""
    cells = [
        row.name,
        row.task,
        number(row.clean.psnr, 1),
        number(row.clean.least, 1),
        number(row.clean.shift, 2),
        number(row.clean.worst_shift, 2),
        number(row.tiled.rms, 2),
        number(row.tiled.seam, 2),
        number(row.tiled.largest, 1),
        *(number(row.halves[precision], 3) for precision in HALVES),
        number(row.storage, 4),
        ", ".join(row.faults) or "-",
    ]
    return f"| {' | '.join(cells)} |\n"


def name_in(line):
    """The model that a line of the table is about."""
    return line.split("|")[1].strip()


def number(value, digits):
    """A number for the table; a dash where there is none."""
    return "-" if value is None else f"{value + 0:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all that are embedded")
    parser.add_argument("--photos", type=Path, help="folder of clean pictures; else the samples")
    parser.add_argument("--runs", type=Path, help="folder of the training runs")
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    photos = photos_in(arguments.photos or weights_folder() / "samples")
    where = "the samples that ship" if arguments.photos is None else arguments.photos.name
    rows = []
    for path in [*map(find_checkpoint, arguments.models)] or embedded():
        model = load_model(path, device="cpu")
        run = arguments.runs / path.stem if arguments.runs else None
        found = run if run is not None and (run / "state.pt").is_file() else None
        rows.append(behaviour_of(model, photos, pairs_of(model), found))
        print(line(rows[-1]), end="", flush=True)
    before = arguments.output.read_text() if arguments.output.is_file() else ""
    arguments.output.write_text(page(rows, f"the {len(photos)} pictures of {where}", before))


if __name__ == "__main__":
    main()
