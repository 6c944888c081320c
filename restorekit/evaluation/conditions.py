"""Run a model as the paper behind a protocol ran it: tiles, averages over the picture, padding."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from restorekit.backends.model import Model
from restorekit.data.pictures import picture_size
from restorekit.errors import RestorekitError
from restorekit.evaluation.run import Restore
from restorekit.inference.memory import Footprint, free_memory, measure
from restorekit.inference.pipeline import Restorer
from restorekit.metrics.protocol import Protocol, Window
from restorekit.nets.tlc import LocalStatistics
from restorekit.types import Precision

EVERYWHERE = LocalStatistics(1 << 30, 1 << 30)
"""A window that no picture exceeds: averages over the whole picture."""

ALWAYS_FITS = 512 * 512
"""Pixels of a picture that is restored without asking for the memory."""
PROBE_WINDOW = 32


def restorer_for(model: Model, protocol: Protocol, first: Path) -> Restore:
    """Give the function that restores (1, C, H, W) under the conditions of the protocol.

    `first` is the first degraded picture of the set: the windows of some nets go by its size. The
    model stays as it is.
    """
    ready = _with_statistics(model, protocol, first)
    tile: int | Literal["auto"] = "auto" if protocol.tile is None else protocol.tile
    # The numbers of papers, which must not depend on the device.
    exact = Precision.FLOAT32
    restorer = Restorer(ready, tile=tile, overlap=protocol.overlap, precision=exact)
    restore: Restore = restorer.restore_tensor
    if protocol.padding == "edge":
        restore = _continued_by_edge(ready, restore)
    return _only_if_it_fits(ready, protocol.id, restore) if protocol.tile == 0 else restore


def _with_statistics(model: Model, protocol: Protocol, first: Path) -> Model:
    able = model.backend.capabilities.global_statistics and hasattr(model.net, "statistics")
    if not able or protocol.statistics == "usual":
        return model
    window = next((w for w in protocol.windows if w.backend == model.backend.name), None)
    # A shallow copy: the layers, and with them the weights, are those of the model.
    net: Any = copy.copy(model.net)
    net.statistics = EVERYWHERE if window is None else _statistics(window, model, first)
    return replace(model, net=net)


def _statistics(window: Window, model: Model, first: Path) -> LocalStatistics:
    if window.of == "crop":
        side = model.backend.capabilities.train_size
        return LocalStatistics(side, side, window.fraction)
    height, width = (_up_to_multiple(side, model) for side in picture_size(first))
    return LocalStatistics(height, width, window.fraction)


def _continued_by_edge(model: Model, restore: Restore) -> Restore:
    def restored(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        right, bottom = (_up_to_multiple(side, model) - side for side in (width, height))
        padded = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return restore(padded)[..., : height * model.scale, : width * model.scale]

    return restored


def _only_if_it_fits(model: Model, protocol_id: str, restore: Restore) -> Restore:
    """Refuse pictures too large for the memory: tiles would give another number."""
    footprint = cache(lambda: _footprint(model))

    def restored(x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height * width > ALWAYS_FITS:
            fits = footprint().pixels(free_memory(model.device))
            if height * width > fits:
                raise RestorekitError(
                    f"protocol {protocol_id} restores the whole picture at once: {width}x{height} "
                    f"pixels are {height * width / 1e6:.1f} megapixels, and with {model.card.name} "
                    f"{fits / 1e6:.1f} fit into the free memory; close other programs, use "
                    "another device, or choose rgb or rgb-float, which restore in tiles"
                )
        return restore(x)

    return restored


def _footprint(model: Model) -> Footprint:
    net: Any = model.net
    if getattr(net, "statistics", None) not in (None, EVERYWHERE):
        # Windows as large as those of the set would cover the small pictures that are measured.
        net = copy.copy(net)
        net.statistics = LocalStatistics(PROBE_WINDOW, PROBE_WINDOW)
    return measure(replace(model, net=net), model.channels)


def _up_to_multiple(side: int, model: Model) -> int:
    return -(-side // model.multiple) * model.multiple
