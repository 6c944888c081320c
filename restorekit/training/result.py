"""The checkpoint that a run ships."""

from collections.abc import Mapping
from pathlib import Path

from restorekit.backends.card import Card, Measured, Training
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.training.config import TrainingRecipe
from restorekit.training.state import TrainingState


def write_best(
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
        config=recipe.net.config,
        task=recipe.task,
        training=Training(
            data=(data.photos or data.pairs or Path("?")).name,
            recipe=recipe.name,
            recipe_sha256=recipe.sha256,
            steps=state.step,
            seconds=round(state.seconds),
        ),
        measured=(
            Measured(
                dataset=f"{data.hold_out} held-out pictures of the training data",
                protocol="validation",
                values={name: round(value, 2) for name, value in values.items()},
            ),
        ),
    )
