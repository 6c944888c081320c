"""The optimiser, its groups of parameters and its learning rate."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from restorekit.errors import UsageError
from restorekit.training.config import OptimRecipe

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@dataclass(frozen=True)
class Length:
    """How long a run is."""

    steps: int
    epoch: int | None = None
    """Steps of an epoch where the recipe counts epochs."""


def build_optimizer(net: nn.Module, recipe: OptimRecipe) -> Optimizer:
    """Adam or AdamW over all trainable parameters of the net."""
    return KINDS[recipe.kind](
        parameter_groups(net, recipe),
        lr=recipe.lr,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def freeze(net: nn.Module, patterns: Sequence[str]) -> None:
    """Keep the parameters that match from being trained; UsageError if none or all do."""
    parameters = dict(net.named_parameters())
    for pattern in patterns:
        for name in _matching(pattern, parameters, "net.freeze"):
            parameters[name].requires_grad_(False)
    if not any(p.requires_grad for p in parameters.values()):
        raise UsageError("net.freeze leaves no parameter to train; freeze fewer")


def set_training_mode(module: nn.Module) -> None:
    """Switch to training, but leave batch norms whose parameters are frozen as they are."""
    module.train()
    for part in module.modules():
        learned = [*part.parameters()]
        frozen = learned and not any(p.requires_grad for p in learned)
        if frozen and isinstance(part, _BatchNorm):
            part.eval()


def parameter_groups(net: nn.Module, recipe: OptimRecipe) -> list[dict[str, Any]]:
    """Sort the trainable parameters by the factor on their learning rate, key "scale".

    The factor of a layer is `layer_decay` to the number of layers behind it, in the order in which
    the net lists them, times that of the first of `groups` that matches.
    """
    parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
    layers = list(dict.fromkeys(map(_layer, parameters)))
    chosen = {
        name: group.lr_scale
        for group in reversed(recipe.groups)
        for name in _matching(group.match, parameters, "optim.groups")
    }
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        behind = len(layers) - 1 - layers.index(_layer(name))
        scale = chosen.get(name, 1.0) * recipe.layer_decay**behind
        groups.setdefault(scale, []).append(parameter)
    return [{"params": members, "scale": scale} for scale, members in groups.items()]


def _layer(name: str) -> str:
    """A child of the net, or an element of a list that is a child."""
    parts = name.split(".")
    numbered = len(parts) > 2 and parts[1].isdigit()
    return ".".join(parts[: 2 if numbered else 1])


def _matching(pattern: str, names: Iterable[str], key: str) -> list[str]:
    known = list(names)
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        near = get_close_matches(pattern, known, n=3, cutoff=0.5) or known[:3]
        raise UsageError(
            f"{key}: '{pattern}' matches no parameter of the net; "
            f"they are called like {', '.join(near)}"
        )
    return found


def learning_rate(step: int, length: Length, recipe: OptimRecipe) -> float:
    """Rate of the step that is number `step`, counted from 1: warm-up from 0, then the schedule.

    A closed form of the step, so that a resumed run needs no scheduler state. Where lengths are
    epochs the rate changes once an epoch, and the first epoch after the warm-up has the full rate.
    """
    unit = length.epoch or 1
    place = (step - 1) // unit + 1
    if place <= recipe.warmup:
        return recipe.lr * place / recipe.warmup
    after = place - recipe.warmup
    if recipe.schedule == "milestones":
        return recipe.lr * recipe.factor ** sum(place > m for m in recipe.milestones)
    elapsed = after - 1 if length.epoch else after
    if recipe.schedule == "cosine":
        return _cosine(elapsed, length.steps // unit - recipe.warmup, recipe.lr, recipe.final_lr)
    ends = [*accumulate(recipe.periods)]
    period = next((i for i, end in enumerate(ends) if after <= end), len(ends) - 1)
    begun = ends[period] - recipe.periods[period]
    return _cosine(elapsed - begun, recipe.periods[period], recipe.lr, recipe.floors[period])


def _cosine(elapsed: int, span: int, high: float, low: float) -> float:
    progress = min(elapsed / max(span, 1), 1.0)
    return low + (high - low) * (1 + math.cos(math.pi * progress)) / 2


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Give every parameter group the rate, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("scale", 1.0)


def clip(parameters: Sequence[nn.Parameter], recipe: OptimRecipe) -> bool:
    """Clip the gradients as the recipe says; False when they are not finite."""
    if recipe.clip_by == "norm":
        return bool(torch.isfinite(nn.utils.clip_grad_norm_(parameters, recipe.clip)))
    gradients = [p.grad for p in parameters if p.grad is not None]
    finite = torch.isfinite(nn.utils.get_total_norm(gradients))
    if recipe.clip_by == "value":
        nn.utils.clip_grad_value_(parameters, recipe.clip)
    return bool(finite)
