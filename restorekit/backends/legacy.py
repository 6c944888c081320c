"""Files of others: .pth, .pt, .pkl, .ckpt, .npz and .safetensors, opened without running code.

The first bytes decide what a file is; its suffix is never trusted.
"""

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restorekit.backends.base import Backend
from restorekit.backends.card import (
    CARD_KEY,
    Card,
    ConfigValue,
    check_file,
    plain_config,
    read_header,
)
from restorekit.backends.checkpoint import (
    Checkpoint,
    check_numbers,
    load_state,
    read_checkpoint,
    widen,
)
from restorekit.backends.detect import detect
from restorekit.backends.pickles import INERT, Inert, unsafe_globals
from restorekit.backends.registry import default_registry
from restorekit.errors import CheckpointError, UnknownNetError, UnsafePickleError, UsageError

State = dict[str, Tensor]

# Averaged weights before raw ones: they are what the papers measured.
WRAPPERS = (
    "params_ema",
    "model_ema",
    "state_dict_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "net_g",
    "netG",
    "generator",
    "G",
    "weights",
)
DISCRIMINATORS = ("net_d", "netD", "discriminator", "params_d", "D")
# Left by DataParallel and torch.compile; never part of a net's own keys.
PREFIXES = ("module.", "_orig_mod.")
# Left by thop, which counts operations, on every layer that it saw.
COUNTS = ("total_ops", "total_params")


class Format(StrEnum):
    """What the first bytes say."""

    SAFETENSORS = "safetensors"
    TORCH = "PyTorch zip"
    NPZ = "NumPy zip"
    PICKLE = "pickle"


_NO_CHECKPOINT = {
    b"<!DOCTYPE": "a web page (the download asked for a confirmation or a login)",
    b"<!doctype": "a web page (the download asked for a confirmation or a login)",
    b"<html": "a web page (the download asked for a confirmation or a login)",
    b"version https://git-lfs": "a Git LFS pointer and not the file: run 'git lfs pull'",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"RIFF": "a WebP picture or a video",
    b"\x1f\x8b": "gzip-packed: unpack it first",
    b"\x93NUMPY": "a single NumPy array without names: save it as .npz",
    b"\x89HDF": "an HDF5 file: save its weights as .npz",
}


@dataclass(frozen=True, eq=False)
class Weights:
    """The state dict of a file, before its net is known."""

    state: State
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Foreign:
    backend: Backend
    config: dict[str, Any]
    state: State
    notes: tuple[str, ...]


def load_foreign(path: Path | str) -> tuple[str, dict[str, Any], State]:
    """Open a file of any supported kind: (backend name, configuration, state dict).

    What was left out of the file or assumed is said in a warning. Raises CheckpointError for what
    is no checkpoint or holds no usable weights, UnsafePickleError for a pickle that asks for code
    and UnknownNetError when no backend fits.
    """
    path = Path(path)
    foreign = _open(path)
    for note in foreign.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return foreign.backend.name, foreign.config, foreign.state


def read_any(path: Path | str, known: Mapping[str, Any] | None = None) -> Checkpoint:
    """Open one of our checkpoints, or a foreign file with a card made from what it tells.

    `known` are arguments of the net that the caller knows better: they leave no trace in weights.
    Raises UsageError for other arguments.
    """
    path = Path(path)
    if sniff(path) is Format.SAFETENSORS and CARD_KEY in read_header(path).metadata:
        ours = read_checkpoint(path)
        return replace(ours, card=_told(path, ours.card, known)) if known else ours
    foreign = _open(path, known)
    return Checkpoint(_card_for(path, foreign), foreign.state, foreign.notes)


def _told(path: Path, card: Card, known: Mapping[str, Any]) -> Card:
    backend = default_registry().get(card.backend)
    config = {**card.config, **_checked(path, backend, card.config, known)}
    return card.model_copy(update={"config": config, "scale": backend.scale(config)})


def _checked(
    path: Path, backend: Backend, config: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, ConfigValue]:
    """Refuse what the weights tell better, or what this form of the net does not have."""
    free = [key for key in backend.assumed if key in config]
    if wrong := [key for key in known if key not in free]:
        raise UsageError(
            f"{path}: {', '.join(wrong)} cannot be set for this {backend.name}; "
            + (f"what can is {', '.join(free)}" if free else "its weights tell all there is")
        )
    for key, value in known.items():
        if isinstance(value, str) != isinstance(config[key], str):
            raise UsageError(f"{path}: {key}={value}: give a value such as {config[key]}")
    return plain_config(known)


