"""restorekit: restore photographs, and train, measure and degrade with the same tool.

At every boundary a tensor is float32 (N, C, H, W), RGB, in [0, 1].
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from restorekit import backends, metrics
    from restorekit.api import (
        build_net,
        degrade,
        evaluate,
        finetune,
        list_datasets,
        list_degradations,
        list_models,
        list_tasks,
        load_model,
        restore,
        train,
    )

_MODULES = ("backends", "metrics")
_VERBS = (
    "build_net",
    "degrade",
    "evaluate",
    "finetune",
    "list_datasets",
    "list_degradations",
    "list_models",
    "list_tasks",
    "load_model",
    "restore",
    "train",
)

__all__ = [
    "__version__",
    "backends",
    "build_net",
    "degrade",
    "evaluate",
    "finetune",
    "list_datasets",
    "list_degradations",
    "list_models",
    "list_tasks",
    "load_model",
    "metrics",
    "restore",
    "train",
]


def __getattr__(name: str) -> object:
    # Resolved when asked for: `restorekit --help` must not wait for torch.
    if name in _MODULES:
        return import_module(f"restorekit.{name}")
    if name in _VERBS:
        return getattr(import_module("restorekit.api"), name)
    raise AttributeError(f"module 'restorekit' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
