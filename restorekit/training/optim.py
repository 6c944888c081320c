"""The optimiser and its learning rate."""

import math

import torch
from torch import nn
from torch.optim import Optimizer

from restorekit.training.config import OptimRecipe


def build_optimizer(net: nn.Module, recipe: OptimRecipe) -> Optimizer:
    """AdamW over all trainable parameters of the net."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        parameters, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )


def learning_rate(step: int, steps: int, recipe: OptimRecipe) -> float:
    """Rate of the step that is number `step`, counted from 1: warm-up from 0, then a cosine.

    A closed form of the step, so that a resumed run needs no scheduler state.
    """
    if step <= recipe.warmup:
        return recipe.lr * step / recipe.warmup
    progress = (step - recipe.warmup) / max(steps - recipe.warmup, 1)
    return recipe.final_lr + (recipe.lr - recipe.final_lr) * (1 + math.cos(math.pi * progress)) / 2


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Give every parameter group the rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr
