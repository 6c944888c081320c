"""From a degraded picture to a restored one."""

import copy
import warnings
from collections.abc import Callable, Generator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from itertools import chain
from numbers import Integral
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from restorekit.backends.base import Capabilities
from restorekit.backends.engines import Exported
from restorekit.backends.model import TENSOR_DEPTH, Model
from restorekit.errors import UsageError
from restorekit.events import TileDone, Warned
from restorekit.inference.memory import Footprint, automatic_tile, measure
from restorekit.inference.overview import follow_overview
from restorekit.inference.plan import Box, whole
from restorekit.inference.tiled import Events, Net, TiledRun, Tiling
from restorekit.inference.transparency import enlarge, fill_hidden
from restorekit.nets.tlc import LocalStatistics
from restorekit.ops.pixels import to_pixels, to_tensor
from restorekit.types import Image, Precision

OVERLAP = 32
"""Pixels that neighbouring tiles share where nothing is known of the net."""
_NEVER_TILED = 256 * 256
_PROBE_WINDOW = 32


@dataclass(frozen=True, eq=False)
class Restorer:
    """A model and how to run it; may be used by several threads at once.

    Raises UsageError when an option is out of its range or not possible with the model.
    """

    model: Model
    _: KW_ONLY
    tile: int | Literal["auto"] = "auto"
    """The longest side of a tile in pixels; 0 is the whole picture, "auto" goes by free memory."""
    overlap: int | None = None
    """Pixels that neighbouring tiles share; None is enough for the net."""
    precision: Precision = Precision.AUTO
    strength: float = 1.0
    """How much of the restored picture is mixed into the degraded one, 0 to 1."""
    ensemble: bool = False
    """Restore all eight rotations and reflections of each tile and average them."""

    def __post_init__(self) -> None:
        self.model.precision(self.precision)
        if self.tile != "auto" and not _is_number_of_pixels(self.tile):
            raise UsageError(f"tile must be 'auto', 0 or a number of pixels, not {self.tile!r}")
        if self.overlap is not None and not _is_number_of_pixels(self.overlap):
            raise UsageError(f"overlap must be 0 or more pixels, not {self.overlap!r}")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"strength must be 0 to 1, not {self.strength}")

    def restore(self, image: Image) -> Generator[TileDone | Warned, None, Image]:
        """Restore a picture; the generator returns it, with the depth, greyness and metadata kept.

        Where the model enlarges, alpha is enlarged too; else it keeps its bytes. Strength 0 returns
        the picture itself.
        """
        if self.model.channels not in (1, 3):
            raise UsageError(
                f"{self.model.card.name} takes {self.model.channels} channels at once, such as the "
                "left and the right view of a dual-pixel sensor, and no single picture; give "
                "Restorer.restore_tensor a tensor of them"
            )
        scale = self.model.scale
        if self.strength == 0 and scale == 1:
            return image
        degraded = fill_hidden(image.pixels, image.alpha)
        shape = (image.height * scale, image.width * scale, degraded.shape[2])
        restored = np.empty(shape, degraded.dtype)
        top = 0

        def read(box: Box) -> Tensor:
            return to_tensor(degraded[box.slices])

        def write(strip: Tensor) -> None:
            nonlocal top
            rows = to_pixels(strip, degraded.dtype)
            restored[top : top + len(rows)] = rows
            top += len(rows)

        yield from self.stream(whole(image.height, image.width), read, write, image.depth)
        return replace(image, pixels=restored, alpha=enlarge(image.alpha, scale))

    def restore_tensor(self, x: Tensor) -> Tensor:
        """Restore (N, C, H, W); the result is clamped to [0, 1] and on the same device as `x`.

        What `restore` reports as `Warned` is a Python warning here.
        """
        strips: list[Tensor] = []

        def read(box: Box) -> Tensor:
            return x[..., *box.slices]

        for event in self.stream(whole(*x.shape[-2:]), read, strips.append):
            if isinstance(event, Warned):
                warnings.warn(event.message, stacklevel=2)
        return torch.cat(strips, -2).clamp(0, 1).to(x.device)

    def stream(
        self,
        picture: Box,
        read: Callable[[Box], Tensor],
        write: Callable[[Tensor], None],
        depth: int = TENSOR_DEPTH,
    ) -> Events:
        """Restore what need never lie in memory as a whole.

        `read` gives a box of the picture as (N, C, H, W) in [0, 1]; `write` takes the restored
        strips (N, C, h, W), top to bottom, not clamped. `depth` is that of the picture in bits a
        sample, by which the arithmetic may go.
        """
        model = self._model_for(picture)
        able = model.backend.capabilities
        tiling = Tiling(
            tile=self._tile_for(picture),
            overlap=usual_overlap(able) if self.overlap is None else self.overlap,
            multiple=model.multiple,
            minimum=able.minimum,
            scale=model.scale,
        )
        if able.overview:
            read, net = follow_overview(model, picture, read, self._around)
        else:
            net = self._around(_any_channels(model))
        if self.strength != 1:
            net = _blended(net, self.strength, model.scale)
        run = TiledRun(net, read, tiling, model.precision(self.precision, depth))
        yield from run.run(picture, write)

    def _around(self, net: Net) -> Net:
        return _ensemble(net) if self.ensemble else net

    def _tile_for(self, picture: Box) -> int:
        if self.tile != "auto":
            return self.tile
        able = self.model.backend.capabilities
        height, width = picture.rows.length, picture.columns.length
        if self._fixed:
            return self._window
        if height * width <= _NEVER_TILED:
            return 0
        return automatic_tile(
            height,
            width,
            self._footprint,
            self.model.device,
            prefer_whole=able.global_statistics and not able.overview,
        )

    @property
    def _fixed(self) -> bool:
        """Whether the statistics are global in a graph that cannot be told otherwise."""
        able = self.model.backend.capabilities
        return able.global_statistics and isinstance(self.model.net, Exported)

    def _model_for(self, picture: Box) -> Model:
        fits = max(picture.rows.length, picture.columns.length) <= self._window
        return self.model if fits else self._local

    @property
    def _window(self) -> int:
        able = self.model.backend.capabilities
        return able.train_size if able.window is None else able.window

    @cached_property
    def _local(self) -> Model:
        """The model with statistics over windows, nearer to those that it was trained on."""
        return _with_window(self.model, self._window)

    @cached_property
    def _footprint(self) -> Footprint:
        # A window of the usual size would cover the small pictures that are measured.
        model = _with_window(self.model, _PROBE_WINDOW)
        precision = model.precision(self.precision)
        seen = measure(lambda x: model(x, precision=precision), model.channels)
        hidden = model.backend.capabilities.hidden_bytes
        return replace(seen, per_pixel=seen.per_pixel + hidden)


