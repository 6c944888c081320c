"""Haze, fog and dust in the air."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.depth import depth_of
from restorekit.degradations.fields import clouds
from restorekit.degradations.light import Space, to_linear, work_in


def transmission(depth: Plane, beta: float) -> Plane:
    """Return the part of the light that comes through `depth` of air of thickness `beta`."""
    return np.exp(np.float32(-beta) * depth)


def veil(picture: Picture, transmitted: Plane, airlight: Picture) -> Picture:
    """Replace what the air takes of the light by its own."""
    left = transmitted[..., None]
    return picture * left + airlight * (1 - left)


class Haze(TracedDegradation):
    """Light scattered out of and into the line of sight (Koschmieder, 1924).

    I = J t + A (1 - t), t = exp(-beta d), over a given depth or one that is guessed from the
    picture, with 1 the farthest; done with display values as in RESIDE (Li et al., TIP 2019).
    `patchiness` adds banks of haze that do not follow the depth (NH-HAZE: Ancuti et al., CVPRW
    2020). A positive `tint` is the yellow of dust, a negative one the blue of distance.
    """

    name: ClassVar[str] = "haze"
    takes_depth: ClassVar[bool] = True
    ranges: ClassVar = {
        "beta": "0.6..3.0",
        "airlight": "0.7..1.0",
        "tint": "-0.05..0.05",
        "horizon": "0.2..0.5",
        "patchiness": 0.0,
        "room": 0.0,
        "near": 0.0,
        "space": "display",
    }
    severities: ClassVar = tuple(
        {
            "beta": beta,
            "airlight": 0.85,
            "tint": 0.0,
            "horizon": 0.35,
            "patchiness": 0.0,
            "room": 0.0,
            "near": 0.0,
            "space": "display",
        }
        for beta in (0.5, 1.0, 1.6, 2.4, 4.0)
    )

    beta: float = Field(
        ge=0,
        le=20,
        description="optical thickness of the air up to a depth of 1",
    )
    airlight: float = Field(ge=0, le=1, description="brightness of the air")
    tint: float = Field(
        ge=-0.5, le=0.5, description="red over green, and green over blue, of the air"
    )
    horizon: float = Field(ge=0, le=1, description="part of the height that lies above it")
    patchiness: float = Field(ge=0, le=10, description="optical thickness of the thickest banks")
    # With a default, unlike the others: manifests that were written before it replay.
    room: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 in the open, 1 where a guessed depth knows no horizon and no sky",
    )
    near: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how far the nearest of a guessed depth is, as part of the farthest",
    )
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Fill the air."""
        depth = depth_of(picture, depth, self.horizon, rng, self.room, self.near)
        return Traced(self._filled(picture, depth, rng), {"depth": depth})

    def _filled(self, picture: Picture, depth: Plane, rng: np.random.Generator) -> Picture:
        left = transmission(depth, self.beta)
        if self.patchiness:
            banks = np.clip(clouds(picture.shape, rng) * 1.8 - 0.4, 0, 1)
            left = left * transmission(banks, self.patchiness)
        if not self.beta and not self.patchiness:
            return picture
        air = self._air(picture.shape[2])
        if self.space == "linear":
            air = to_linear(air)
        return work_in(self.space, picture, lambda values: veil(values, left, air))

    def _air(self, channels: int) -> Picture:
        colour = self.airlight * np.array([1 + self.tint, 1, 1 - self.tint])
        colour = colour if channels == 3 else colour.mean(keepdims=True)
        return np.clip(colour, 0, 1).astype(np.float32).reshape(1, 1, channels)
