"""All that must survive an interruption, in one file."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from restorekit.errors import TrainingError
from restorekit.files import atomic_path
from restorekit.training.config import TrainingRecipe

FORMAT = "restorekit training state 1"


@dataclass
class TrainingState:
    """The moving parts of a run; everything else follows from the recipe."""

    net: nn.Module
    average: AveragedModel
    optimizers: Mapping[str, Optimizer]
    step: int = 0
    best: float = float("-inf")
    """Best validation PSNR so far, dB."""
    skipped: int = 0
    """Steps left out because a loss was not finite."""
    seconds: float = 0.0
    """Time spent in steps and validations."""

    def save(self, path: Path, recipe: TrainingRecipe) -> None:
        """Write the state; a killed writer leaves the previous one."""
        content = {
            "format": FORMAT,
            "recipe": recipe.model_dump_json(),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "random": _random_states(),
            "step": self.step,
            "best": self.best,
            "skipped": self.skipped,
            "seconds": self.seconds,
        }
        with atomic_path(path) as temporary:
            torch.save(content, temporary)

    def load(self, path: Path, recipe: TrainingRecipe) -> None:
        """Take up a saved state; raises TrainingError where it is not of this recipe."""
        content = _read(path)
        _require_same(TrainingRecipe.model_validate_json(content["recipe"]), recipe, path)
        self.net.load_state_dict(content["net"])
        self.average.load_state_dict(content["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
        _set_random_states(content["random"])
        for name in ("step", "best", "skipped", "seconds"):
            setattr(self, name, content[name])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise TrainingError(f"{path}: there is no saved state to resume; start without --resume")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise TrainingError(f"{path}: cannot be read as a training state: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(f"{path}: is not a training state of this version ({FORMAT})")
    return content


def _require_same(saved: TrainingRecipe, asked: TrainingRecipe, path: Path) -> None:
    if saved.sha256 == asked.sha256:
        return
    before, now = _flat(saved.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    keys = sorted(key for key in before | now if before.get(key) != now.get(key))
    changes = "; ".join(f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys)
    raise TrainingError(f"{path}: was made by another recipe ({changes}); a run resumes its own")


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
