import numpy as np
import pytest
from PIL import Image as PillowImage

from restorekit.training.config import parse_recipe

TINY = {"widths": [4, 4, 4, 4], "blocks": 1, "residual": True, "in_channels": 3}


@pytest.fixture
def photos(tmp_path):
    """Five small clean pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        samples = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:, :44]
        PillowImage.fromarray(samples).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def content(photos):
    """A recipe that trains in a second, as its file would say it."""
    return {
        "name": "tiny",
        "task": "denoise",
        "steps": 20,
        "net": {"backend": "drunet", "config": TINY},
        "data": {
            "photos": str(photos),
            "degradation": "denoise-blind",
            "hold_out": 1,
            "patch": 16,
            "batch": 2,
            "workers": 0,
            "validation_patch": 32,
        },
        "optim": {"warmup": 4},
        "validate_every": 10,
        "save_every": 5,
    }


@pytest.fixture
def recipe(content):
    return parse_recipe(content, "tiny")
