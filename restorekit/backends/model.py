"""A loaded, callable checkpoint."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorekit.backends.base import Backend
from restorekit.backends.card import Card, plain_config
from restorekit.backends.hub import find_model
from restorekit.backends.legacy import read_any
from restorekit.backends.methods import Method
from restorekit.backends.registry import default_registry
from restorekit.errors import UsageError
from restorekit.ops.pad import pad_to_multiple
from restorekit.types import Precision, Task

_ACCELERATORS = ("cuda", "xpu", "mps")
_BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Instructions of processors that are about twice as fast in bfloat16; without, it is slower."""
TENSOR_DEPTH = 32
"""Bits a sample of what is no file's picture."""


@dataclass(frozen=True, eq=False)
class Model:
    """A net with its weights, what is known about it, and where it is."""

    net: nn.Module
    card: Card
    backend: Backend
    device: torch.device

    @property
    def task(self) -> Task | None:
        """What the weights were trained for; None when their file does not tell."""
        return self.card.task

    @property
    def scale(self) -> int:
        """How many times larger the restored picture is."""
        return self.card.scale

    @property
    def channels(self) -> int:
        """How many channels a picture must have."""
        return self.backend.channels(self.card.config)

    @property
    def multiple(self) -> int:
        """What height and width of the net's input are multiples of."""
        return self.backend.multiple(self.card.config)

    def precision(self, wanted: Precision = Precision.AUTO, depth: int = TENSOR_DEPTH) -> Precision:
        """Choose the arithmetic for pictures of `depth` bits a sample.

        `auto` is float16 on accelerators where the net gives the same picture in it; on processors
        made for bfloat16 that, for pictures of 8 bits and weights trained in it; else float32.
        Raises UsageError when the net does not give the same picture in `wanted`.
        """
        able = self.backend.capabilities
        if wanted is Precision.AUTO:
            return self._fast_for(depth)
        refused = (wanted is Precision.FLOAT16 and not able.half) or (
            wanted is Precision.BFLOAT16 and not able.bfloat16
        )
        if refused:
            raise UsageError(
                f"{self.backend.name} is not exact enough in {wanted}; use float32 or auto"
            )
        return wanted

    def _fast_for(self, depth: int) -> Precision:
        able, training = self.backend.capabilities, self.card.training
        if able.half and self.device.type in _ACCELERATORS:
            return Precision.FLOAT16
        trained = training is not None and training.precision is Precision.BFLOAT16
        fast = self.device.type == "cpu" and computes_bfloat16()
        # It rounds to 8 bits, which would show in deeper pictures.
        enough = able.bfloat16 and trained and depth == 8
        return Precision.BFLOAT16 if fast and enough else Precision.FLOAT32

    def __call__(self, x: Tensor, *, precision: Precision = Precision.FLOAT32) -> Tensor:
        """Restore (N, C, H, W) of any size at once; the result is not clamped.

        The picture is reflected up to the sizes that the net takes and the result, float32 on the
        model's device, cropped again. Raises UsageError for another shape, another number of
        channels or integers.
        """
        self.check(x)
        return self.run(self.net, x, precision)

    def run(self, net: Callable[[Tensor], Any], x: Tensor, precision: Precision) -> Tensor:
        """Let a net, or a part of one, have (N, C, H, W) in the form that `__call__` describes."""
        able, chosen = self.backend.capabilities, self.precision(precision)
        x = x.to(self.device, torch.float32)
        padded, (height, width) = pad_to_multiple(x, self.multiple, able.minimum)
        padded = padded.contiguous(memory_format=torch.channels_last)
        dtype = getattr(torch, chosen)
        lowered = torch.autocast(self.device.type, dtype, enabled=chosen is not Precision.FLOAT32)
        with torch.inference_mode(), lowered:
            restored = self.picture(net(padded))
            return restored[..., : height * self.scale, : width * self.scale].float()

    def check(self, x: Tensor) -> None:
        """Raise UsageError for what is no (N, C, H, W) of the net's channels in floats."""
        if x.ndim != 4 or x.numel() == 0:
            raise UsageError(f"{self.card.name} takes (N, C, H, W), got {tuple(x.shape)}")
        if x.shape[1] != self.channels:
            raise UsageError(
                f"{self.card.name} takes pictures of {self.channels} channels, got {x.shape[1]}"
            )
        if not x.is_floating_point():
            raise UsageError(f"{self.card.name} takes floats in [0, 1], got {x.dtype}")

    def picture(self, outputs: Any) -> Tensor:  # noqa: ANN401
        """Take the restored picture out of what the net returns."""
        index = {"tensor": ..., "first": 0, "last": -1}[self.backend.result]
        picture: Tensor = outputs[index]
        return picture


def load_model(
    name_or_path: str | Path,
    *,
    device: str | torch.device = "auto",
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """Load an embedded model or a method by name, or any checkpoint file, ours or of others.

    `settings` are parameters of a method, or what the weights of a net do not tell, such as the
    `sigma` of a denoiser. What was left out of a foreign file or assumed is said in a warning.
    Raises UnknownNameError, UsageError or CheckpointError; what cannot be loaded strictly is not
    loaded at all.
    """
    place = resolve_device(device)
    found = find_model(name_or_path)
    if not isinstance(found, Path):
        return _set(str(name_or_path), found, settings or {}, place)
    checkpoint = read_any(found, settings)
    for note in checkpoint.notes:
        warnings.warn(f"{found}: {note}", stacklevel=2)
    card = checkpoint.card
    backend = default_registry().get(card.backend)
    net = backend.build(**card.config)
    net.load_state_dict(checkpoint.state)
    # Convolutions run 1.4 times faster in this layout, on CPUs too.
    net = net.eval().to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(net, card, backend, place)


def _set(name: str, method: Method, settings: Mapping[str, Any], place: torch.device) -> Model:
    backend, named = method
    if twice := [key for key in settings if key in named]:
        raise UsageError(f"'{name}' sets {', '.join(twice)} already; set it once")
    config = {**backend.arguments(), **named, **settings}
    net = backend.build(**config)
    card = Card(
        name=name,
        backend=backend.name,
        config=plain_config(config),
        task=backend.tasks[0],
        scale=backend.scale(config),
        licence=backend.licence,
        source=backend.paper,
    )
    return Model(net.eval(), card, backend, place)


def computes_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, as far as torch can tell."""
    # Older versions of torch cannot.
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in _BFLOAT16)


def build_net(backend: str, **config: Any) -> nn.Module:  # noqa: ANN401
    """Make a net with random weights; UsageError lists the arguments that it takes."""
    return default_registry().get(backend).build(**config)


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn "auto" or a name such as "cuda:1" into a device; UsageError gives the choices."""
    available = [name for name in _ACCELERATORS if _is_available(name)]
    if device == "auto":
        return torch.device(available[0] if available else "cpu")
    choices = f"available: {', '.join(['auto', 'cpu', *available])}"
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise UsageError(f"unknown device '{device}'; {choices}") from None
    if wanted.type not in ("cpu", *available) or not _has_index(wanted):
        raise UsageError(f"the device '{device}' is not available here; {choices}")
    return wanted


def _is_available(name: str) -> bool:
    home = torch.backends.mps if name == "mps" else getattr(torch, name)
    return bool(home.is_available())


def _has_index(device: torch.device) -> bool:
    return device.index is None or device.index < int(getattr(torch, device.type).device_count())
