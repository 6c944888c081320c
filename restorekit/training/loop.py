"""The one training loop, for every objective.

A run is a generator of events. Whoever closes it between two events stops it: the state is saved on
the way out, and `resume` goes on bit for bit. What dies in the middle of a step (kill -9, a power
cut) falls back to the last state saved. Of several processes only the first writes and reports.
"""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from restorekit.backends.model import build_net, load_model
from restorekit.backends.registry import default_registry
from restorekit.data.pairs import Pair
from restorekit.errors import DataError, PictureError, TrainingError, UsageError
from restorekit.events import Event, Finished, Saved, Started, StepDone, Validated, Warned
from restorekit.files import atomic_path, free_bytes
from restorekit.training import optim
from restorekit.training.batches import batches
from restorekit.training.config import NetRecipe, TrainingRecipe, list_recipes
from restorekit.training.distributed import Group, joined
from restorekit.training.losses import build_losses
from restorekit.training.objectives import Batch, Objective, Phase
from restorekit.training.objectives.adversarial import build_adversarial
from restorekit.training.objectives.paired import Paired
from restorekit.training.optim import Length, learning_rate, set_learning_rate
from restorekit.training.order import Order, plan_order, require_shares
from restorekit.training.result import write_chosen
from restorekit.training.sources import Source, open_source
from restorekit.training.speed import autocast, build_scaler, prepare
from restorekit.training.state import STATE, TrainingState, write_state
from restorekit.training.transplant import misfits, widen
from restorekit.training.validation import hold

BAD_BATCH = "bad-batch.pt"
PICTURES = "validation"


@dataclass
class Run:
    """What the parts of one run share."""

    recipe: TrainingRecipe
    source: Source
    order: Order
    length: Length
    objective: Objective
    state: TrainingState
    group: Group


def run_training(
    recipe: TrainingRecipe, folder: Path, *, resume: bool, device: torch.device
) -> Generator[Event, None, None]:
    """Train until the recipe's last step, reporting events.

    `folder` receives the state, the recipe as resolved and the best checkpoint; one that several
    machines train in has to be seen by all. The generator may be closed at any event; at a bare
    `Event` nothing is left untold of the steps that the state has. Raises TrainingError,
    DataError or UsageError before the first step where that is possible. Processes other than the
    first report bare `Event`s.
    """
    if not resume and (folder / STATE).exists():
        raise TrainingError(f"{folder}: holds a run already; go on with --resume or choose another")
    with joined(device) as group:
        run = open_run(recipe, group.device, group, resume=resume)
        if resume:
            run.state.load(folder / STATE, recipe)
        if group.is_first:
            require_space(run, folder)
            with atomic_path(make_folder(folder) / "recipe.json") as temporary:
                temporary.write_text(recipe.model_dump_json(indent=2) + "\n")
        with closing(_train(run, folder)) as events:
            for event in events:
                yield event if group.is_first else Event()


def open_run(
    recipe: TrainingRecipe,
    device: torch.device,
    group: Group | None = None,
    *,
    resume: bool = False,
) -> Run:
    """Make net, data, objective and state of a run ready; writes nothing.

    One that is resumed does not need the weights that it once started from.
    """
    group = group or Group(device=device)
    require_shares(recipe, group)
    torch.manual_seed(recipe.seed)
    net = build_net(recipe.net.backend, **recipe.net.config)
    if recipe.net.start is not None and not resume:
        _start(net, recipe.net, recipe.net.start)
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = open_source(recipe.data)
    _require_fit(recipe.net, source)
    order, length = plan_order(recipe, len(source.train_pictures))
    average = _averaged(net, recipe.ema)
    optim.freeze(net, recipe.net.freeze)
    objective = build_objective(net, recipe, device)
    prepare(net, recipe.speed)
    state = TrainingState(
        net, average, objective.optimizers, objective.others, build_scaler(recipe.precision, device)
    )
    return Run(recipe, source, order, length, objective, state, group)


def _require_fit(recipe: NetRecipe, source: Source) -> None:
    backend, scale = default_registry().get(recipe.backend), source.scale
    first = source.train_pictures[0]
    views = 2 if isinstance(first, Pair) and first.second else 1
    if backend.channels(recipe.config) != 3 * views:
        raise UsageError(
            f"the net takes {backend.channels(recipe.config)} channels and the pictures have "
            f"{3 * views}; change net.config (in_channels)"
        )
    enlarges = backend.scale(recipe.config)
    if enlarges != scale:
        raise UsageError(
            f"the net enlarges {enlarges} times and the references are {scale} times as large as "
            "the degraded pictures; change net.config (scale) or the data (data.degradation)"
        )


