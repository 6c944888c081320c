"""A set that ships: small references, each degraded anew by a recipe with a fixed seed.

It is called `samples:RECIPE`, as in `samples:gaussian-noise:3` or `samples:rain100l-like`.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from restorekit.backends import hub
from restorekit.backends.card import Card
from restorekit.data.matching import clean_pictures
from restorekit.data.pairs import Pair
from restorekit.degradations.base import to_picture, to_samples
from restorekit.degradations.recipe import (
    Recipe,
    apply_chain,
    list_presets,
    load_recipe,
    make_reference,
    scale_of,
)
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.types import Pixels, Task

PREFIX = "samples:"
SEED = 0
USUAL: Mapping[Task, str] = {
    Task.DERAIN: "rain-streaks:3",
    Task.RAINDROP: "raindrops:3",
    Task.DEHAZE: "haze:2",
    Task.DESNOW: "snow:3",
    Task.DEBLUR: "camera-shake:2",
    Task.DEFOCUS: "depth-defocus:3",
    Task.DENOISE: "gaussian-noise:3",
    Task.DEJPEG: "jpeg:3",
    Task.LOWLIGHT: "low-light:2",
    Task.DESCRATCH: "film-scratches:3",
}
"""What a model of a task is measured on where nothing else is asked for."""


def is_samples(dataset: str) -> bool:
    """Whether a name of a set means the pictures that ship."""
    return dataset.startswith(PREFIX)


def usual_samples(card: Card) -> str:
    """Name the set for a model by its task and scale; UsageError where its task is not known."""
    if card.task is Task.SR:
        return f"{PREFIX}classical-x{card.scale}"
    if card.task is None:
        raise UsageError(
            f"the card of {card.name} names no task; say what the samples are degraded by "
            "with --degradation, as in --degradation gaussian-noise:3"
        )
    return f"{PREFIX}{USUAL[card.task]}"


def find_samples(dataset: str) -> tuple[list[Pair], Recipe]:
    """List the references that ship, as clean pairs of the recipe's scale, and read the recipe.

    The recipe is one that ships or a degradation at a severity, never a file, so that the name
    means the same everywhere. Raises UsageError for any other, DataError where the pictures are
    missing.
    """
    name = dataset.removeprefix(PREFIX)
    if name not in list_presets() and ":" not in name:
        raise UnknownNameError("degradation recipe of the samples", name, list_presets())
    recipe = load_recipe(name)
    if recipe.frames is not None:
        raise UsageError(f"{dataset}: the recipe averages frames, and the samples are pictures")
    folder = hub.weights_folder() / "samples"
    if not folder.is_dir():
        raise DataError(f"{folder}: the sample pictures are missing; install restorekit again")
    return [_scaled(pair, recipe) for pair in clean_pictures(folder)], recipe


def _scaled(pair: Pair, recipe: Recipe) -> Pair:
    return replace(pair, scale=scale_of(recipe.draw(SEED, pair.name)))


def degrade_sample(reference: Pixels, recipe: Recipe, name: str) -> tuple[Pixels, Pixels]:
    """Make the degraded picture and its reference, 8-bit ones, from (H, W, C) samples.

    What is drawn depends on the recipe and on `name` alone.
    """
    start = make_reference(to_picture(reference), recipe.draw_reference(SEED, name), SEED, name)
    degraded = apply_chain(start, recipe.draw(SEED, name), SEED, name)
    return to_samples(degraded, np.uint8), to_samples(start, np.uint8)
