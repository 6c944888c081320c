"""The one training loop, for every objective.

A run is a generator of events. Whoever closes it between two events stops it: the state is saved on
the way out, and `resume` goes on bit for bit. What dies in the middle of a step (kill -9, a power
cut) falls back to the last state saved.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from restorekit.backends.model import build_net, load_model
from restorekit.errors import TrainingError
from restorekit.events import Event, Finished, Saved, Started, StepDone, Validated, Warned
from restorekit.training.batches import Source, batches, collate, open_source
from restorekit.training.config import NetRecipe, TrainingRecipe
from restorekit.training.objectives import Batch, Objective, Phase
from restorekit.training.objectives.paired import Paired
from restorekit.training.optim import build_optimizer, learning_rate, set_learning_rate
from restorekit.training.result import write_best
from restorekit.training.state import TrainingState
from restorekit.types import Precision

STATE = "state.pt"


@dataclass
class Run:
    """What the parts of one run share."""

    recipe: TrainingRecipe
    folder: Path
    device: torch.device
    source: Source
    objective: Objective
    state: TrainingState

    def save(self) -> Saved:
        """Write the state."""
        self.state.save(self.folder / STATE, self.recipe)
        return Saved(self.folder / STATE)


def run_training(
    recipe: TrainingRecipe, folder: Path, *, resume: bool, device: torch.device
) -> Generator[Event, None, None]:
    """Train until the recipe's last step, reporting events.

    `folder` receives the state, the recipe as resolved and the best checkpoint. Raises
    TrainingError, DataError or UsageError before the first step where that is possible.
    """
    run = _open(recipe, folder, resume, device)
    first = run.state.step
    yield Started(f"train {recipe.name}", recipe.steps, first)
    try:
        yield from _steps(run)
    except GeneratorExit:
        run.save()
        raise
    if run.state.step % recipe.save_every:
        yield run.save()
    yield Finished(run.state.step - first, run.state.skipped, 0, run.state.seconds)


def _open(recipe: TrainingRecipe, folder: Path, resume: bool, device: torch.device) -> Run:
    if not resume and (folder / STATE).exists():
        raise TrainingError(f"{folder}: holds a run already; go on with --resume or choose another")
    torch.manual_seed(recipe.seed)
    net = _build(recipe.net)
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = open_source(recipe.data)
    objective = Paired(
        net, build_optimizer(net, recipe.optim), recipe.losses, _autocast(recipe, device)
    )
    state = TrainingState(net, _averaged(net, recipe.ema), objective.optimizers)
    if resume:
        state.load(folder / STATE, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n")
    return Run(recipe, folder, device, source, objective, state)


def _build(recipe: NetRecipe) -> nn.Module:
    net = build_net(recipe.backend, **recipe.config)
    if recipe.start is not None:
        weights = load_model(recipe.start, device="cpu").net.state_dict()
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise TrainingError(
                f"{recipe.start}: is not a {recipe.backend} of the recipe's configuration, so "
                f"training cannot start from it: {error}"
            ) from None
    return net


def _averaged(net: nn.Module, decay: float) -> AveragedModel:
    multi_avg_fn = get_ema_multi_avg_fn(decay)
    return AveragedModel(net, multi_avg_fn=multi_avg_fn, use_buffers=True)


def _autocast(
    recipe: TrainingRecipe, device: torch.device
) -> Callable[[], AbstractContextManager[object]]:
    enabled = recipe.precision == Precision.BFLOAT16
    return partial(torch.autocast, device.type, torch.bfloat16, enabled=enabled)


def _steps(run: Run) -> Iterator[Event]:
    recipe, state = run.recipe, run.state
    started = time.perf_counter()
    for batch in batches(run.source, recipe.data, recipe.seed, range(state.step, recipe.steps)):
        lr = learning_rate(state.step + 1, recipe.steps, recipe.optim)
        losses = _optimise(run, _to_device(batch, run.device), lr)
        state.step += 1
        seconds = time.perf_counter() - started
        events = [_report(run, losses, lr, seconds)]
        if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
            events += _validate(run)
        state.seconds += time.perf_counter() - started
        started = time.perf_counter()
        # Whoever stops at one of these finds the step complete, its validation included.
        yield from events
        if state.step % recipe.save_every == 0:
            yield run.save()


def _optimise(run: Run, batch: Batch, lr: float) -> dict[str, float]:
    run.objective.net.train()
    reported: dict[str, float] = {}
    for phase in run.objective.step(batch):
        total = torch.stack(list(phase.losses.values())).sum()
        reported |= {name: float(loss.detach()) for name, loss in phase.losses.items()}
        set_learning_rate(phase.optimizer, lr)
        phase.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if not _step_is_finite(run, phase):
            run.state.skipped += 1
            return reported
        phase.optimizer.step()
    run.state.average.update_parameters(run.objective.net)
    return reported


def _step_is_finite(run: Run, phase: Phase) -> bool:
    parameters = [p for group in phase.optimizer.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, run.recipe.optim.clip)
    return bool(torch.isfinite(norm))


def _report(run: Run, losses: dict[str, float], lr: float, seconds: float) -> Event:
    state, recipe = run.state, run.recipe
    if state.skipped > recipe.bad_steps:
        run.save()
        raise TrainingError(
            f"{state.skipped} steps had a loss or gradient that is not finite; "
            f"the state of step {state.step} is in {run.folder}; try a lower optim.lr"
        )
    if not all(math.isfinite(loss) for loss in losses.values()):
        return Warned(f"step {state.step}: loss is not finite, step skipped")
    return StepDone(state.step, recipe.steps, losses, lr, seconds)


def _validate(run: Run) -> list[Event]:
    net, source = run.state.average.module, run.source
    values = validation(net, source, run.recipe.seed, run.device)
    is_best = values["psnr"] > run.state.best
    events: list[Event] = [Validated(run.state.step, values, is_best)]
    if is_best:
        run.state.best = values["psnr"]
        events.append(Saved(write_best(run.folder, run.state, run.recipe, values)))
    return events


def validation(net: nn.Module, source: Source, seed: int, device: torch.device) -> dict[str, float]:
    """PSNR in dB, RGB, of the held-out crops: `psnr` restored and `degraded_psnr` as they came.

    Of the mean squared error over all crops, for some may come undegraded, and their own PSNR,
    infinite, would say nothing.
    """
    net.eval()
    errors = []
    with torch.inference_mode():
        for example in source.held_out(seed):
            batch = _to_device(collate([example]), device)
            outputs = net(batch.degraded)
            restored: Tensor = outputs if isinstance(outputs, Tensor) else outputs[-1]
            pictures = torch.cat([restored, batch.degraded]).clamp(0, 1)
            errors.append((pictures - batch.reference).square().mean((1, 2, 3)))
    restored_psnr, degraded_psnr = (
        -10 * torch.stack(errors).mean(0).clamp(min=1e-10).log10()
    ).tolist()
    return {"psnr": restored_psnr, "degraded_psnr": degraded_psnr}


def _to_device(batch: Batch, device: torch.device) -> Batch:
    def moved(x: Tensor) -> Tensor:
        return x.to(device, memory_format=torch.channels_last, non_blocking=True)

    return Batch(moved(batch.degraded), moved(batch.reference))