def usual_overlap(able: Capabilities) -> int:
    """How many pixels neighbouring tiles share unless told otherwise."""
    if able.overlap is not None:
        return able.overlap
    return able.train_size // 2 if able.global_statistics else OVERLAP


def _with_window(model: Model, side: int) -> Model:
    """Let a net with global statistics, unless it has been told, take them over a window.

    The model is copied, its weights are not: others may be using it as it is.
    """
    able = model.backend.capabilities.global_statistics and hasattr(model.net, "statistics")
    if not able or model.net.statistics is not None:
        return model
    weights = chain(model.net.parameters(), model.net.buffers())
    net = copy.deepcopy(model.net, {id(weight): weight for weight in weights})
    net.statistics = LocalStatistics(side, side)
    return replace(model, net=net)


def _any_channels(model: Model) -> Net:
    """Let a colour net restore grey pictures and a grey net each channel of a colour picture."""

    def net(x: Tensor, precision: Precision) -> Tensor:
        count, channels, height, width = x.shape
        if channels == 1 and model.channels == 3:
            return model(x.expand(-1, 3, -1, -1), precision=precision).mean(1, keepdim=True)
        if channels == 3 and model.channels == 1:
            planes = model(x.reshape(-1, 1, height, width), precision=precision)
            return planes.reshape(count, 3, *planes.shape[-2:])
        return model(x, precision=precision)

    return net


def _ensemble(net: Net) -> Net:
    """Average over the eight rotations and reflections of a square."""

    def averaged(x: Tensor, precision: Precision) -> Tensor:
        total = torch.zeros(())
        for turns in range(4):
            turned = torch.rot90(x, turns, (-2, -1))
            plain = net(turned, precision)
            mirrored = net(turned.flip(-1), precision).flip(-1)
            total = total.to(plain.device) + torch.rot90(plain + mirrored, -turns, (-2, -1))
        return total / 8

    return averaged


def _blended(net: Net, strength: float, scale: int) -> Net:
    """Mix what a net restores with its input, enlarged by bicubic interpolation."""

    def mixed(x: Tensor, precision: Precision) -> Tensor:
        restored = net(x, precision)
        x = x[:, : restored.shape[1]]
        large = x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bicubic")
        return torch.lerp(large.to(restored.device), restored, strength)

    return mixed


def _is_number_of_pixels(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 0
