"""What restorekit knows about nets and their files; the names below are imported when used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorekit.backends.base import Backend, Capabilities
    from restorekit.backends.card import Card, Measured, Training, read_card
    from restorekit.backends.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
    from restorekit.backends.legacy import load_foreign
    from restorekit.backends.model import Model, build_net, load_model
    from restorekit.backends.registry import Registry, default_registry

_HOMES = {
    "Backend": "base",
    "Capabilities": "base",
    "Card": "card",
    "Measured": "card",
    "Training": "card",
    "read_card": "card",
    "Checkpoint": "checkpoint",
    "read_checkpoint": "checkpoint",
    "write_checkpoint": "checkpoint",
    "load_foreign": "legacy",
    "Model": "model",
    "build_net": "model",
    "load_model": "model",
    "Registry": "registry",
    "default_registry": "registry",
}

__all__ = [
    "Backend",
    "Capabilities",
    "Card",
    "Checkpoint",
    "Measured",
    "Model",
    "Registry",
    "Training",
    "build_net",
    "default_registry",
    "load_foreign",
    "load_model",
    "read_card",
    "read_checkpoint",
    "write_checkpoint",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
