"""What restorekit knows about a net, without importing it."""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from restorekit.errors import RestorekitError, UsageError
from restorekit.types import Task

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Capabilities:
    """Which sizes and precisions a net takes."""

    multiple: int = 1
    """Height and width must be multiples of this; the model pads and crops by itself."""
    minimum: int = 1
    """The least height and width, in pixels."""
    half: bool = False
    """Float16 gives the same picture."""
    bfloat16: bool = False
    """Bfloat16 gives the same picture."""
    global_statistics: bool = False
    """The net averages over the whole picture, so a tile of it is not the same as the whole."""
    train_size: int = 256
    """Height and width of the crops the published weights were trained on, in pixels."""
    window: int | None = None
    """Side of the windows that statistics of larger pictures are taken over, in pixels.

    None is `train_size`.
    """
    overlap: int | None = None
    """Pixels that neighbouring tiles share, by the reach of the net; None is 32, or half of
    `train_size` with global statistics.
    """
    overview: bool = False
    """The net looks at the whole picture made small first; tiles are told what it saw there."""
    hidden_bytes: int = 0
    """Memory for each pixel of the input that is taken beside tensors, where none shows."""


@dataclass(frozen=True)
class Backend:
    """A net by name: how to recognise its state dict, build it and read what it returns.

    `net` and `infer` are "module:attribute" strings, resolved when a model is asked for, so that
    listing backends imports no net and one broken net cannot break the others.
    """

    name: str
    net: str
    """The `nn.Module`; its constructor takes plain values by keyword and has defaults for all."""
    infer: str
    """The function from a state dict to the constructor's arguments."""
    keys: tuple[str, ...]
    """The state-dict keys that tell this net from others; all must be there.

    None for a method that has no weights: it is a model by its own name.
    """
    capabilities: Capabilities
    tasks: tuple[Task, ...]
    """The tasks that published weights exist for."""
    paper: str
    licence: str
    """Of the published weights."""
    result: Literal["tensor", "last", "first"] = "tensor"
    """Which of the net's outputs is the restored picture."""
    assumed: tuple[str, ...] = ()
    """The constructor's arguments that leave no trace in the weights; `infer` guesses them."""
    noise_map: bool = False
    """One input channel more than the net gives out is a noise map, which the net adds itself."""
    adopt: str = ""
    """The function from a state dict in another program's layout to that of `net`.

    What is in the layout of `net` already, or no state dict of this net, it returns as it is.
    """

    def build(self, **config: Any) -> "nn.Module":  # noqa: ANN401
        """Make the net with random weights.

        Raises UsageError when the constructor does not take `config`, RestorekitError when the
        net cannot be imported.
        """
        net = self._resolve(self.net)
        accepted = self.arguments()
        unknown = [key for key in config if key not in accepted]
        if unknown:
            raise UsageError(
                f"backend '{self.name}' does not take {', '.join(unknown)}; "
                f"it takes {', '.join(accepted)}"
            )
        try:
            module: nn.Module = net(**{key: _frozen(value) for key, value in config.items()})
        except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise UsageError(
                f"backend '{self.name}' cannot be built with {config}: {error}"
            ) from error
        return module

    def adopted(self, state: Mapping[str, "Tensor"]) -> Mapping[str, "Tensor"]:
        """Bring a state dict into the layout of `net`; any exception means a misfit."""
        renamed: Mapping[str, Tensor] = self._resolve(self.adopt)(state) if self.adopt else state
        return renamed

    def infer_config(self, state: Mapping[str, "Tensor"]) -> dict[str, Any]:
        """Read the constructor's arguments off a state dict; any exception means a misfit."""
        config: dict[str, Any] = self._resolve(self.infer)(state)
        return config

    def matches(self, keys: Collection[str]) -> bool:
        """Whether all signature keys are among `keys`; a match can still turn out to misfit."""
        return not self.weightless and all(key in keys for key in self.keys)

    @property
    def weightless(self) -> bool:
        """Whether this is a method and no net: nothing of it is ever in a file."""
        return not self.keys

    def about(self) -> str:
        """Say what a method does: the first paragraph of its description."""
        text = inspect.cleandoc(self._resolve(self.net).__doc__)
        return text.partition("\n\n")[0]

    def explained(self) -> list[str]:
        """Say of each parameter of a method its default, its unit and its range."""
        described: Mapping[str, str] = self._resolve(self.net).explain()
        return [f"{name}: {text}" for name, text in described.items()]

    def arguments(self) -> Mapping[str, Any]:
        """Map the constructor's arguments to their defaults."""
        parameters = inspect.signature(self._resolve(self.net)).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    def scale(self, config: Mapping[str, Any]) -> int:
        """How many times larger the restored picture is."""
        return self._argument("scale", config, otherwise=1)

    def channels(self, config: Mapping[str, Any]) -> int:
        """How many channels a picture must have for the net."""
        channels = self._argument("in_channels", config, otherwise=3)
        with_map = channels - 1 == self._argument("out_channels", config, otherwise=channels)
        return channels - (self.noise_map and with_map)

    def multiple(self, config: Mapping[str, Any]) -> int:
        """What height and width must be multiples of."""
        return self.capabilities.multiple * int(config.get("unshuffle", 1))

    def _argument(self, name: str, config: Mapping[str, Any], otherwise: int) -> int:
        return int(config.get(name, self.arguments().get(name, otherwise)))

    def _resolve(self, reference: str) -> Any:  # noqa: ANN401
        module, _, attribute = reference.partition(":")
        try:
            return getattr(import_module(module), attribute)
        # A net of another package may raise anything at all while it is imported.
        except Exception as error:
            raise RestorekitError(
                f"backend '{self.name}' is broken: {reference} cannot be imported: {error}"
            ) from error


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