def read_weights(path: Path) -> Weights:
    """Read and unwrap a state dict, floats widened to float32, without asking whose it is."""
    notes: list[str] = []
    kind = sniff(path)
    if kind is Format.SAFETENSORS:
        content: object = load_state(path)
    elif kind is Format.NPZ:
        content = _load_npz(path)
    else:
        content = _load_pickle(path)
    state = _without_counts(_strip_prefixes(widen(_unwrap(path, content, notes))), notes)
    check_numbers(path, state)
    return Weights(state, tuple(notes))


def sniff(path: Path) -> Format:
    """Tell the format from the content; CheckpointError says what else the file is."""
    check_file(path)
    with path.open("rb") as file:
        head = file.read(64)
    for magic, what in _NO_CHECKPOINT.items():
        if head.startswith(magic):
            raise CheckpointError(f"{path}: not a checkpoint but {what}")
    if head.startswith(b"PK"):
        return _sniff_archive(path)
    if head[8:9] == b"{":
        return Format.SAFETENSORS
    return Format.PICKLE


def _sniff_archive(path: Path) -> Format:
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: cut off (a zip archive without its end); get it again")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names):
        raise CheckpointError(
            f"{path}: a TorchScript program and not a state dict; "
            "save model.state_dict() where it was made"
        )
    if any(name.endswith("data.pkl") for name in names):
        return Format.TORCH
    if names and all(name.endswith(".npy") for name in names):
        return Format.NPZ
    raise CheckpointError(f"{path}: a zip archive without weights; unpack it and name a file in it")


def _load_npz(path: Path) -> State:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise UnsafePickleError(
                f"{path}: holds an array of Python objects, which only code can read; refused"
            ) from None
        raise CheckpointError(f"{path}: not a readable .npz file: {error}") from None
    except (OSError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise CheckpointError(f"{path}: not a readable .npz file: {error}") from None


def _load_pickle(path: Path) -> object:
    try:
        unsafe = unsafe_globals(path)
    except (ValueError, MemoryError, OverflowError, zipfile.BadZipFile, OSError):
        raise CheckpointError(
            f"{path}: not a checkpoint, or cut off; accepted are safetensors, files of torch.save "
            "and .npz"
        ) from None
    if unsafe:
        raise UnsafePickleError(
            f"{path}: refused, nothing was run: this pickle asks for {', '.join(unsafe)}. Save the "
            "state dict alone (torch.save(model.state_dict(), ...)) on a machine that trusts it"
        )
    return _load_torch(path)


def _load_torch(path: Path) -> object:
    try:
        # Given a path, torch.load believes the suffix .safetensors; given a file, the content.
        inert = torch.serialization.safe_globals([(Inert, name) for name in INERT])
        with path.open("rb") as file, warnings.catch_warnings(), inert:
            warnings.simplefilter("ignore")
            content: object = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _first_sentence(str(error).rpartition("WeightsUnpickler error:")[2])
        if "global" in reason.lower():
            raise UnsafePickleError(f"{path}: refused, nothing was run: {reason}") from None
        raise CheckpointError(
            f"{path}: cannot be read safely ({reason}); save the state dict again with torch.save "
            "and its default pickle protocol"
        ) from None
    # Damaged bytes make the reader raise nearly anything.
    except Exception as error:
        raise CheckpointError(
            f"{path}: cut off, or not written by torch.save: "
            f"{_first_sentence(str(error)) or type(error).__name__}"
        ) from None
    return content


def _first_sentence(text: str) -> str:
    return text.strip().partition("\n")[0].partition(". ")[0]


def _unwrap(path: Path, content: object, notes: list[str]) -> State:
    """Descend through wrapper keys to the dict whose values are tensors."""
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__} and not a dict of weights; "
            "save model.state_dict()"
        )
    if _is_numbered(content):
        return {f"{number}.{key}": v for number, net in content.items() for key, v in net.items()}
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    inner = {k: v for k, v in content.items() if isinstance(v, Mapping) and v}
    if (name := _choose(inner)) and "param_groups" not in content:
        _note_left_out(notes, f"took '{name}'", [k for k in content if k != name])
        return _unwrap(path, content[name], notes)
    if not tensors or "param_groups" in content:
        raise CheckpointError(f"{path}: {_why_no_weights(content, inner)}")
    _note_left_out(notes, "took the tensors", [k for k in content if k not in tensors])
    return tensors


