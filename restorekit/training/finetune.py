"""Fine-tuning: a run that starts from the weights, or goes on from the state, of another.

Besides what every run writes its folder gets `start.safetensors`, the net before the first step,
and `finetune.json`: where it comes from and what it was worth then.
"""

import json
import math
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from restorekit.backends.card import UNKNOWN, Card, plain_config, read_card
from restorekit.backends.checkpoint import SUFFIX, read_checkpoint, write_checkpoint
from restorekit.backends.hub import find_checkpoint, sha256
from restorekit.backends.model import build_net
from restorekit.backends.registry import default_registry
from restorekit.errors import TrainingError, UsageError
from restorekit.events import Event, Saved, Started, Tuned, Validated, Warned, WeightsLoaded
from restorekit.files import atomic_path
from restorekit.training.config import (
    TrainingRecipe,
    apply_override,
    load_recipe,
    parse_recipe,
    read_recipe,
)
from restorekit.training.distributed import is_first_process
from restorekit.training.loop import make_folder, run_training
from restorekit.training.schedule import complete_recipe, merged, table
from restorekit.training.state import STATE, read_state, write_state
from restorekit.training.transplant import misfits, open_weights, transplant

START = "start.safetensors"
NOTES = "finetune.json"
RGB = 3
SOURCES = ("photos", "degradation", "pairs", "dataset", "data_root", "validation")
"""The keys of `data` that say where a recipe's pictures come from."""


