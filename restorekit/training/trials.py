"""Running a study: the nuisance values are tuned for each scientific one, the best is repeated.

Optuna chooses what to try and keeps it in a journal, one study of its own per arm. A run that was
interrupted goes on where it stopped.
"""

import json
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from restorekit.backends.model import build_net
from restorekit.errors import MissingExtraError, TrainingError, UsageError
from restorekit.events import Event, Finished, Started, TrialDone
from restorekit.files import atomic_path
from restorekit.training.config import Section, TrainingRecipe
from restorekit.training.loop import BAD_BATCH, make_folder, run_training
from restorekit.training.runs import read_run
from restorekit.training.sinks import LOG, logged
from restorekit.training.sources import find_pictures
from restorekit.training.state import STATE
from restorekit.training.study import StudyRecipe, Values, check_keys, label, recipe_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "study.log"
RECIPE = "study.json"
RUN, DIVERGED = "run", "diverged"
"""Attributes of a trial: the folder of its run, and that it diverged."""


@dataclass(frozen=True)
class Arm:
    """One combination of the scientific values and all that was run for it."""

    scientific: Values
    trials: tuple[tuple[Values, float | None], ...]
    """Nuisance values and the metric; None where the training diverged."""
    repeated: tuple[float, ...]
    """The metric of the best trial's settings with other seeds; empty where all diverged."""


