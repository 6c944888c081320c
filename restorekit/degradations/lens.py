"""Drops of water on the glass in front of the camera."""

from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Picture, Plane, Traced, TracedDegradation
from restorekit.degradations.geometry import sample_at
from restorekit.degradations.kernels import convolve, disk
from restorekit.degradations.light import Space, brighten_highlights, work_in

Values = NDArray[np.float64]

WATER = 1.333
"""Index of refraction."""
FOCAL = 1.2
"""Focal length in longer sides of the picture: a view of 45 degrees."""
SPREAD = 0.45
"""Standard deviation of the logarithm of the radius."""
ALIKE = 1.04
"""Drops whose radii differ by less than this factor have one shape."""
SMALLEST = 0.7
"""Radius in pixels below which a drop is left out."""
TINY = 1e-6
REDUCTION = 4
"""The scene in a drop is so much smaller that it is read from a picture reduced by this."""


class Drop(NamedTuple):
    """Where the middle of a drop lies and how large it is, in pixels."""

    x: float
    y: float
    radius: float


def cap(radius: float, contact: float, rng: np.random.Generator) -> Plane:
    """Return the height of a drop in pixels on an odd-sized square, 0 outside.

    A spherical cap that meets the glass at `contact` radians, uneven at the rim and sagging.
    """
    reach = int(np.ceil(1.6 * radius)) + 1
    x, y = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
    around, rim = np.arctan2(y, x), np.full(x.shape, radius)
    for wave in (2, 3, 4):
        rim *= 1 + rng.uniform(0, 0.2 / wave) * np.sin(wave * around + rng.uniform(0, 2 * np.pi))
    # Weight draws a drop out upwards.
    drawn_out = 1 + rng.uniform(0, 0.4) / (1 + np.exp(4 * y / radius))
    distance = np.hypot(x, y / drawn_out) / rim
    sphere = radius / np.sin(contact)
    height = np.sqrt(np.maximum(sphere**2 - (distance * radius) ** 2, 0))
    return np.maximum(height - sphere * np.cos(contact), 0).astype(np.float32)


