"""What every degradation has: drawn parameters, default ranges and a picture to work on."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from restorekit.degradations.draw import Value, Written, parse_draw
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Pixels

Picture = NDArray[np.float32]
"""(H, W, 3) RGB or (H, W, 1) grey in [0, 1]; never clipped between the steps of a chain."""


class Degradation(BaseModel):
    """One kind of damage with its parameters drawn.

    A subclass declares its parameters as fields with bounds, their default `ranges`, five
    `severities` from barely visible to severe, and `apply`.
    An instance is what a manifest stores: the same instance and the same generator give the same
    bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    ranges: ClassVar[Mapping[str, Written]]
    severities: ClassVar[Sequence[Mapping[str, Value]]]

    @classmethod
    def sample(cls, rng: np.random.Generator, **written: Written) -> Self:
        """Draw the parameters; `written` narrows or fixes some of them.

        Raises UsageError for an unknown parameter or a value out of its bounds.
        """
        for name in written:
            if name not in cls.model_fields:
                raise UnknownNameError(f"parameter of {cls.name}", name, cls.model_fields)
        drawn = {
            name: parse_draw(choice).sample(rng)
            for name, choice in sorted({**cls.ranges, **written}.items())
        }
        return cls.from_values(drawn)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from stored parameters; raises UsageError where they do not fit."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{cls.name}: {where} = {first['input']!r} is not possible: {first['msg']}"
            ) from None

    @classmethod
    def at_severity(cls, severity: int) -> Self:
        """Return the degradation of severity 1 to 5; nothing is drawn."""
        if not 1 <= severity <= len(cls.severities):
            raise UsageError(
                f"{cls.name} has severities 1 to {len(cls.severities)}, not {severity}"
            )
        return cls.from_values(cls.severities[severity - 1])

    @property
    def scale(self) -> int:
        """How many times smaller the degraded picture is, each way."""
        return 1

    @abstractmethod
    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Return the degraded picture, `scale` times smaller; `rng` is for what is no parameter."""


def to_picture(pixels: Pixels) -> Picture:
    """Turn samples of any depth into float32; integers are scaled to [0, 1]."""
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


def to_samples(picture: Picture, dtype: DTypeLike) -> Pixels:
    """Clip to [0, 1] and turn into samples of a dtype, integers rounded."""
    clipped = np.clip(picture, 0, 1)
    if np.issubdtype(dtype, np.integer):
        clipped = np.rint(clipped * np.float32(np.iinfo(np.dtype(dtype)).max))
    return clipped.astype(dtype)
