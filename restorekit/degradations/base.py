"""What every degradation has: drawn parameters, default ranges and a picture to work on."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from restorekit.degradations.draw import Value, Written, parse_draw
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Pixels

Picture = NDArray[np.float32]
"""(H, W, 3) RGB or (H, W, 1) grey in [0, 1]; never clipped between the steps of a chain."""
Plane = NDArray[np.float32]
"""(H, W)."""
_WHOLE = "; a range lo..hi between whole numbers draws whole ones, lo~hi and lo^hi draw fractions"
MapName = Literal["kernel", "depth", "mask", "map"]


@dataclass(frozen=True)
class Traced:
    """A degraded picture and what is known of how it came about."""

    picture: Picture
    maps: Mapping[MapName, NDArray[np.float32]] = field(default_factory=dict)
    """All float32.

    `kernel`: (h, w), odd-sized, of sum 1, centred; to convolve with, correlation needs it flipped.
    `depth`: (H, W), the depth that was used, as `Degradation.traced` takes it.
    `mask`: (H, W) in [0, 1], how much of the pixel the damage hides; beside a `map`, 1 where it
    stays inside the degraded picture and 0 elsewhere.
    `map`: (H, W, 2), for each pixel of the reference the place (x, y) in the degraded picture where
    it went, in pixels with (0, 0) at the centre of the top left one: sampling the degraded picture
    there undoes the deformation.
    """


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
    takes_depth: ClassVar[bool] = False
    """Whether `traced` uses a depth map that is handed in; the others ignore it."""

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
            hint = _WHOLE if first["type"] == "int_from_float" else ""
            raise UsageError(
                f"{cls.name}: {where} = {first['input']!r} is not possible: {first['msg']}{hint}"
            ) from None

    @classmethod
    def at_severity(cls, severity: int) -> Self:
        """Return the degradation of severity 1 to 5; nothing is drawn."""
        if not cls.severities:
            raise UsageError(f"{cls.name} has no severities; write a recipe that has it as a step")
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

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Degrade as `apply` does, to the byte, and tell what is known of it.

        `depth` is (H, W) of the picture's size, finite, 0 at the camera and growing with the
        distance; its unit is the one that parameters such as `beta` refer to, and 1 is the farthest
        where there is none. Without it, one is guessed from the picture. Raises UsageError for a
        depth that does not fit.
        """
        return Traced(self.apply(picture, rng))


class TracedDegradation(Degradation):
    """A degradation that has something to tell: it implements `traced`, and `apply` follows."""

    @abstractmethod
    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Degrade and tell how."""

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Return the degraded picture alone."""
        return self.traced(picture, rng).picture


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
