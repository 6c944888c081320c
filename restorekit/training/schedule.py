"""What a fine-tuning does where nobody says otherwise: a short schedule for small data."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restorekit.backends.card import Card
from restorekit.backends.registry import default_registry
from restorekit.data.matching import find_pairs, survey
from restorekit.data.pairs import Pair
from restorekit.data.pictures import picture_size
from restorekit.errors import DataError, PictureError, UsageError
from restorekit.training.config import TrainingRecipe, parse_recipe

PASSES = 20
"""How often every pixel of the training pictures is seen, on average ..."""
LEAST_STEPS, MOST_STEPS = 200, 4000
"""... within these bounds."""
BATCH, PATCH, LEAST_PATCH = 8, 128, 8
HELD_OUT_PART, MOST_HELD_OUT = 5, 20
"""One pair in five is held out for validation, and never more than twenty."""
VALIDATIONS = 10
WARMUP_PART = 20
"""The rate rises for a twentieth of the steps, or of the epochs."""


def complete_recipe(
    said: Mapping[str, Any], card: Card, *, scheduled: bool, where: str
) -> TrainingRecipe:
    """Fill in what nobody said: net, task and name from the model's card, and the schedule.

    The schedule is made for the number and the size of the pairs in `data.pairs`. What was said
    stays. Raises UsageError, or DataError where the pairs do not fit together.
    """
    defaults: dict[str, Any] = {"name": f"{_plain(card.name)}-tuned", "task": card.task}
    if table(said, "net").get("backend", card.backend) == card.backend:
        defaults["net"] = {"backend": card.backend, "config": dict(card.config)}
    if merged(defaults, said)["task"] is None:
        raise UsageError(f"{card.name} does not tell its task; add --set task=denoise or another")
    if scheduled:
        if table(said, "data").get("pairs") is None:
            raise UsageError("nothing to tune on: give --data DIR, a folder of pairs, or a recipe")
        length = {} if "epochs" in said else {"steps": LEAST_STEPS}
        # What was said is checked before anything is computed from it.
        parse_recipe(merged({**defaults, **length, "losses": {"l1": 1.0}}, said), where)
        multiple = default_registry().get(card.backend).capabilities.multiple
        defaults |= _schedule(_pairs(Path(str(said["data"]["pairs"]))), said, multiple)
    return parse_recipe(merged(defaults, said), where)


def _plain(name: str) -> str:
    """Return a name with nothing in it that a recipe's cannot have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "model"


def table(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of a table of what was said; what is no table is left to the recipe's check."""
    inner = said.get(name)
    return dict(inner) if isinstance(inner, Mapping) else {}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of tables over another; what `above` says wins."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            value = merged(under, value)
        result[key] = value
    return result


def _pairs(folder: Path) -> list[Pair]:
    # What does not fit is left to those who open the pictures: they name each file.
    pairs = [*survey(folder).pairs] or find_pairs(folder)
    if len(pairs) < 2:
        raise DataError(f"{folder}: one pair is too few: one is to tune on, another to validate")
    return pairs


def _schedule(pairs: list[Pair], said: Mapping[str, Any], multiple: int) -> dict[str, Any]:
    sizes = [size for pair in pairs if (size := _size(pair.degraded))]
    held_out = min(max(len(pairs) // HELD_OUT_PART, 1), MOST_HELD_OUT)
    fitting = min([PATCH, *(min(size) for size in sizes)])
    data = {
        "hold_out": held_out,
        "patch": max(fitting - fitting % max(multiple, LEAST_PATCH), LEAST_PATCH),
        "batch": BATCH,
        **table(said, "data"),
    }
    pixels = sum(map(math.prod, sizes[: -data["hold_out"]]))
    seen = data["batch"] * data["patch"] ** 2
    if "epochs" in said:
        steps = said["epochs"] * max(len(pairs) - data["hold_out"], 1) // data["batch"]
        length = {}
    else:
        steps = said.get("steps", min(max(round(PASSES * pixels / seen), LEAST_STEPS), MOST_STEPS))
        length = {"steps": steps}
    every = max(steps // VALIDATIONS, 1)
    return {
        **length,
        "data": data,
        "losses": {"l1": 1.0},
        "optim": {"lr": 1e-4, "warmup": said.get("epochs", steps) // WARMUP_PART},
        "ema": 0.99,
        "validate_every": every,
        "save_every": every,
    }


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return picture_size(path)
    except PictureError:
        return None
