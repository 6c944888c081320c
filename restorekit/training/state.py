"""All that must survive an interruption, in one file."""

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from restorekit.errors import TrainingError
from restorekit.files import atomic_path, free_bytes
from restorekit.training.config import TrainingRecipe, parse_recipe

STATE = "state.pt"
"""The file in the folder of a run that it goes on by."""
FORMAT = "restorekit training state 1"


@dataclass
class TrainingState:
    """The moving parts of a run; everything else follows from the recipe.

    `step` is also the position in the data, for the examples of a step are a function of it.
    """

    net: nn.Module
    average: AveragedModel
    optimizers: Mapping[str, Optimizer]
    others: Mapping[str, nn.Module] = field(default_factory=dict)
    """Further modules of the objective, by name."""
    scaler: GradScaler = field(default_factory=lambda: GradScaler("cpu", enabled=False))
    step: int = 0
    best: float = float("-inf")
    """Best validation PSNR so far, dB."""
    skipped: int = 0
    """Steps left out because a loss or a gradient was not finite."""
    seconds: float = 0.0
    """Time spent in steps and validations."""
    before: dict[str, float] = field(default_factory=dict)
    """The validation before the first step, where the recipe asks for it."""
    curve: dict[int, float] = field(default_factory=dict)
    """PSNR of each validation so far, dB, by step."""

    def save(self, path: Path, recipe: TrainingRecipe) -> None:
        """Write the state and forget the oldest kept; a killed writer leaves the previous one.

        Raises TrainingError where there is no space.
        """
        content = {
            "format": FORMAT,
            "recipe": recipe.model_dump_json(),
            "net": self.net.state_dict(),
            "others": {name: module.state_dict() for name, module in self.others.items()},
            "average": self.average.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
            "random": _random_states(),
            **{name: getattr(self, name) for name in _PLAIN},
        }
        write_state(path, content)
        _keep(path, self.step, recipe.keep)

    def load(self, path: Path, recipe: TrainingRecipe) -> None:
        """Take up a saved state; raises TrainingError where it is not of this recipe."""
        content = read_state(path)
        saved = parse_recipe(json.loads(content["recipe"]), f"{path}, its recipe")
        _require_same(saved, recipe, path)
        try:
            self._take_up(content)
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{path}: does not fit the net or the optimiser that this restorekit makes of its "
                "recipe; leave optim.groups, optim.layer_decay and net.freeze as they were, or "
                "go on with the restorekit that wrote it"
            ) from error

    def _take_up(self, content: Mapping[str, Any]) -> None:
        self.net.load_state_dict(content["net"])
        for name, module in self.others.items():
            module.load_state_dict(content["others"][name])
        self.average.load_state_dict(content["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(_as_set(optimizer, content["optimizers"][name]))
        # States of older versions do not have them.
        if content.get("scaler"):
            self.scaler.load_state_dict(content["scaler"])
        _set_random_states(content["random"])
        for name in _PLAIN:
            setattr(self, name, content.get(name, getattr(self, name)))


def _as_set(optimizer: Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved state with the settings of this optimiser: a tuning may have changed them."""
    groups = zip(optimizer.state_dict()["param_groups"], saved["param_groups"], strict=True)
    settings = [{**own, "params": theirs["params"]} for own, theirs in groups]
    return {**saved, "param_groups": settings}


_PLAIN = ("step", "best", "skipped", "seconds", "before", "curve")


def read_state(path: Path) -> dict[str, Any]:
    """Read what a state file holds; TrainingError says what is wrong with it."""
    if not path.is_file():
        raise TrainingError(f"{path}: there is no saved state to resume; start without --resume")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror or error}") from error
    # torch names no errors of its own for what is damaged or foreign.
    except Exception as error:
        raise TrainingError(f"{path}: is damaged, or is no training state{_older(path)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(f"{path}: is not a training state of this version ({FORMAT})")
    return content


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write a state file whole or not at all; TrainingError where that fails."""
    try:
        with atomic_path(path) as temporary:
            torch.save(dict(content), temporary)
    # torch reports a full disk as a RuntimeError of its zip writer.
    except (OSError, RuntimeError) as error:
        left = "the one before it is whole" if path.exists() else "there is none before it"
        raise TrainingError(
            f"{path}: the state of step {content['step']} cannot be written, with "
            f"{free_bytes(path.parent) / 1e6:.0f} MB free ({error}); {left}; "
            "free some space, then go on with --resume"
        ) from error


def kept_states(path: Path) -> list[Path]:
    """List the numbered states beside a state file, the newest first."""
    return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"), reverse=True)


def _keep(path: Path, step: int, count: int) -> None:
    if count > 1:
        numbered = path.with_name(f"{path.stem}-{step:07d}{path.suffix}")
        numbered.unlink(missing_ok=True)
        try:
            numbered.hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, numbered)
        for old in kept_states(path)[count:]:
            old.unlink()


def _older(path: Path) -> str:
    names = ", ".join(kept.name for kept in kept_states(path))
    return f"; copy an older one over it: {names}" if names else ""


def _require_same(saved: TrainingRecipe, asked: TrainingRecipe, path: Path) -> None:
    if saved.sha256 == asked.sha256:
        return
    before, now = _flat(saved.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    keys = sorted(key for key in before | now if before.get(key) != now.get(key))
    changes = "; ".join(f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys)
    raise TrainingError(
        f"{path}: was made by another recipe ({changes}); a run resumes its own, "
        f"{path.parent / 'recipe.json'}; to go on by another: restorekit finetune --from {path}"
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def _random_states() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": _with_keys(state, torch.from_numpy(state["state"]["key"].astype(np.int64))),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_states(states: Mapping[str, Any]) -> None:
    random.setstate(states["python"])
    keys = states["numpy"]["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state(_with_keys(states["numpy"], keys))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def _with_keys(state: Mapping[str, Any], keys: object) -> dict[str, Any]:
    return {**state, "state": {**state["state"], "key": keys}}