def build_objective(net: nn.Module, recipe: TrainingRecipe, device: torch.device) -> Objective:
    """Make the objective that a recipe asks for."""
    weights = {**recipe.losses}
    weights.pop("adversarial", None)
    precision = autocast(recipe.precision, device)
    paired = Paired(
        net,
        optim.build_optimizer(net, recipe.optim),
        build_losses(weights, recipe.features, device),
        precision,
        recipe.scales,
    )
    if "adversarial" not in recipe.losses:
        return paired
    return build_adversarial(paired, recipe, precision, device)


def _start(net: nn.Module, recipe: NetRecipe, start: str) -> None:
    """Load the weights that a run starts from."""
    path = Path(start)
    if len(path.parts) > 1 and not path.exists() and path.stem in list_recipes():
        raise TrainingError(
            f"{start}: no such checkpoint file; it is made by an earlier stage, restorekit train "
            f"{path.stem} -o {path.parent}; or start from another: --set net.start=MODEL"
        )
    weights = load_model(start, device="cpu").net.state_dict()
    if recipe.widen:
        widen(net, weights, path)
    elif unlike := misfits(net, weights):
        raise TrainingError(
            f"{start}: is not a {recipe.backend} of the recipe's configuration, so training cannot "
            f"start from it ({unlike}); change net.config, say --set net.widen=true where the net "
            "has more channels, or take what fits: restorekit finetune"
        )
    else:
        net.load_state_dict(weights)


def _averaged(net: nn.Module, decay: float) -> AveragedModel:
    multi_avg_fn = get_ema_multi_avg_fn(decay)
    return AveragedModel(net, multi_avg_fn=multi_avg_fn, use_buffers=True)


def _train(run: Run, folder: Path) -> Generator[Event, None, None]:
    state, first, begun = run.state, run.state.step, run.state.seconds
    try:
        yield Started(f"train {run.recipe.name}", run.length.steps, first)
        if run.recipe.validate_start and not state.before and run.group.is_first:
            yield from _validate_start(run, folder)
        yield from _steps(run, folder)
    except (GeneratorExit, PictureError, DataError):
        run.group.any(True)
        _save(run, folder)
        raise
    if state.step % run.recipe.save_every:
        yield _save(run, folder)
    yield Finished(state.step - first, state.skipped, 0, state.seconds - begun)


def _steps(run: Run, folder: Path) -> Iterator[Event]:
    recipe, state = run.recipe, run.state
    started = time.perf_counter()
    steps = range(state.step, run.length.steps)
    for batch in batches(run.source, run.order, steps, run.group):
        if run.group.any(False):
            break
        events = [_step(run, batch, folder, started)]
        is_last = state.step == run.length.steps
        if (state.step % recipe.validate_every == 0 or is_last) and run.group.is_first:
            events += _validate(run, folder)
        state.seconds += time.perf_counter() - started
        started = time.perf_counter()
        yield from events
        if state.step % recipe.save_every == 0:
            yield _save(run, folder)
        # The state has had this step since the first of them: only here has all been told as well.
        yield Event()
    else:
        run.group.any(False)


def _step(run: Run, batch: Batch, folder: Path, started: float) -> Event:
    recipe, state = run.recipe, run.state
    lr = learning_rate(state.step + 1, run.length, recipe.optim)
    losses, taken = take_step(run, batch, lr)
    samples = run.order.batch(state.step)
    state.step += 1
    if taken or _only_overflowed(run, losses):
        seconds = time.perf_counter() - started
        return StepDone(state.step, run.length.steps, losses, lr, seconds, samples)
    state.skipped += 1
    if state.skipped > recipe.bad_steps:
        _give_up(run, batch, folder)
    return Warned(f"step {state.step}: loss or gradient is not finite, step skipped")


def take_step(run: Run, batch: Batch, lr: float) -> tuple[dict[str, float], bool]:
    """Optimise by one batch, part by part; False when a gradient was not finite and it was skipped.

    Returns the losses too, means over the batch and over all processes.
    """
    for module in (run.objective.net, *run.objective.others.values()):
        optim.set_training_mode(module)
    parts = _to_device(batch, run.group.device).parts(run.recipe.speed.accumulate)
    running = [run.objective.step(part) for part in parts]
    losses: dict[str, Tensor] = {}
    taken = True
    while taken and (optimizer := _backward(run, running, losses)):
        set_learning_rate(optimizer, lr)
        taken = _optimise(run, optimizer)
    if taken:
        run.state.average.update_parameters(run.objective.net)
    means = run.group.average(torch.stack([*losses.values()])).tolist()
    return dict(zip(losses, means, strict=True)), taken


