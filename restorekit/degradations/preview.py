"""A contact sheet: one picture in all severities of a degradation, or in several draws."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from restorekit.degradations.base import Picture, to_picture, to_samples
from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.degradations.recipe import (
    Recipe,
    apply_chain,
    load_recipe,
    make_reference,
    scale_of,
)
from restorekit.errors import UsageError
from restorekit.media.compare import sheet
from restorekit.types import Image

TILE = 360, 270
"""Width and height in pixels."""
ROW = 3
SHOWN = 5
"""Severities, or draws."""


class Tile(NamedTuple):
    """A picture of the sheet and what is written above it."""

    picture: Picture
    label: str


def preview(name: str, image: Image, *, seed: int = 0) -> Image:
    """Draw the contact sheet, 8-bit RGB: the reference and five degraded pictures with their PSNR.

    `name` is a degradation, shown in its five severities, or whatever `load_recipe` reads. The
    middle of the picture is reduced to the size of a tile before it is degraded, so that every
    pixel of the damage is seen.
    """
    reference = _tile(to_picture(image.pixels))
    tiles = [Tile(reference, f"{name}: reference"), *_degraded(name, reference, seed)]
    rows = [
        sheet(
            [[Image(to_samples(_as_large(tile.picture, reference), np.uint8)) for tile in row]],
            [tile.label for tile in row],
            reference.shape[0],
        ).pixels
        for row in (tiles[:ROW], tiles[ROW:])
    ]
    width = min(row.shape[1] for row in rows)
    return Image(np.concatenate([row[:, :width] for row in rows]))


def _tile(picture: Picture) -> Picture:
    """Cut the middle to the shape of a tile and reduce it to its size."""
    height, width = picture.shape[:2]
    scale = max(1.0, min(width / TILE[0], height / TILE[1]))
    sides = [min(side, int(tile * scale)) for side, tile in zip((width, height), TILE, strict=True)]
    left, top = (width - sides[0]) // 2, (height - sides[1]) // 2
    middle = picture[top : top + sides[1], left : left + sides[0]]
    size = tuple(max(1, int(side / scale)) for side in sides)
    small = np.asarray(cv2.resize(middle, size, interpolation=cv2.INTER_AREA), np.float32)
    return small.reshape(size[1], size[0], picture.shape[2])


def _degraded(name: str, reference: Picture, seed: int) -> Iterator[Tile]:
    by_severity = name in {degradation.name for degradation in DEGRADATIONS}
    for number in range(1, SHOWN + 1):
        recipe = _averages_nothing(load_recipe(f"{name}:{number}" if by_severity else name), name)
        chain = recipe.draw(seed, number)
        scale = scale_of(chain)
        height, width = (side - side % scale for side in reference.shape[:2])
        if not height or not width:
            raise UsageError(f"the picture is too small to be reduced {scale} times")
        kept = np.ascontiguousarray(reference[:height, :width])
        kept = make_reference(kept, recipe.draw_reference(seed, number), seed, number)
        picture = np.clip(apply_chain(kept, chain, seed, number), 0, 1)
        error = np.mean((_as_large(picture, kept) - kept) ** 2, dtype=np.float64)
        psnr = f"{-10 * math.log10(error):.1f} dB" if error else "as it was"
        yield Tile(picture, f"{'severity' if by_severity else 'draw'} {number}: {psnr}")


def _averages_nothing(recipe: Recipe, name: str) -> Recipe:
    if recipe.frames is not None:
        raise UsageError(f"{name} averages the frames of a clip, which one picture does not show")
    return recipe


def _as_large(picture: Picture, reference: Picture) -> Picture:
    """Enlarge by repeating pixels."""
    height, width, channels = reference.shape
    large = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(large, np.float32).reshape(height, width, channels)
