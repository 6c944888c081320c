"""The whole product as typed functions.

restore    degraded picture -> restored picture
degrade    picture -> degraded picture
train      recipe -> checkpoint
evaluate   model + pairs -> numbers with their protocol
"""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import nn

from restorekit.backends import hub
from restorekit.backends import model as models
from restorekit.backends.model import Model
from restorekit.data.catalog import DATASETS
from restorekit.degradations.base import to_picture, to_samples
from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.degradations.recipe import apply_chain, list_presets
from restorekit.degradations.recipe import load_recipe as load_degradation
from restorekit.errors import UnknownNameError, UsageError
from restorekit.evaluation.run import Evaluation, choose_subject
from restorekit.evaluation.run import evaluate as measure_pairs
from restorekit.events import Event
from restorekit.inference.pipeline import Restorer
from restorekit.media.image import read_image
from restorekit.metrics.protocols import get_protocol
from restorekit.training.config import TrainingRecipe
from restorekit.training.config import load_recipe as load_training
from restorekit.training.loop import run_training
from restorekit.training.sinks import logged
from restorekit.types import Image, Pixels, Precision, Task

RUNS = Path("runs")
Result = TypeVar("Result")


def load_model(name_or_path: str | Path, *, device: str = "auto") -> Model:
    """Load an embedded model by name, or a checkpoint file, ours or of others.

    The model is callable on tensors; `.net`, `.card` and `.backend` are what it is made of.
    """
    return models.load_model(name_or_path, device=device)


def build_net(backend: str, **config: Any) -> nn.Module:  # noqa: ANN401
    """Make a net with random weights; `config` are the arguments of its constructor."""
    return models.build_net(backend, **config)


def restore(
    image_or_path: Pixels | str | Path,
    *,
    task: Task | str | None = None,
    model: Model | str | Path | None = None,
    tile: int | Literal["auto"] = "auto",
    overlap: int | None = None,
    device: str = "auto",
    precision: Precision | str = Precision.AUTO,
    strength: float = 1.0,
    ensemble: bool = False,
) -> Pixels:
    """Restore one picture.

    Takes a path or samples, (H, W, 3) RGB, (H, W, 1) or (H, W), uint8, uint16 or float32 in [0, 1],
    and returns (H, W, C) of the same dtype, `scale` times larger. Give a task, or a model. Pictures
    larger than memory allows are tiled; `strength` 0 to 1 mixes the restored picture into the
    degraded one; `ensemble` averages over the eight symmetries of the square, eight times slower.
    """
    restorer = Restorer(
        choose_model(task, model, device=device),
        tile=tile,
        overlap=overlap,
        precision=Precision(precision),
        strength=strength,
        ensemble=ensemble,
    )
    return drain(restorer.restore(_opened(image_or_path))).pixels


def choose_model(
    task: Task | str | None, model: Model | str | Path | None, *, device: str = "auto"
) -> Model:
    """Load the model asked for, or the embedded one of the task.

    Raises UsageError when neither is given, or when the model was trained for another task.
    """
    wanted = None if task is None else _known_task(task)
    if model is None:
        if wanted is None:
            raise UsageError(f"give a task or a model; tasks: {', '.join(list_tasks())}")
        model = hub.for_task(wanted)
    loaded = model if isinstance(model, Model) else load_model(model, device=device)
    if wanted is not None and loaded.task not in (None, wanted):
        raise UsageError(f"{loaded.card.name} was trained to {loaded.task}, not to {wanted}")
    return loaded


def _known_task(name: Task | str) -> Task:
    if name not in list_tasks():
        raise UnknownNameError("task", name, list_tasks())
    return Task(name)


def degrade(image: Pixels, recipe: str | Path | Mapping[str, Any], *, seed: int = 0) -> Pixels:
    """Degrade (H, W, C) samples by a preset, a TOML file or a mapping.

    The dtype stays, and the size unless the recipe samples down.
    """
    chain = load_degradation(recipe).draw(seed)
    return to_samples(apply_chain(to_picture(image), chain, seed), image.dtype)


def train(
    recipe: str | Path | TrainingRecipe,
    *,
    output: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    **overrides: Any,  # noqa: ANN401
) -> Path:
    """Train by a recipe to its end and return the best checkpoint; `overrides` change its keys."""
    if not isinstance(recipe, TrainingRecipe):
        recipe = load_training(recipe, overrides)
    drain(training(recipe, output, resume=resume, device=device))
    return run_folder(recipe, output) / f"{recipe.name}.safetensors"


def training(
    recipe: TrainingRecipe,
    output: Path | None = None,
    *,
    resume: bool = False,
    device: str = "auto",
) -> Generator[Event, None, None]:
    """Train by a recipe, yielding events; close the generator to stop and save."""
    folder = run_folder(recipe, output)
    place = models.resolve_device(device)
    events = run_training(recipe, folder, resume=resume, device=place)
    yield from logged(events, folder, list(recipe.losses))


def run_folder(recipe: TrainingRecipe, output: Path | None) -> Path:
    """Where a run is kept: `output`, or runs/NAME."""
    return output if output is not None else RUNS / recipe.name


def evaluate(
    dataset: str,
    *,
    model: Model | str | Path | None = None,
    task: Task | str | None = None,
    data_root: Path = Path(),
    protocol: str | None = None,
    device: str = "auto",
) -> Evaluation:
    """Measure a model on a data set by name below `data_root`, or on a folder of pairs.

    Without a protocol it is the set's own; the result carries it.
    """
    chosen = get_protocol(protocol) if protocol else None
    subject = choose_subject(dataset, data_root=data_root, protocol=chosen)
    restorer = Restorer(choose_model(task, model, device=device))
    return drain(
        measure_pairs(
            subject.pairs,
            restorer.restore_tensor,
            subject.protocol,
            model=restorer.model.card.name,
            dataset=subject.dataset,
            whole=subject.whole,
        )
    )


def list_models() -> list[str]:
    """Names of the embedded models."""
    return [path.stem for path in hub.embedded()]


def list_datasets() -> list[str]:
    """Names of the data sets that `evaluate` knows."""
    return sorted(DATASETS)


def list_tasks() -> list[str]:
    """Names of all tasks."""
    return [task.value for task in Task]


def list_degradations() -> list[str]:
    """Names of all degradations and of the recipes that ship."""
    return sorted([d.name for d in DEGRADATIONS] + list_presets())


def drain(steps: Generator[object, None, Result]) -> Result:
    """Run a generator of events to its end and return its value."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def _opened(image_or_path: Pixels | str | Path) -> Image:
    if isinstance(image_or_path, str | Path):
        return read_image(Path(image_or_path))
    pixels = image_or_path[..., None] if image_or_path.ndim == 2 else image_or_path
    return Image(pixels)
