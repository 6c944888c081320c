"""Time and peak memory of restoring a large photograph from file to file.

    python benchmarks/restore.py [--photo FILE] [--model NAME|FILE] [--threads N] [--tile N]

Without a photo it makes one of 12 megapixels, without a model a net of the size of the embedded
ones with random weights. Prints the time inside the net ("tiles"), all other time (reading,
cutting, joining, writing) as a part of it, and the peak resident memory of the process.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import Model, build_net, load_model
from restorekit.events import FileFailed, TileDone
from restorekit.inference.jobs import run_jobs
from restorekit.inference.pipeline import Restorer
from restorekit.media.image import write_image
from restorekit.media.paths import Job
from restorekit.types import Image

CONFIG = {
    "in_channels": 3,
    "widths": (16, 48, 96, 160),
    "blocks": 2,
    "residual": True,
    "bias": True,
}
SIZE = 3000, 4000


class TimedModel(Model):
    """A model that notes the seconds of its runs."""

    seconds: ClassVar[list[float]] = []

    def __call__(self, x, **options):
        begun = time.perf_counter()
        restored = super().__call__(x, **options)
        self.seconds.append(time.perf_counter() - begun)
        return restored


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo or make_photo(Path(folder) / "photo.jpg")
        model = load_model(options.model or random_checkpoint(Path(folder)))
        timed = TimedModel(**{field.name: getattr(model, field.name) for field in fields(Model)})
        before = peak_memory()
        begun = time.perf_counter()
        job = Job(photo, Path(folder) / "restored.jpg")
        events = list(run_jobs([job], Restorer(timed, tile=options.tile)))
        total = time.perf_counter() - begun
    if failed := [event.error for event in events if isinstance(event, FileFailed)]:
        raise SystemExit(failed[0])
    tiles = sum(isinstance(event, TileDone) for event in events)
    inside = sum(timed.seconds)
    print(f"{events[-2].details}, {tiles} tiles on {model.device}, {options.threads} threads")
    print(f"tiles {inside:.2f} s, total {total:.2f} s: {(total / inside - 1):.1%} more")
    print(f"peak memory {peak_memory():.2f} GB, {before:.2f} GB before the photograph was read")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tile", type=lambda text: text if text == "auto" else int(text))
    parser.set_defaults(tile="auto")
    return parser.parse_args()


def make_photo(path: Path) -> Path:
    """Write a picture with structure of several sizes and a little noise."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    for step in (400, 40, 4):
        coarse = rng.integers(0, 80, (SIZE[0] // step, SIZE[1] // step, 3), dtype=np.uint8)
        pixels += cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    write_image(path, Image(pixels))
    return path


def random_checkpoint(folder: Path) -> Path:
    path = folder / "random.safetensors"
    card = Card(name="random", backend="drunet", config=CONFIG)
    write_checkpoint(path, build_net("drunet", **CONFIG).state_dict(), card)
    return path


def peak_memory() -> float:
    """Largest resident size of this process so far, in GB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
