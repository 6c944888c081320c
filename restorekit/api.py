"""The whole product as typed functions.

restore    degraded picture -> restored picture
degrade    picture -> degraded picture
train      recipe -> checkpoint
finetune   model + pairs -> checkpoint
evaluate   model + pairs -> numbers with their protocol
"""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from torch import nn

from restorekit.backends import hub
from restorekit.backends import model as models
from restorekit.backends.engines import SUFFIX, load_exported
from restorekit.backends.model import Model
from restorekit.data.catalog import DATASETS
from restorekit.degradations.base import to_picture, to_samples
from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.degradations.recipe import apply_chain, list_presets, make_reference, scale_of
from restorekit.degradations.recipe import load_recipe as load_degradation
from restorekit.errors import UnknownNameError, UsageError
from restorekit.evaluation.run import Evaluation
from restorekit.evaluation.series import Candidate, Series
from restorekit.evaluation.subject import choose_subject
from restorekit.events import Event
from restorekit.export import on_engine
from restorekit.inference.pipeline import Restorer
from restorekit.media.image import read_image
from restorekit.metrics.protocols import get_protocol
from restorekit.training.check import CheckReport, check_run
from restorekit.training.config import TrainingRecipe
from restorekit.training.config import load_recipe as load_training
from restorekit.training.distributed import is_first_process
from restorekit.training.finetune import Tuning, plan_tuning, resume_tuning, run_tuning
from restorekit.training.loop import run_training
from restorekit.training.sinks import logged
from restorekit.training.study import StudyRecipe
from restorekit.training.trials import Arm, run_study
from restorekit.types import Image, Pixels, Precision, Task

RUNS = Path("runs")
Result = TypeVar("Result")


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    engine: str | None = None,
) -> Model:
    """Load an embedded model or a method by name, or a checkpoint file, ours or of others.

    `settings` are parameters of a method (`median`, `{"radius": 2}`), or what the weights of a net
    do not tell (`{"sigma": 15}`). `engine` is what runs the net: torch, or onnxruntime or openvino,
    for which a checkpoint is exported to ONNX first. The model is callable on tensors; `.net`,
    `.card` and `.backend` are what it is made of.
    """
    if Path(name_or_path).suffix == SUFFIX:
        return load_exported(name_or_path, engine or "onnxruntime")
    model = models.load_model(name_or_path, device=device, settings=settings)
    return model if engine in (None, "torch") else on_engine(model, engine)


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
    scale: int | None = None,
) -> Pixels:
    """Restore one picture.

    Takes a path or samples, (H, W, 3) RGB, (H, W, 1) or (H, W), uint8, uint16 or float32 in [0, 1],
    and returns (H, W, C) of the same dtype, larger by the scale of the model; float64 becomes
    float32. Raises UsageError for other samples.

    Give a task, or a model. Pictures larger than memory allows are tiled; `strength` 0 to 1 mixes
    the restored picture into the degraded one; `ensemble` averages over the eight symmetries of the
    square, eight times slower; `scale` chooses among the models of a task, of which it is the
    smallest.
    """
    restorer = Restorer(
        choose_model(task, model, device=device, scale=scale),
        tile=tile,
        overlap=overlap,
        precision=_known_precision(precision),
        strength=strength,
        ensemble=ensemble,
    )
    return drain(restorer.restore(_opened(image_or_path))).pixels


def choose_model(
    task: Task | str | None,
    model: Model | str | Path | None,
    *,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    engine: str | None = None,
    scale: int | None = None,
) -> Model:
    """Load the model asked for, with `settings`, or the embedded one of the task and the scale.

    Raises UsageError when neither is given, or when the model was trained for another task or has
    another scale.
    """
    wanted = None if task is None else _known_task(task)
    if model is None:
        if wanted is None:
            raise UsageError(f"give a task or a model; tasks: {', '.join(list_tasks())}")
        model = hub.for_task(wanted, scale)
    if not isinstance(model, Model | str | Path):
        raise UsageError(
            f"got {type(model).__name__} for a model; give a name, a path or a loaded model"
        )
    if not isinstance(model, Model):
        model = load_model(model, device=device, settings=settings, engine=engine)
    if wanted is not None and model.task not in (None, wanted):
        made = "is made" if model.backend.weightless else "was trained"
        raise UsageError(f"{model.card.name} {made} to {model.task}, not to {wanted}")
    if scale not in (None, model.scale):
        raise UsageError(f"{model.card.name} has scale {model.scale}, not {scale}")
    return model


def _known_task(name: Task | str) -> Task:
    if name not in list_tasks():
        raise UnknownNameError("task", name, list_tasks())
    return Task(name)


def _known_precision(name: Precision | str) -> Precision:
    if name not in list(Precision):
        raise UnknownNameError("precision", str(name), list(Precision))
    return Precision(name)


