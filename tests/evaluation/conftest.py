from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.media.image import write_image
from restorekit.types import Image

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "widths": (2, 3, 4, 5),
    "blocks": 1,
    "residual": True,
    "bias": True,
}


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