def _is_numbered(content: Mapping[Any, Any]) -> bool:
    """Whether a file holds several nets, numbered from 0 on."""
    numbers = [str(index) for index in range(len(content))]
    return (
        len(numbers) > 1
        and [*map(str, content)] == numbers
        and all(
            isinstance(net, Mapping) and net and all(isinstance(v, Tensor) for v in net.values())
            for net in content.values()
        )
    )


def _choose(inner: Mapping[object, Mapping[object, object]]) -> str | None:
    """Pick the wrapper that holds weights, known names first; a lone unknown one will do."""
    weighty = [k for k, v in inner.items() if isinstance(k, str) and _has_weights(v)]
    for name in WRAPPERS:
        if name in weighty:
            return name
    generators = [name for name in weighty if name not in DISCRIMINATORS]
    return generators[0] if len(generators) == 1 else None


def _has_weights(value: object) -> bool:
    if not isinstance(value, Mapping) or "param_groups" in value:
        return False
    return any(isinstance(v, Tensor) or _has_weights(v) for v in value.values())


def _why_no_weights(
    content: Mapping[object, object], inner: Mapping[object, Mapping[object, object]]
) -> str:
    if "optimizers" in content or any("param_groups" in p for p in (content, *inner.values())):
        return "an optimiser state without weights; the weights are in another file of that run"
    several = [str(key) for key, value in inner.items() if _has_weights(value)]
    if several and all(name in DISCRIMINATORS for name in several):
        return "holds only a discriminator, which restores nothing; use the generator's file"
    if len(several) > 1:
        return f"several sets of weights ({', '.join(several)}); save the one you want by itself"
    found = ", ".join(map(str, list(content)[:5])) or "nothing"
    return f"no weights in it (found: {found}); save model.state_dict()"


def _note_left_out(notes: list[str], what: str, left_out: Sequence[object]) -> None:
    if left_out:
        names = ", ".join(str(key) for key in left_out[:6])
        more = f" and {len(left_out) - 6} more" if len(left_out) > 6 else ""
        notes.append(f"{what}, left out {names}{more}")


def _without_counts(state: State, notes: list[str]) -> State:
    counts = [key for key in state if key.rpartition(".")[2] in COUNTS]
    _note_left_out(notes, "took the weights", counts)
    return {key: value for key, value in state.items() if key not in counts}


def _strip_prefixes(state: State) -> State:
    for prefix in PREFIXES * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _open(path: Path, known: Mapping[str, Any] | None = None) -> _Foreign:
    weights = read_weights(path)
    first_error: UnknownNetError | None = None
    for state, taken in _readings(weights.state):
        try:
            backend, config = detect(state)
        except UnknownNetError as error:
            first_error = first_error or error
        else:
            told = _checked(path, backend, config, known or {})
            notes = [*weights.notes, *taken, *_assumptions(backend, config, told)]
            ours = dict(backend.adopted(state))
            return _Foreign(backend, {**config, **told}, ours, tuple(notes))
    raise UnknownNetError(f"{path}: {first_error}")


def _readings(state: State) -> Iterator[tuple[State, list[str]]]:
    """The state dict as it is, then the part of it under one attribute of a larger module."""
    yield state, []
    for name in WRAPPERS:
        prefix = f"{name}."
        part = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if part:
            notes: list[str] = []
            rest = [key for key in state if not key.startswith(prefix)]
            _note_left_out(notes, f"took '{prefix}*'", rest)
            yield _strip_prefixes(part), notes


def _assumptions(
    backend: Backend, config: Mapping[str, Any], known: Mapping[str, Any]
) -> list[str]:
    guessed = ", ".join(
        f"{key}={config[key]}" for key in backend.assumed if key in config and key not in known
    )
    return [f"assumed {guessed}: the weights do not tell"] if guessed else []


def _card_for(path: Path, foreign: _Foreign) -> Card:
    backend = foreign.backend
    return Card(
        name=path.stem,
        backend=backend.name,
        config=plain_config(foreign.config),
        task=backend.tasks[0] if len(backend.tasks) == 1 else None,
        scale=backend.scale(foreign.config),
        source=path.name,
    )