def degrade(
    image: Pixels | str | Path, recipe: str | Path | Mapping[str, Any], *, seed: int = 0
) -> Pixels:
    """Degrade one picture by a preset, a degradation (`haze:3`), a TOML file or a mapping.

    Takes what `restore` takes and returns (H, W, C) of the same dtype, and of the same size unless
    the recipe samples down. Raises UsageError for other samples, and for a recipe that averages
    frames, of which there is only one here.
    """
    pixels = _opened(image).pixels
    loaded = load_degradation(recipe)
    if loaded.frames is not None:
        raise UsageError("the recipe averages the frames of clips; use the command, on a clip")
    chain = loaded.draw(seed)
    scale_of(chain)
    reference = make_reference(to_picture(pixels), loaded.draw_reference(seed), seed)
    return to_samples(apply_chain(reference, chain, seed), pixels.dtype)


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
    yield from logged(events, folder, list(recipe.losses)) if is_first_process() else events


def finetune(
    start: str | Path,
    recipe: str | Path | None = None,
    *,
    data: Path | None = None,
    output: Path | None = None,
    device: str = "auto",
    **overrides: Any,  # noqa: ANN401
) -> Path:
    """Tune a model on a folder of pairs, or by a recipe, and return the best checkpoint.

    Without a recipe the schedule is a short one that suits the number and the size of the pairs.
    The card of the result says what it comes from and the numbers before and after.
    """
    plan = plan_tuning(start, recipe, data=data, overrides=overrides)
    drain(tuning(plan, output, device=device))
    return run_folder(plan.recipe, output) / f"{plan.recipe.name}.safetensors"


def tuning(
    plan: Tuning, output: Path | None = None, *, device: str = "auto"
) -> Generator[Event, None, None]:
    """Tune as planned, yielding events; close the generator to stop and save."""
    folder = run_folder(plan.recipe, output)
    events = run_tuning(plan, folder, device=models.resolve_device(device))
    yield from logged(events, folder, list(plan.recipe.losses))


def resumed_tuning(folder: Path, *, device: str = "auto") -> Generator[Event, None, None]:
    """Go on with the fine-tuning in a folder, yielding events."""
    yield from logged(resume_tuning(folder, device=models.resolve_device(device)), folder, ())


def checking(
    recipe: TrainingRecipe, output: Path | None = None, *, device: str = "auto"
) -> Generator[Event, None, CheckReport]:
    """Check all that a run needs before its first step; the report is the generator's value."""
    return check_run(recipe, run_folder(recipe, output), models.resolve_device(device))


def studying(
    study: StudyRecipe, folder: Path, *, device: str = "auto"
) -> Generator[Event, None, list[Arm]]:
    """Run a study, or go on with it; what was found is the generator's value."""
    return run_study(study, folder, models.resolve_device(device))


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

    Without a protocol it is the set's own; the result carries it. `is_complete` and `coverage` of
    the result say whether all pairs of the set were there.
    """
    chosen = get_protocol(protocol) if protocol else None
    subject = choose_subject(dataset, data_root=data_root, protocol=chosen)
    scale = subject.scale if model is None else None
    loaded = choose_model(task, model, device=device, scale=scale)
    candidate = Candidate(loaded.card.name, loaded.card.name, loaded)
    return drain(Series([subject], [candidate]).run())[0]


def list_models() -> list[str]:
    """Names of the embedded models."""
    return [path.stem for path in hub.embedded()]


def list_datasets(task: Task | str | None = None) -> list[str]:
    """Names of the data sets that `evaluate` knows, all or those of a task."""
    wanted = None if task is None else _known_task(task)
    return sorted(name for name, row in DATASETS.items() if wanted in (None, row.task))


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
    return Image(_checked(image_or_path))


def _checked(samples: Pixels) -> Pixels:
    """Return samples as `Image` has them; UsageError for what is no picture, and why."""
    if not isinstance(samples, np.ndarray):
        raise UsageError(
            f"got {type(samples).__name__} for a picture; give a path or a NumPy array, "
            "which numpy.asarray makes of a Pillow picture"
        )
    pixels = samples[..., None] if samples.ndim == 2 else samples
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise UsageError(
            f"got an array of shape {samples.shape} for a picture; give (H, W, 3) RGB, (H, W, 1) "
            "or (H, W), without alpha and not empty"
        )
    kind = np.dtype(np.float32) if pixels.dtype == np.float64 else pixels.dtype.newbyteorder("=")
    if kind not in (np.uint8, np.uint16, np.float32):
        raise UsageError(
            f"got samples of {samples.dtype}; give uint8, uint16, or float32 in [0, 1]"
        )
    pixels = pixels.astype(kind, copy=False)
    # Written so that NaN fails too.
    if kind == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise UsageError(
            f"got values from {pixels.min():.9g} to {pixels.max():.9g}; scale or clip floats to "
            "[0, 1], or give uint8 or uint16"
        )
    return pixels
