"""Small trees of tiny pictures, laid out as the published sets are."""

from pathlib import Path

import numpy as np
from PIL import Image


def put(*paths: Path, size: tuple[int, int] = (6, 4), level: int = 0) -> None:
    """Write a picture of one grey at each of the paths."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (level,) * 3).save(path)


def plant(root: Path, *names: str, size: tuple[int, int] = (6, 4)) -> None:
    """Write pictures below a root by their relative paths."""
    put(*(root / name for name in names), size=size)


def cifar_rows(count: int) -> np.ndarray:
    """(count, 3072) samples as CIFAR-10 stores them; row k begins with k."""
    rows = np.arange(count * 3072, dtype=np.uint32).reshape(count, 3072) % 251
    rows[:, 0] = np.arange(count)
    return rows.astype(np.uint8)
