from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.evaluation.run import Evaluation, PairResult
from restorekit.events import Event
from restorekit.media.image import write_image
from restorekit.metrics.protocols import get_protocol
from restorekit.types import Image

Result = TypeVar("Result")

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "widths": (2, 3, 4, 5),
    "blocks": 1,
    "residual": True,
    "bias": True,
}


def finish(events: Generator[Event, None, Result]) -> tuple[list[Event], Result]:
    """All events, and what the generator returns."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return seen, end.value


def pair(name: str, before: float, after: float, **other: object) -> PairResult:
    """A result of half a megapixel in a quarter of a second."""
    degraded = {"psnr": before, "ssim": 0.5}
    restored = {"psnr": after, "ssim": 0.75}
    return PairResult(name, 500_000, degraded, restored, 0.25, **other)


def picture(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(60, 180, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs; the degraded pictures are darker by 10, 20 and 30 levels."""
    root = tmp_path / "set"
    for k in (1, 2, 3):
        reference = picture(k)
        for kind, pixels in (("target", reference), ("input", reference - np.uint8(10 * k))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            write_image(root / kind / f"{k}.png", Image(pixels))
    return root


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A very small net that returns its input."""
    torch.manual_seed(0)
    state = build_net("drunet", **CONFIG).state_dict()
    state["m_tail.weight"].zero_()
    state["m_tail.bias"].zero_()
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(path, state, Card(name="tiny", backend="drunet", config=CONFIG, task="derain"))
    return path


@pytest.fixture
def evaluations() -> list[Evaluation]:
    """Two models on the two pairs of a set; a makes one of the pictures worse."""
    protocol = get_protocol("rain-y-matlab")
    good = (pair("1", 20, 30), pair("2", 25, 24))
    large = (pair("1", 20, 28, peak_bytes=200 * 2**20), pair("2", 25, 26))
    return [
        Evaluation("a", "Rain100L", protocol, good),
        Evaluation("b", "Rain100L", protocol, large),
    ]
