"""Pictures that a lens bends, with the map that bends them back."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation

Radii = NDArray[np.float64]
Profile = Callable[[Radii], Radii]
"""From the distance to the centre in the reference to that in the degraded picture, rising."""
TABLE = 4096
"""Radii at which a profile is tabulated, linear in between."""
MOST_TAPS = 8


class Lens(NamedTuple):
    """Where a radius of the reference goes and where one of the degraded picture comes from.

    Radii are in half diagonals. All that lies in the degraded picture lies in the reference.
    """

    reference: Radii
    degraded: Radii

    @property
    def squeeze(self) -> float:
        """How many times the picture shrinks along the radius where it does so most."""
        seen = self.degraded <= 1
        return float((np.diff(self.reference) / np.diff(self.degraded))[seen[1:]].max())

    def forward(self, radii: Plane) -> Plane:
        """Return the radii in the degraded picture."""
        return np.interp(radii, self.reference, self.degraded).astype(np.float32)

    def backward(self, radii: Plane) -> Plane:
        """Return the radii in the reference."""
        return np.interp(radii, self.degraded, self.reference).astype(np.float32)


def ground(profile: Profile, shape: tuple[int, ...]) -> Lens:
    """Tabulate a profile, enlarged as far as it takes to leave no corner and no edge empty."""
    reference = np.linspace(0, 1, TABLE)
    degraded = profile(reference)
    side = min(shape[:2]) / np.hypot(shape[0], shape[1])
    lost = [np.interp(end, reference, degraded) / end for end in (side, 1.0)]
    return Lens(reference, degraded / min(lost))


def bend(shape: tuple[int, ...], change: Callable[[Plane], Plane], shift: float = 0) -> Picture:
    """Return the place (x, y) in pixels, (H, W, 2), where each pixel goes along its radius.

    `shift` moves the radius by so many pixels before.
    """
    height, width = shape[:2]
    half = np.float32(max(np.hypot(height, width) / 2, 1))
    y, x = ((np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) for n in (height, width))
    radii = np.hypot(y[:, None], x[None, :])
    ratio = change(np.maximum(radii + np.float32(shift), 0) / half) * half
    ratio /= np.maximum(radii, np.float32(1e-3))
    places = np.empty((height, width, 2), np.float32)
    np.multiply(ratio, x[None, :], out=places[..., 0])
    np.multiply(ratio, y[:, None], out=places[..., 1])
    return places + np.array([(width - 1) / 2, (height - 1) / 2], np.float32)


def sample_at(picture: Picture, places: Picture) -> Picture:
    """Read a picture at places (x, y) in pixels by bicubic interpolation, mirrored outside."""
    taken = cv2.remap(picture, places, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(taken, np.float32).reshape(*places.shape[:2], picture.shape[2])


class Distortion(TracedDegradation):
    """Bends a picture along its radii and tells how to bend it back."""

    @property
    @abstractmethod
    def is_straight(self) -> bool:
        """Whether nothing is bent."""

    @abstractmethod
    def profile(self, radii: Radii) -> Radii:
        """Return where radii of the reference go, in half diagonals; the scale is free."""

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Bend; the picture has no empty corners, what they would have shown is lost instead."""
        shape = picture.shape
        lens = ground(self.profile, shape)
        undo = bend(shape, (lambda radii: radii) if self.is_straight else lens.forward)
        last = np.array([shape[1] - 1, shape[0] - 1], np.float32)
        inside = np.all((undo >= -0.01) & (undo <= last + 0.01), axis=2)
        bent = picture if self.is_straight else _bent(picture, lens)
        return Traced(bent, {"map": undo, "mask": inside.astype(np.float32)})


def _bent(picture: Picture, lens: Lens) -> Picture:
    # Where the lens squeezes, one point is not what a pixel sees.
    taps = int(np.clip(round(lens.squeeze), 1, MOST_TAPS))
    shifts = (np.arange(taps) + 0.5) / taps - 0.5
    seen = (sample_at(picture, bend(picture.shape, lens.backward, shift)) for shift in shifts)
    return np.asarray(sum(seen) / np.float32(taps), np.float32)


class LensDistortion(Distortion):
    """Straight lines bent by a lens: barrel outwards, pincushion inwards.

    The radial model of Brown (1966), r_d = r_u (1 + k1 r_u²) with 1 at the corners, times a factor
    that fills the frame.
    """

    name: ClassVar[str] = "lens-distortion"
    ranges: ClassVar = {"k1": "-0.25..0.3"}
    severities: ClassVar = tuple({"k1": k1} for k1 in (-0.01, -0.03, -0.07, -0.14, -0.25))

    k1: float = Field(
        ge=-0.3, le=0.6, description="below 0 barrel, above 0 pincushion, at the corner"
    )

    @property
    def is_straight(self) -> bool:
        """Whether k1 is 0."""
        return self.k1 == 0

    def profile(self, radii: Radii) -> Radii:
        """Bend by the polynomial, which rises up to the corner for k1 above -1/3."""
        return radii * (1 + self.k1 * radii**2)


class FishEye(Distortion):
    """The picture that a fish-eye lens takes of what is straight in the reference.

    The four classical projections of an angle to the axis (Miyamoto, JOSA 1964; Kannala and Brandt,
    PAMI 2006) in place of the tangent of a pinhole. The corners stay where they are.
    """

    name: ClassVar[str] = "fish-eye"
    ranges: ClassVar = {
        "view": "60.0..140.0",
        "projection": ["equidistant", "equisolid", "stereographic", "orthographic"],
    }
    severities: ClassVar = tuple(
        {"view": view, "projection": "equidistant"} for view in (30.0, 55.0, 85.0, 115.0, 145.0)
    )

    view: float = Field(ge=0, le=160, description="degrees from corner to corner of the reference")
    projection: Literal["equidistant", "equisolid", "stereographic", "orthographic"]

    @property
    def is_straight(self) -> bool:
        """Whether the view is too narrow to tell."""
        return self.view < 0.01

    def profile(self, radii: Radii) -> Radii:
        """Turn radii into angles to the axis and these into radii of the projection."""
        angles = np.arctan(radii * np.tan(np.deg2rad(max(self.view, 0.01)) / 2))
        match self.projection:
            case "equidistant":
                return angles
            case "equisolid":
                return 2 * np.sin(angles / 2)
            case "stereographic":
                return 2 * np.tan(angles / 2)
            case "orthographic":
                return np.sin(angles)