@dataclass(frozen=True)
class Notes:
    """What a fine-tuning has to remember of its beginning."""

    source: str
    """For the card: the name of what it comes from and the start of the file's hash."""
    licence: str
    before: Mapping[str, float] = field(default_factory=dict)
    """The validation before the first step."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read them; TrainingError where the folder holds no fine-tuning."""
        try:
            return cls(**json.loads((folder / NOTES).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise TrainingError(
                f"{folder}: holds no fine-tuning to resume ({NOTES} is missing or damaged); "
                "start one with --from MODEL"
            ) from None

    def write(self, folder: Path) -> None:
        """Write them into the run's folder."""
        with atomic_path(folder / NOTES) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def stamp(self, path: Path, *, half: bool) -> None:
        """Complete the card of a checkpoint: where it comes from and the numbers before."""
        checkpoint = read_checkpoint(path)
        card = checkpoint.card
        after = card.measured[0]
        before = {
            name: round(value, 2 if "psnr" in name else 4) for name, value in self.before.items()
        }
        row = after.model_copy(
            update={"dataset": f"{after.dataset}, before tuning", "values": before}
        )
        data = card.training.data if card.training else "other pictures"
        changes = {
            "source": self.source,
            "licence": self.licence,
            "limits": f"tuned on {data}; other pictures may come out worse than before",
            "measured": (*card.measured, row),
        }
        write_checkpoint(path, checkpoint.state, card.model_copy(update=changes), half=half)


@dataclass(frozen=True, eq=False)
class Tuning:
    """A fine-tuning made ready, before anything is written."""

    recipe: TrainingRecipe
    notes: Notes
    report: tuple[Event, ...]
    """What was loaded and what was left out, to be shown."""
    net: nn.Module
    """The recipe's net with all weights that fitted."""
    state: Mapping[str, Any] | None = None
    """The state of a run that goes on; None where it begins anew with the weights."""


def plan_tuning(
    start: str | Path,
    recipe: str | Path | None,
    *,
    data: Path | None,
    overrides: Mapping[str, Any],
) -> Tuning:
    """Open a model, complete the recipe from it and put its weights into the recipe's net.

    Without a recipe the schedule is made for the pairs in `data`; `overrides` maps "a.b" to
    values. Raises UsageError, CheckpointError, DataError or TrainingError; writes nothing.
    """
    said, where = read_recipe(recipe) if recipe is not None else ({}, "finetune")
    if data is not None:
        said["data"] = _without_sources(table(said, "data")) | {"pairs": str(data)}
    for key, value in overrides.items():
        apply_override(said, key, value)
    path = find_checkpoint(start)
    if is_state(path):
        return _continued(path, said, where)
    origin = open_weights(path, table(said, "net").get("backend"))
    completed = complete_recipe(said, origin.card, scheduled=recipe is None, where=where)
    _require_fitting(completed)
    torch.manual_seed(completed.seed)
    net = build_net(completed.net.backend, **completed.net.config)
    report = (*map(Warned, origin.notes), transplant(net, origin.state, path))
    notes = Notes(f"fine-tuned from {_named(origin.card.name, path)}", origin.card.licence)
    return Tuning(_tunable(completed), notes, report, net)


def _continued(path: Path, said: Mapping[str, Any], where: str) -> Tuning:
    """Go on with the step, the optimiser and the averages of a run under a changed recipe."""
    state = read_state(path)
    before = json.loads(state["recipe"])
    if "data" in said:
        before["data"] = _without_sources(before["data"])
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in said:
            before.pop(other, None)
    recipe = parse_recipe(merged({**before, "name": f"{before['name']}-tuned"}, said), where)
    if recipe.steps is not None and recipe.steps <= state["step"]:
        raise UsageError(
            f"{path}: is at step {state['step']} and the recipe ends at {recipe.steps}; "
            f"say how far to go: --set steps={2 * state['step']}"
        )
    net = build_net(recipe.net.backend, **recipe.net.config)
    weights = path.parent / f"{before['name']}{SUFFIX}"
    instead = f"take the weights without the optimiser: --from {weights}"
    if unlike := misfits(net, state["net"]):
        raise TrainingError(f"{path}: goes on with its own net alone ({unlike}); {instead}")
    if "adversarial" in recipe.losses and "discriminator" not in state.get("others", {}):
        raise TrainingError(f"{path}: has no discriminator for losses.adversarial; {instead}")
    net.load_state_dict(state["net"])
    notes = Notes(f"continued from {_named(before['name'], path)} at step {state['step']}", UNKNOWN)
    return Tuning(_tunable(recipe), notes, (WeightsLoaded(len(state["net"])),), net, state)


def is_state(path: Path) -> bool:
    """Whether a file is the state of a run of ours."""
    try:
        return "recipe" in read_state(path)
    except TrainingError:
        return False


def run_tuning(
    tuning: Tuning, folder: Path, *, device: torch.device
) -> Generator[Event, None, None]:
    """Tune and report, the numbers of before the first step too."""
    net = tuning.recipe.net.model_copy(update={"start": str(folder / START)})
    recipe = tuning.recipe.model_copy(update={"net": net})
    # Of several processes the others read these files only after they have met the first.
    if is_first_process():
        _lay_out(tuning, recipe, folder)
    with closing(
        run_training(recipe, folder, resume=tuning.state is not None, device=device)
    ) as events:
        try:
            started = next(events)
            _require_more(started)
        except BaseException:
            events.close()
            if is_first_process():
                _clear(folder)
            raise
        yield started
        yield from tuning.report if is_first_process() else ()
        yield from _noted(events, tuning.notes, recipe, folder)


def _require_more(started: Event) -> None:
    """Raise UsageError for a run whose epochs are over; its steps were looked at before."""
    if isinstance(started, Started) and started.done >= started.total:
        raise UsageError(
            f"the run that is to go on is at its last step, {started.done}; "
            "say how far to go: --set epochs=N, more than before"
        )


def _lay_out(tuning: Tuning, recipe: TrainingRecipe, folder: Path) -> None:
    """Write down what the run starts from; TrainingError where there is a run already."""
    if (folder / STATE).exists():
        raise TrainingError(f"{folder}: holds a run already; go on with --resume or choose another")
    weights = tuning.net.state_dict()
    write_checkpoint(make_folder(folder) / START, weights, _start_card(tuning))
    tuning.notes.write(folder)
    if tuning.state is not None:
        fresh = {"recipe": recipe.model_dump_json(), "best": -math.inf, "before": {}, "curve": {}}
        write_state(folder / STATE, {**tuning.state, **fresh, "skipped": 0, "seconds": 0.0})


def _clear(folder: Path) -> None:
    """Leave nothing of a fine-tuning that could not begin."""
    for name in (START, NOTES, STATE):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # of others' files
        folder.rmdir()


def resume_tuning(folder: Path, *, device: torch.device) -> Generator[Event, None, None]:
    """Go on with the fine-tuning in a folder, by the recipe that lies there."""
    notes = Notes.read(folder)
    recipe = load_recipe(folder / "recipe.json", {})
    events = run_training(recipe, folder, resume=True, device=device)
    yield from _noted(events, notes, recipe, folder)


def _noted(
    events: Generator[Event, None, None],
    notes: Notes,
    recipe: TrainingRecipe,
    folder: Path,
) -> Generator[Event, None, None]:
    """Pass the events on, complete each checkpoint's card when it is written, and sum up."""
    if not is_first_process():
        yield from events
        return
    best = folder / f"{recipe.name}{SUFFIX}"
    with closing(events):
        for event in events:
            if isinstance(event, Validated) and not notes.before:
                notes = replace(notes, before=dict(event.values))
                notes.write(folder)
            if isinstance(event, Saved) and event.path == best:
                notes.stamp(best, half=recipe.half)
            yield event
    yield Tuned(best, notes.before, read_card(best).measured[0].values)


def _start_card(tuning: Tuning) -> Card:
    recipe = tuning.recipe
    return Card(
        name=f"{recipe.name}-start",
        backend=recipe.net.backend,
        config=plain_config(recipe.net.config),
        task=recipe.task,
        scale=default_registry().get(recipe.net.backend).scale(recipe.net.config),
        licence=tuning.notes.licence,
        source=f"{tuning.notes.source}, before the first step",
    )


def _tunable(recipe: TrainingRecipe) -> TrainingRecipe:
    """Measure before the first step, for the card, and forget where else the recipe started."""
    net = recipe.net.model_copy(update={"start": None})
    return recipe.model_copy(update={"net": net, "validate_start": True})


def _named(name: str, path: Path) -> str:
    return f"{name} (sha256 {sha256(path)[:16]})"


def _without_sources(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in SOURCES}


def _require_fitting(recipe: TrainingRecipe) -> None:
    """Raise UsageError for a net that cannot take a folder of pairs: RGB, both of one size."""
    backend = default_registry().get(recipe.net.backend)
    channels, scale = backend.channels(recipe.net.config), backend.scale(recipe.net.config)
    if recipe.data.pairs is None or (channels, scale) == (RGB, 1):
        return
    raise UsageError(
        f"the net takes {channels} channels and enlarges {scale} times, and a folder of pairs has "
        f"pictures of {RGB} channels and one size; what differs gets new layers when you set it: "
        f"--set net.config.in_channels={RGB}, net.config.out_channels={RGB} or net.config.scale=1, "
        "as far as the net has them"
    )