def _backward(
    run: Run, running: list[Iterator[Phase]], losses: dict[str, Tensor]
) -> Optimizer | None:
    """Take the next phase of every part backward; returns its optimiser, None behind the last."""
    optimizer = None
    for steps in running:
        phase = next(steps, None)
        if phase is None:
            return None
        if optimizer is None:
            optimizer = phase.optimizer
            optimizer.zero_grad(set_to_none=True)
        shares = {name: loss / len(running) for name, loss in phase.losses.items()}
        total = torch.stack([*shares.values()]).sum()
        run.state.scaler.scale(total).backward(inputs=_parameters(optimizer))
        for name, share in shares.items():
            losses[name] = losses.get(name, 0) + share.detach()
    return optimizer


def _optimise(run: Run, optimizer: Optimizer) -> bool:
    scaler, parameters = run.state.scaler, _parameters(optimizer)
    run.group.average_gradients(parameters)
    scaler.unscale_(optimizer)
    finite = optim.clip(parameters, run.recipe.optim)
    if finite:
        scaler.step(optimizer)
    if scaler.is_enabled():
        scaler.update()
    return finite


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _only_overflowed(run: Run, losses: dict[str, float]) -> bool:
    """Whether float16 was too small for a gradient; the scaler has lowered it for the next step."""
    scaler = run.state.scaler
    finite = all(math.isfinite(loss) for loss in losses.values())
    return scaler.is_enabled() and finite and scaler.get_scale() >= 1


def _give_up(run: Run, batch: Batch, folder: Path) -> NoReturn:
    state = run.state
    _save(run, folder)
    if run.group.is_first:
        content = {"step": state.step, "degraded": batch.degraded, "reference": batch.reference}
        write_state(folder / BAD_BATCH, content)
    raise TrainingError(
        f"{state.skipped} steps had a loss or gradient that is not finite; the state of step "
        f"{state.step} is in {folder}, the last batch in {folder / BAD_BATCH}; "
        "try a lower optim.lr"
    )


def _save(run: Run, folder: Path) -> Saved:
    if run.group.is_first:
        run.state.save(folder / STATE, run.recipe)
    return Saved(folder / STATE)


def _validate(run: Run, folder: Path) -> list[Event]:
    state, recipe = run.state, run.recipe
    values, drawn = _hold(run, folder)
    is_best = values["psnr"] > state.best
    events: list[Event] = [Validated(state.step, values, is_best), drawn]
    state.best = max(state.best, values["psnr"])
    state.curve[state.step] = values["psnr"]
    if is_best or recipe.chosen == "last":
        events.append(Saved(write_chosen(folder, state, recipe, values)))
    return events


def _validate_start(run: Run, folder: Path) -> list[Event]:
    """Note how good the net is before; the best is looked for among what comes after."""
    run.state.before, drawn = _hold(run, folder)
    run.state.curve[run.state.step] = run.state.before["psnr"]
    return [Validated(run.state.step, run.state.before, is_best=False), drawn]


def _hold(run: Run, folder: Path) -> tuple[dict[str, float], Saved]:
    net, backend = run.state.average.module, run.recipe.net.backend
    held = hold(net, run.source, run.recipe.seed, run.group.device, backend)
    picture = folder / PICTURES / f"{run.state.step:07d}.png"
    held.draw(picture)
    return held.values(), Saved(picture)


def make_folder(folder: Path) -> Path:
    """Make the folder of a run where there is none; UsageError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be the folder of a run ({error.strerror or error}); "
            "choose another with -o"
        ) from None
    return folder


def require_space(run: Run, folder: Path) -> int:
    """Return how many bytes the run will write at most; TrainingError when they are not free."""
    parts = (run.objective.net, *run.objective.others.values())
    weights = sum(t.nbytes for part in parts for t in part.state_dict().values())
    # A state holds weights, their average and two moments; one more is being written.
    needed = (run.recipe.keep + 1) * 4 * weights + 2 * weights
    free = free_bytes(folder)
    if free < needed:
        raise TrainingError(
            f"{folder}: {free / 1e6:.0f} MB are free, and the states and checkpoints of this run "
            f"need about {needed / 1e6:.0f} MB; free some space or choose another folder with -o"
        )
    return needed


def _to_device(batch: Batch, device: torch.device) -> Batch:
    def moved(x: Tensor) -> Tensor:
        return x.to(device, memory_format=torch.channels_last, non_blocking=True)

    return Batch(moved(batch.degraded), moved(batch.reference))
