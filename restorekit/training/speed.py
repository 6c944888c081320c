"""What makes a step faster or smaller and leaves its result, but for rounding, as it is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from restorekit.training.config import SpeedRecipe
from restorekit.types import Precision

DTYPES = {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}


def autocast(
    precision: Precision, device: torch.device
) -> Callable[[], AbstractContextManager[object]]:
    """Make the context in which a net computes."""
    dtype = DTYPES.get(precision)
    return partial(torch.autocast, device.type, dtype, enabled=dtype is not None)


def build_scaler(precision: Precision, device: torch.device) -> GradScaler:
    """Make what keeps float16 gradients in range; for other precisions it does nothing."""
    return GradScaler(device.type, enabled=precision is Precision.FLOAT16)


def prepare(net: nn.Module, recipe: SpeedRecipe) -> None:
    """Make the net recompute or compiled, in place; its state dict stays the same."""
    if recipe.recompute:
        for block in blocks(net):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    if recipe.compile:
        net.compile()


def blocks(net: nn.Module) -> Iterator[nn.Module]:
    """List the innermost modules of lists that are made of modules themselves.

    Those with a batch norm are left out: it would count every batch twice.
    """
    for parent in net.modules():
        if isinstance(parent, nn.ModuleList | nn.Sequential):
            yield from (child for child in parent if _is_block(child))


def _is_block(module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleList) or not any(True for _ in module.children()):
        return False
    inner = [m for m in module.modules() if m is not module]
    return not any(isinstance(m, _BatchNorm) for m in inner) and not any(
        _is_block(child)
        for m in module.modules()
        if isinstance(m, nn.ModuleList | nn.Sequential)
        for child in m
    )
