"""The checkpoint that a run ships."""

import math
from collections.abc import Mapping
from pathlib import Path

from restorekit.backends.card import Card, Measured, Training, plain_config
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.registry import default_registry
from restorekit.training.config import DataRecipe, TrainingRecipe
from restorekit.training.state import TrainingState


def write_chosen(
    folder: Path, state: TrainingState, recipe: TrainingRecipe, values: Mapping[str, float]
) -> Path:
    """Write the averaged weights with their card; returns the path, `<name>.safetensors`."""
    path = folder / f"{recipe.name}.safetensors"
    weights = state.average.module.state_dict()
    write_checkpoint(path, weights, _card(state, recipe, values), half=recipe.half)
    return path


def _card(state: TrainingState, recipe: TrainingRecipe, values: Mapping[str, float]) -> Card:
    data = recipe.data
    return Card(
        name=recipe.name,
        backend=recipe.net.backend,
        config=plain_config(recipe.net.config),
        task=recipe.task,
        scale=default_registry().get(recipe.net.backend).scale(recipe.net.config),
        training=Training(
            data=data.dataset or (data.photos or data.pairs or Path("?")).name,
            recipe=recipe.name,
            recipe_sha256=recipe.sha256,
            steps=state.step,
            seconds=round(state.seconds),
            precision=recipe.precision,
            curve=_finite(state.curve),
        ),
        measured=(
            Measured(
                dataset=_held_out(data),
                protocol="validation",
                values={name: _rounded(name, value) for name, value in values.items()},
            ),
        ),
    )


def _finite(curve: Mapping[int, float]) -> dict[int, float]:
    return {step: _rounded("psnr", psnr) for step, psnr in curve.items() if math.isfinite(psnr)}


def _held_out(data: DataRecipe) -> str:
    if data.validation is not None:
        return f"the pictures of {data.validation.name}"
    return f"{data.hold_out} held-out pictures of the training data"


def _rounded(name: str, value: float) -> float:
    return round(value, 2 if name.endswith("psnr") else 4)