@dataclass(frozen=True)
class Bench:
    """What the runs of a study share."""

    study: StudyRecipe
    folder: Path
    device: torch.device
    storage: "BaseStorage"

    def optuna(self, arm: Values) -> "Study":
        """Open Optuna's study of an arm, or begin it."""
        import optuna

        found = optuna.create_study(
            storage=self.storage,
            study_name=json.dumps(arm, sort_keys=True),
            direction="maximize",
            load_if_exists=True,
        )
        # A sampler begins its random numbers anew; after a pause it must not try the same again.
        found.sampler = optuna.samplers.TPESampler(
            seed=self.study.seed + len(found.trials), n_startup_trials=-(-self.study.budget // 2)
        )
        return found


def run_study(
    study: StudyRecipe, folder: Path, device: torch.device
) -> Generator[Event, None, list[Arm]]:
    """Run what is still to be run of a study; the arms are the generator's value.

    Closing the generator saves the present run; the next call goes on with it. Raises UsageError
    for wrong keys and for the folder of another study, MissingExtraError without Optuna, and what
    a run raises for a net that cannot be built or pictures that are not there.
    """
    begun = time.perf_counter()
    _check_runs(study)
    bench = Bench(study, folder, device, _storage(study, folder))
    arms = study.arms()
    per_arm = study.budget + study.seeds
    done = sum(_done(bench, number, arm) for number, arm in enumerate(arms))
    yield Started(f"study {study.name}", per_arm * len(arms), done)
    found = []
    for number, arm in enumerate(arms):
        yield from _tune(bench, number, arm)
        found.append((yield from _compared(bench, number, arm)))
    diverged = sum(value is None for arm in found for _, value in arm.trials)
    yield Finished(per_arm * len(arms) - done, 0, diverged, time.perf_counter() - begun)
    return found


def _check_runs(study: StudyRecipe) -> None:
    """Build every net and look for all pictures once, before anything is written."""
    recipes = check_keys(study)
    for net in {recipe.net.model_dump_json(): recipe.net for recipe in recipes}.values():
        build_net(net.backend, **net.config)
    for data in {recipe.data.model_dump_json(): recipe.data for recipe in recipes}.values():
        find_pictures(data)


def _storage(study: StudyRecipe, folder: Path) -> "BaseStorage":
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise MissingExtraError("optuna", "study", "restorekit study") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _remember(study, make_folder(folder) / RECIPE)
    return optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


class Memory(Section):
    """The questions of a study, as its folder keeps them."""

    study: StudyRecipe
    recipe_sha256: str
    """Of the training recipe as it was, wherever its file lies."""

    def asks_the_same(self, other: "Memory") -> bool:
        """Whether only the budget may differ, and the place of the training recipe."""
        kept = {name: getattr(other.study, name) for name in ("trials", "seeds", "recipe")}
        return self.model_copy(update={"study": self.study.model_copy(update=kept)}) == other


def _remember(study: StudyRecipe, path: Path) -> None:
    """Write the study down; a larger budget goes on, other questions need another folder."""
    asked = Memory(study=study, recipe_sha256=recipe_of(study, study.arms()[0], study.name).sha256)
    if path.exists():
        try:
            before = Memory.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError:
            raise UsageError(
                f"{path}: is damaged, or is of another version; choose another folder with -o"
            ) from None
        if not before.asks_the_same(asked):
            raise UsageError(
                f"{path.parent}: holds another study, or one of a training recipe that has "
                "changed since; choose another folder with -o"
            )
    with atomic_path(path) as temporary:
        temporary.write_text(asked.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _tune(bench: Bench, number: int, arm: Values) -> Generator[Event, None, None]:
    study = bench.optuna(arm)
    _take_up_again(study)
    while len(_tried(study)) < bench.study.budget:
        trial = study.ask()
        name = trial.user_attrs.get(RUN, f"arm-{number:02}-trial-{trial.number:03}")
        trial.set_user_attr(RUN, name)
        tuned = {key: given.suggest(trial, key) for key, given in bench.study.nuisance.items()}
        recipe = recipe_of(bench.study, {**arm, **tuned, "seed": bench.study.seed}, name)
        value, seconds = yield from _train(bench, recipe)
        _tell(study, trial, value)
        yield TrialDone(label(arm), name, tuned, value, seconds)


def _take_up_again(study: "Study") -> None:
    """Queue the trials that were interrupted, each with its run."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if RUN in trial.user_attrs:
            study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)


def _tell(study: "Study", trial: "Trial", value: float | None) -> None:
    from optuna.trial import TrialState

    if value is None:
        trial.set_user_attr(DIVERGED, True)
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def _tried(study: "Study") -> list["FrozenTrial"]:
    from optuna.trial import TrialState

    return [
        trial
        for trial in study.trials
        if trial.state is TrialState.COMPLETE or trial.user_attrs.get(DIVERGED)
    ]


def _compared(bench: Bench, number: int, arm: Values) -> Generator[Event, None, Arm]:
    """Repeat the best trial with other seeds: the best of many owes a part to luck."""
    tried = _tried(bench.optuna(arm))
    trials = tuple((trial.params, trial.value) for trial in tried)
    if all(value is None for _, value in trials):
        return Arm(arm, trials, ())
    best = max((t for t in trials if t[1] is not None), key=lambda trial: trial[1] or 0.0)[0]
    values = []
    for seed in range(1, bench.study.seeds + 1):
        name = _repeat_name(number, seed)
        value = _measured(bench, name)
        if value is None:
            recipe = recipe_of(bench.study, {**arm, **best, "seed": bench.study.seed + seed}, name)
            value, seconds = yield from _train(bench, recipe)
            yield TrialDone(label(arm), name, best, value, seconds)
        if value is not None:
            values.append(value)
    return Arm(arm, trials, tuple(values))


def _repeat_name(number: int, seed: int) -> str:
    return f"arm-{number:02}-best-seed-{seed}"


def _done(bench: Bench, number: int, arm: Values) -> int:
    repeated = (_repeat_name(number, seed) for seed in range(1, bench.study.seeds + 1))
    return len(_tried(bench.optuna(arm))) + sum(
        _measured(bench, name) is not None for name in repeated
    )


def _train(
    bench: Bench, recipe: TrainingRecipe
) -> Generator[Event, None, tuple[float | None, float]]:
    """Train, or go on; return the metric, None where it diverged, and the seconds."""
    folder = bench.folder / recipe.name
    begun = time.perf_counter()
    resume = (folder / STATE).exists()
    run = run_training(recipe, folder, resume=resume, device=bench.device)
    try:
        with closing(logged(run, folder, list(recipe.losses))) as events:
            yield from (event for event in events if type(event) is Event)
    except TrainingError:
        if not (folder / BAD_BATCH).exists():
            raise
    else:
        (folder / STATE).unlink()
    return _measured(bench, recipe.name), time.perf_counter() - begun


def _measured(bench: Bench, name: str) -> float | None:
    """Read the best validation of a run that reached its end."""
    folder = bench.folder / name
    run = read_run(folder) if (folder / LOG).exists() else None
    if run is None or not run.is_finished:
        return None
    return max(row[bench.study.metric] for row in run.validations if row["step"])
