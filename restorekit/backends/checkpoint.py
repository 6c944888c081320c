"""Our own files: safetensors with a card. Read strictly, written atomically."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from restorekit.backends.base import Backend
from restorekit.backends.card import (
    CARD_KEY,
    Card,
    check_file,
    is_parameter,
    parse_card,
    read_header,
)
from restorekit.backends.detect import Shapes, fit_shapes, shapes_of
from restorekit.backends.registry import default_registry
from restorekit.errors import CheckpointError, UnknownNameError, UsageError
from restorekit.files import atomic_path

SUFFIX = ".safetensors"
_LARGEST = 10**6
"""More than any net has of anything; to build with it would fill the memory."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and their card."""

    card: Card
    state: dict[str, Tensor]
    notes: tuple[str, ...] = ()
    """What was left out or assumed when the file was not one of ours."""

    @property
    def parameters(self) -> int:
        """How many numbers were learned, the running statistics of normalisations left out."""
        return sum(value.numel() for key, value in self.state.items() if is_parameter(key))


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read one of our files, floats widened to float32.

    Raises CheckpointError when the format, the card or a number is not valid, or when the weights
    are not those of the net that the card names.
    """
    path = Path(path)
    header = read_header(path)
    card = parse_card(path, header)
    check_card(path, card, header.shapes)
    state = load_state(path)
    check_numbers(path, state)
    return Checkpoint(card, state)


def write_checkpoint(
    path: Path | str, state: Mapping[str, Tensor], card: Card, *, half: bool = False
) -> None:
    """Write weights and card so that `path` is either the old file or the whole new one.

    `half` stores floats as float16. Raises CheckpointError, before anything is written, when the
    weights do not fit the card, are not finite or leave the range of float16.
    """
    path = Path(path)
    check_card(path, card, shapes_of(state))
    check_numbers(path, state)
    stored = {key: _stored(path, key, value, half) for key, value in state.items()}
    _write_atomically(path, save(stored, {CARD_KEY: card.model_dump_json()}))


def replace_card(path: Path | str, card: Card) -> None:
    """Put another card on a checkpoint; its tensors keep their dtypes and every bit.

    Raises CheckpointError when the card is not of these weights or the file cannot be written.
    """
    path = Path(path)
    check_card(path, card, read_header(path).shapes)
    _write_atomically(path, save(load_file(path), {CARD_KEY: card.model_dump_json()}))


def load_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of any safetensors file, floats widened to float32."""
    check_file(path)
    try:
        return widen(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from None


def widen(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn all floats into float32 and keep integers."""
    plain = {key: value.detach() for key, value in state.items()}
    return {k: v.float() if v.is_floating_point() else v for k, v in plain.items()}


def check_numbers(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError that names the weights which are no floats, NaN or infinite."""
    for key, value in state.items():
        if value.is_meta or value.layout is not torch.strided:
            raise CheckpointError(
                f"{path}: {key} is {'without numbers' if value.is_meta else 'a sparse tensor'}; "
                "save the weights as plain tensors"
            )
        if value.is_complex() or (value.ndim > 1 and not value.is_floating_point()):
            raise CheckpointError(
                f"{path}: {key} holds {str(value.dtype).removeprefix('torch.')} and not floats, as "
                "in a quantised net; save the weights as they were before"
            )
    bad = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if bad:
        names = ", ".join(bad[:3]) + (" ..." if len(bad) > 3 else "")
        raise CheckpointError(
            f"{path}: NaN or infinite numbers in {len(bad)} of {len(state)} tensors ({names}); "
            "the training that made it diverged or the file is damaged"
        )


def check_card(path: Path, card: Card, shapes: Shapes) -> None:
    """Raise CheckpointError unless `shapes` are those of the net that the card names."""
    backend = _backend_of(path, card)
    for key, value in card.config.items():
        if isinstance(value, int) and value > _LARGEST:
            raise CheckpointError(f"{path}: its card does not make a net: {key} is {value:,}")
    try:
        fit = fit_shapes(backend, card.config, shapes)
    except UsageError as error:
        raise CheckpointError(f"{path}: its card does not make a net: {error}") from None
    if not fit.exact:
        raise CheckpointError(
            f"{path}: the card says {card.backend} with {json.dumps(card.config)}, but the weights "
            f"are of another net: {fit.differences()}"
        )
    if card.scale != (scale := backend.scale(card.config)):
        raise CheckpointError(f"{path}: the card says scale {card.scale}, its net has {scale}")


def _backend_of(path: Path, card: Card) -> Backend:
    try:
        return default_registry().get(card.backend)
    except UnknownNameError as error:
        raise CheckpointError(
            f"{path}: {error}; if another package provides it, install that package"
        ) from None


def _stored(path: Path, key: str, value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu()
    if half and value.is_floating_point():
        narrow = value.half()
        if not torch.isfinite(narrow).all():
            raise CheckpointError(
                f"{path}: {key} reaches {value.abs().max():g}, float16 ends at 65504; "
                "write it without half"
            )
        value = narrow
    # A copy, for tensors that share memory are refused by the format.
    return value.clone(memory_format=torch.contiguous_format)


def _write_atomically(path: Path, data: bytes) -> None:
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
