"""The card of a checkpoint and the header it is written in; read without torch.

A checkpoint is a safetensors file: eight bytes that say how long the JSON header is, the header
(dtype, shape and place of every tensor, and a map of strings), then the numbers. The card is the
string "restorekit" of that map.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restorekit.errors import CheckpointError
from restorekit.types import Precision, Task

CARD_KEY = "restorekit"
FORMAT_VERSION = 1
UNKNOWN = "unknown"

_LENGTH_BYTES = 8
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")

Plain = bool | int | float | str | None
ConfigValue = Plain | tuple[Plain, ...]
"""What a net's constructor takes: plain values and tuples of them."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(_Frozen):
    """How the weights were made."""

    data: str
    recipe: str
    recipe_sha256: str
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    precision: Precision = Precision.FLOAT32
    """The arithmetic of the net, which it is exact enough in ever after."""
    curve: dict[int, float] = {}
    """PSNR of the validations until these weights, in dB, by step."""


class Measured(_Frozen):
    """Numbers of one data set under one protocol; the first value is the headline."""

    dataset: str
    protocol: str
    values: dict[str, float] = Field(min_length=1)


class Card(_Frozen):
    """What a checkpoint is, where it comes from and what it can do."""

    name: str = Field(min_length=1)
    backend: str
    config: dict[str, ConfigValue]
    """The arguments of the net's constructor."""
    task: Task | None = None
    """None when the file that it was converted from does not tell."""
    scale: int = Field(default=1, ge=1)
    value_range: str = "RGB in [0, 1]"
    training: Training | None = None
    measured: tuple[Measured, ...] = ()
    limits: str = ""
    """What it does badly, in words."""
    licence: str = UNKNOWN
    source: str = UNKNOWN
    format_version: int = Field(default=FORMAT_VERSION, ge=1)


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file."""

    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    """Key to (dtype as safetensors writes it, shape)."""
    metadata: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """How many numbers were learned, the running statistics of normalisations left out."""
        return sum(
            math.prod(shape) for key, (_, shape) in self.tensors.items() if is_parameter(key)
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Key to shape."""
        return {key: shape for key, (_, shape) in self.tensors.items()}


def is_parameter(key: str) -> bool:
    """Whether a state-dict key holds learned numbers."""
    return not key.endswith(_BUFFERS)


def check_file(path: Path) -> None:
    """Raise CheckpointError unless `path` is a file that can be read and is not empty."""
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; name the checkpoint file in it")
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise CheckpointError(f"{path}: no permission to read it")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty; copy or download it again")


def read_header(path: Path | str) -> Header:
    """Read the header of a safetensors file; CheckpointError says what is wrong with it."""
    path = Path(path)
    check_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise CheckpointError(
                f"{path}: not a safetensors file, or cut off inside its header; get it again"
            )
        text = file.read(length)
    return _parse_header(path, text, size - _LENGTH_BYTES - length)


def _parse_header(path: Path, text: bytes, data_bytes: int) -> Header:
    try:
        entries = json.loads(text)
        metadata = dict(entries.pop("__metadata__", {}))
        tensors = {key: (e["dtype"], tuple(map(int, e["shape"]))) for key, e in entries.items()}
        expected = max((int(e["data_offsets"][1]) for e in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise CheckpointError(f"{path}: not a safetensors file (its header is damaged)") from None
    if expected != data_bytes:
        raise CheckpointError(
            f"{path}: {'cut off' if data_bytes < expected else 'too long'}: the header promises "
            f"{expected:,} bytes of weights, the file has {data_bytes:,}; get it again"
        )
    return Header(tensors, metadata)


def read_card(path: Path | str) -> Card:
    """Read the card of a checkpoint; CheckpointError says what is wrong with it."""
    return parse_card(path, read_header(path))


def parse_card(path: Path | str, header: Header) -> Card:
    """Take the card out of a header; `path` is for the messages."""
    if CARD_KEY not in header.metadata:
        raise CheckpointError(
            f"{path}: has weights but no card; make a checkpoint of it with "
            f"'restorekit models convert {path}'"
        )
    try:
        fields = json.loads(header.metadata[CARD_KEY])
        _check_version(path, fields)
        return Card.model_validate(fields)
    except ValidationError as error:
        raise CheckpointError(f"{path}: its card is not valid: {_explain(error)}") from None
    except (ValueError, TypeError):
        raise CheckpointError(f"{path}: its card is not JSON text") from None


def _check_version(path: Path | str, fields: object) -> None:
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: written in format {version}, and this restorekit reads up to "
            f"{FORMAT_VERSION}; install a newer one"
        )


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in error.errors()[:3]
    )


def plain_config(config: Mapping[str, Any]) -> dict[str, ConfigValue]:
    """Make the arguments of a net hashable and writable: sequences become tuples."""
    return {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in config.items()}