class Raindrops(TracedDegradation):
    """Drops on a window or on the front of the lens, too near to be in focus.

    I = (1 - M) B + R (Qian et al., CVPR 2018). Each drop is a lens of its own: the ray of a pixel
    leaves the water where Snell's law sends it and sees the scene there, upside down and reduced
    (Roser and Geiger, ICCV Workshops 2009); what Fresnel's equations reflect darkens the rim. Mask
    and refraction are blurred together by the aperture, in light. What a drop sees beyond the
    picture is told by `sky` and `ambient`: real drops are pale before what is dark.
    """

    name: ClassVar[str] = "raindrops"
    ranges: ClassVar = {
        "cover": "0.03~0.3",
        "size": "4.0~16.0",
        "contact": "25.0..45.0",
        "blur": "2.0..9.0",
        "highlights": "1.0..3.0",
        "trails": "0.0..0.3",
        "sky": 1.0,
        "ambient": 0.0,
        "ambient_light": 1.0,
        "space": "linear",
    }
    severities: ClassVar = tuple(
        {
            "cover": cover,
            "size": size,
            "contact": 40.0,
            "blur": 4.0,
            "highlights": 1.5,
            "trails": 0.1,
            "sky": 1.0,
            "ambient": 0.0,
            "ambient_light": 1.0,
            "space": "linear",
        }
        for cover, size in ((0.02, 5.0), (0.05, 7.0), (0.1, 9.0), (0.2, 12.0), (0.4, 16.0))
    )

    cover: float = Field(ge=0, le=0.8, description="part of the glass that drops cover, about")
    size: float = Field(gt=0, le=200, description="median radius in pixels")
    contact: float = Field(ge=5, le=80, description="angle of water and glass in degrees")
    blur: float = Field(ge=0, le=50, description="radius in pixels of a point on the glass")
    highlights: float = Field(ge=1, le=20, description="true brightness of clipped lights")
    trails: float = Field(ge=0, le=1, description="part of the drops that ran down and left more")
    sky: float = Field(ge=1, le=20, description="brightness above the picture, where drops see it")
    ambient: float = Field(ge=0, le=1, description="share of light in drops from all around")
    ambient_light: float = Field(ge=0, le=20, description="its brightness, in means of the picture")
    space: Space

    def traced(
        self, picture: Picture, rng: np.random.Generator, depth: Plane | None = None
    ) -> Traced:
        """Put drops on the glass."""
        height = self._water(picture.shape[:2], rng)
        if not height.any():
            return Traced(picture, {"mask": height})
        aperture = disk(self.blur)
        mask = np.clip(convolve((height > 0).astype(np.float32)[..., None], aperture), 0, 1)

        def add(light: Picture) -> Picture:
            scene = brighten_highlights(light, self.highlights)
            seen = refracted(scene, height, self.sky)
            around = np.float32(self.ambient_light) * light.mean()
            seen += np.float32(self.ambient) * (height > 0)[..., None] * (around - seen)
            return np.minimum(
                light * (1 - mask) + convolve(seen, aperture), np.maximum(light.max(), 1)
            )

        return Traced(work_in(self.space, picture, add), {"mask": mask[..., 0]})

    def _water(self, shape: tuple[int, ...], rng: np.random.Generator) -> Plane:
        """Return the height of the water; where drops meet, the higher one counts."""
        drops = self._drops(shape, rng)
        kinds = [round(np.log(drop.radius) / np.log(ALIKE)) for drop in drops]
        caps = {
            kind: cap(ALIKE**kind, np.deg2rad(self.contact), rng) for kind in sorted(set(kinds))
        }
        margin = max((len(own) // 2 + 1 for own in caps.values()), default=0)
        water = np.zeros((shape[0] + 2 * margin, shape[1] + 2 * margin), np.float32)
        for drop, kind in zip(drops, kinds, strict=True):
            own = caps[kind]
            top, left = (round(at) + margin - len(own) // 2 for at in (drop.y, drop.x))
            patch = water[top : top + len(own), left : left + len(own)]
            np.maximum(patch, own, out=patch)
        return water[margin : margin + shape[0], margin : margin + shape[1]]

    def _drops(self, shape: tuple[int, ...], rng: np.random.Generator) -> list[Drop]:
        drops: list[Drop] = []
        left = self.cover * shape[0] * shape[1]
        while left > 0:
            radius = self.size * float(np.exp(SPREAD * rng.standard_normal()))
            area = np.pi * radius**2
            # The last one fits in only in part, and so it comes only in part of the cases.
            if area * rng.random() > left:
                break
            left -= area
            drop = Drop(rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), radius)
            drops.append(drop)
            if rng.random() < self.trails:
                drops.extend(trail(drop, rng))
        return [d for d in drops if d.radius >= SMALLEST and d.y >= 0 and 0 <= d.x <= shape[1]]


def trail(drop: Drop, rng: np.random.Generator) -> list[Drop]:
    """Return the beads that a drop left above it when it ran down."""
    beads, x, y = [], drop.x, drop.y - drop.radius
    for _ in range(int(rng.integers(3, 9))):
        radius = drop.radius * rng.uniform(0.15, 0.45)
        x, y = x + rng.normal(0, 0.1 * drop.radius), y - radius * rng.uniform(1.5, 4)
        beads.append(Drop(x, y, radius))
    return beads


def refracted(light: Picture, water: Plane, sky: float = 1.0) -> Picture:
    """Return what each pixel sees through water of that height in pixels; black beside it.

    The camera looks straight at the glass, and the surface of the water is on its far side. A
    drop sees more than the camera: the scene goes on mirrored, and grows up to `sky` times as
    bright within half a picture's height above.
    """
    rows, columns = np.nonzero(water)
    right, down = (
        cv2.Sobel(water, cv2.CV_32F, *axis, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)[
            rows, columns
        ]
        for axis in ((1, 0), (0, 1))
    )
    slope = np.hypot(right, down)
    reach = FOCAL * max(water.shape) * np.interp(slope, SLOPES, TURNED) / np.maximum(slope, TINY)
    places = np.zeros((*water.shape, 2), np.float32)
    places[rows, columns, 0], places[rows, columns, 1] = (
        columns + reach * right,
        rows + reach * down,
    )
    above = np.clip(-2 * places[rows, columns, 1] / len(water), 0, 1)
    passed = np.zeros_like(water)
    passed[rows, columns] = np.interp(slope, SLOPES, PASSED) * (1 + (sky - 1) * above)
    return _read(light, places) * passed[..., None]


def _read(light: Picture, places: Picture) -> Picture:
    """Read the scene at places in pixels, smoothed as far as a drop reduces it."""
    height, width = (-(-side // REDUCTION) for side in light.shape[:2])
    small = cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)
    scene = np.asarray(small, np.float32).reshape(height, width, light.shape[2])
    ratio = np.array([width / light.shape[1], height / light.shape[0]], np.float32)
    return sample_at(scene, (places + np.float32(0.5)) * ratio - np.float32(0.5))


def leave_water(slope: Values) -> tuple[Values, Values]:
    """Return what becomes of a ray across the glass at a surface of that slope.

    The tangent of the angle by which it turns (Snell) and the part of it that is not reflected
    (Fresnel, unpolarised); 0 where all of it is.
    """
    inside = np.arctan(slope)
    outside = np.arcsin(np.minimum(WATER * np.sin(inside), 1))
    a, b = np.cos(inside), np.cos(outside)
    across, along = (WATER * a - b) / (WATER * a + b), (WATER * b - a) / (WATER * b + a)
    return np.tan(outside - inside), 1 - (across**2 + along**2) / 2


SLOPES = np.linspace(0, 2, 1024)
TURNED, PASSED = leave_water(SLOPES)
