"""Weights of a file in a net that need not be the same."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import Checkpoint
from restorekit.backends.legacy import read_any, read_weights
from restorekit.backends.registry import default_registry
from restorekit.errors import TrainingError, UnknownNetError
from restorekit.events import WeightsLoaded

SHOWN = 3
"""So many tensors are named in a message; the rest is counted."""
_COUNTER = "num_batches_tracked"


def open_weights(path: Path, backend: str | None) -> Checkpoint:
    """Open a checkpoint file, ours or of others.

    Weights that fit no net of restorekit exactly are taken as they are where `backend` names the
    net that they are meant for; their card then has no configuration.
    """
    try:
        return read_any(path)
    except UnknownNetError as error:
        if backend is None:
            raise UnknownNetError(
                f"{error}; to take what fits, name the net: --set net.backend=NAME"
            ) from None
    weights = read_weights(path)
    state = dict(default_registry().get(backend).adopted(weights.state))
    card = Card(name=path.stem, backend=backend, config={}, source=path.name)
    return Checkpoint(card, state, weights.notes)


def transplant(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> WeightsLoaded:
    """Load what fits `net` by name and shape; the rest of the net stays as it is.

    Raises TrainingError when nothing fits.
    """
    own = net.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if all(key.endswith(_COUNTER) for key in fitting):
        raise TrainingError(
            f"{path}: none of its {len(state)} tensors fits the net by name and shape; the file "
            f"begins with {_first(state)}, the net with {_first(own)}; choose another net or file"
        )
    net.load_state_dict(fitting, strict=False)
    kept = [key for key in own if key not in fitting and not key.endswith(_COUNTER)]
    return WeightsLoaded(
        loaded=len(fitting),
        reinitialised=tuple(f"{key} ({_difference(own[key], state.get(key))})" for key in kept),
        dropped=tuple(key for key in state if key not in own),
    )


def widen(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load the weights of a narrower net, so that `net` computes what that one computes.

    Channels that it has more keep their random filters and have no influence yet. Serves what Chen
    et al., "Net2Net", ICLR 2016, copy channels for; here they are free to differ from the first
    step. Raises TrainingError where other things than the channels between plain convolutions or
    linear layers differ.
    """
    own = net.state_dict()
    if own.keys() != state.keys():
        raise TrainingError(f"{path}: is not a narrower form of the net ({misfits(net, state)})")
    for key, given in state.items():
        if own[key].shape != given.shape:
            inputs = _input_axis(net.get_submodule(key.rpartition(".")[0]))
            if inputs is None or not _is_within(given, own[key]):
                raise TrainingError(
                    f"{path}: cannot be widened at {key} ({_difference(own[key], given)}); only "
                    "channels of plain convolutions and linear layers may be added"
                )
            if given.ndim > 1:
                own[key].narrow(1 - inputs, 0, given.shape[1 - inputs]).zero_()
        own[key][tuple(map(slice, given.shape))] = given


def _input_axis(layer: nn.Module) -> int | None:
    """Along which axis of a layer's weight its inputs lie; None where widening is not defined."""
    if isinstance(layer, nn.ConvTranspose2d):
        return 0 if layer.groups == 1 else None
    plain = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    return 1 if plain else None


def _is_within(given: Tensor, own: Tensor) -> bool:
    """Whether the one fits into the first two axes of the other, and the rest is equal."""
    inside = all(small <= large for small, large in zip(given.shape, own.shape, strict=False))
    return inside and given.shape[2:] == own.shape[2:] and given.ndim == own.ndim


def misfits(net: nn.Module, state: Mapping[str, Tensor]) -> str:
    """Say how weights differ from those of a net; empty when they fit exactly."""
    own = net.state_dict()
    unlike = [
        key
        for key in {**own, **state}
        if key not in own or key not in state or own[key].shape != state[key].shape
    ]
    more = ", ..." if len(unlike) > SHOWN else ""
    count = "1 tensor differs" if len(unlike) == 1 else f"{len(unlike)} tensors differ"
    return f"{count}: {', '.join(unlike[:SHOWN])}{more}" if unlike else ""


def _difference(own: Tensor, given: Tensor | None) -> str:
    return "not in the file" if given is None else f"file {_by(given)}, net {_by(own)}"


def _by(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _first(state: Mapping[str, Tensor]) -> str:
    return ", ".join([*state][:2])
