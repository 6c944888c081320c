"""Blur that depends on the distance."""

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.depth import depth_of
from restorekit.degradations.kernels import Kernel, convolve, disk
from restorekit.degradations.light import Space, brighten_highlights, work_in

MOST_LAYERS = 16
NEAREST = 1e-3
"""Depths below this count as this."""
TRACE = np.float32(1e-4)
"""A layer with less than this of its own says nothing about its colour there."""


class DepthDefocus(TracedDegradation):
    """A scene whose parts are out of focus by their distance to what is in focus.

    The circle of confusion of a thin lens, r = radius |1 - focus / d| (Potmesil and Chakravarty,
    SIGGRAPH 1981), over a given depth or one that is guessed. Layers of about equal blur are laid
    over each other from far to near (Scofield, 1992), each with colours of its own only, so that
    nothing sharp bleeds into the blur behind it and what is near spreads over what is far.
    """

    name: ClassVar[str] = "depth-defocus"
    takes_depth: ClassVar[bool] = True
    ranges: ClassVar = {
        "radius": "3.0..14.0",
        "focus": "0.15~1.0",
        "horizon": "0.2..0.5",
        "blades": [0, 5, 6, 7, 8, 9],
        "rotation": "0.0..72.0",
        "highlights": "1.0..4.0",
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {
            "radius": radius,
            "focus": 0.2,
            "horizon": 0.35,
            "blades": 0,
            "rotation": 0.0,
            "highlights": 1.0,
            "space": "linear",
        }
        for radius in (1.5, 3.0, 5.0, 8.0, 12.0)
    )

    radius: float = Field(
        ge=0, le=100, description="pixels, of what is infinitely far and at most of what is near"
    )
    focus: float = Field(gt=0, le=1e5, description="depth that is sharp, in the unit of the depth")
    horizon: float = Field(ge=0, le=1, description="part of the height that lies above it")
    blades: int = Field(ge=0, le=20, description="corners of the aperture; below 3 it is round")
    rotation: float = Field(ge=0, le=360, description="degrees")
    highlights: float = Field(ge=1, le=20, description="true brightness of clipped lights")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Focus on one distance."""
        depth = depth_of(picture, depth, self.horizon, rng)
        circle = self._circle(depth)
        blurred = picture
        if circle.any():
            blurred = work_in(self.space, picture, lambda light: self._on_sensor(light, circle))
        return Traced(blurred, {"depth": depth})

    def _on_sensor(self, light: Picture, circle: Plane) -> Picture:
        seen = self._focused(brighten_highlights(light, self.highlights), circle)
        return np.minimum(seen, np.maximum(light.max(), 1))

    def _circle(self, depth: Plane) -> Plane:
        """Return the radius of the disc that each point becomes, below 0 before the focus."""
        radius = self.radius * (1 - self.focus / np.maximum(depth, NEAREST))
        return np.maximum(radius, -self.radius).astype(np.float32)

    def _focused(self, light: Picture, circle: Plane) -> Picture:
        """Blur by discs of these radii."""
        step = max(1.0, float(circle.max() - circle.min()) / MOST_LAYERS)
        place = (circle / np.float32(step))[..., None]
        seen = light
        for layer in range(int(np.ceil(place.max())), int(np.floor(place.min())) - 1, -1):
            own = np.maximum(1 - np.abs(place - layer), 0)
            if own.any():
                not_behind = np.clip(layer + 1 - place, 0, 1)
                aperture = disk(abs(layer) * step, self.blades, self.rotation)
                colour = self._coloured(light, own, aperture, seen)
                seen = seen + convolve(not_behind, aperture) * (colour - seen)
        return seen

    def _coloured(self, light: Picture, own: Picture, aperture: Kernel, seen: Picture) -> Picture:
        """Blur what belongs to a layer, and continue it behind what is before it.

        No blurred rim lets more be seen than `radius` pixels of that.
        """
        side = 2 * int(np.ceil(self.radius)) + 1
        shown = np.concatenate([own * light, own], axis=2)
        near = np.asarray(cv2.blur(shown, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)
        behind = (near[..., :-1] + TRACE * seen) / (near[..., -1:] + TRACE)
        spread = convolve(shown, aperture)
        return (spread[..., :-1] + TRACE * behind) / (spread[..., -1:] + TRACE)
