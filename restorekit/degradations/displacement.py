"""Pictures whose pixels come to lie elsewhere, by glass, by zooming and by warping.

The glass_blur, zoom_blur and elastic_transform of Hendrycks and Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", ICLR 2019.
"""

from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.fields import wander
from restorekit.degradations.geometry import sample_at
from restorekit.degradations.kernels import convolve, gaussian
from restorekit.degradations.light import Space, work_in

TRIANGLE = np.array([[1, 1], [1, -1], [-1, -1]]) / 3
"""Three corners of a square in the middle of a picture, in shorter sides from its centre."""
WHOLE = 1e-6
"""So little below a whole number of steps is one."""


class GlassBlur(Degradation):
    """Pebbled glass: pixels change places with near ones, between two Gaussian blurs.

    All pixels are swapped once a round (Hendrycks and Dietterich, ICLR 2019). Their order is drawn
    in place of the original's from one corner to the other, and the shifts are from -reach to
    reach, where the original leaves out the last and so moves the picture by half a pixel.
    """

    name: ClassVar[str] = "glass-blur"
    ranges: ClassVar = {"sigma": "0.3..1.5", "reach": "1..4", "rounds": "1..3"}
    severities: ClassVar = tuple(
        {"sigma": sigma, "reach": reach, "rounds": rounds}
        for sigma, reach, rounds in (
            (0.7, 1, 1),
            (0.9, 2, 1),
            (1.0, 2, 3),
            (1.2, 4, 2),
            (1.5, 6, 3),
        )
    )

    sigma: float = Field(ge=0, le=20, description="of each blur, in pixels")
    reach: int = Field(ge=0, le=20, description="pixels between those that change places, at most")
    rounds: int = Field(ge=1, le=10)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Look through the glass."""
        kernel = gaussian(self.sigma, self.sigma, 0)
        picture = convolve(picture, kernel)
        if not self.reach:
            return convolve(picture, kernel)
        places = _swapped(picture.shape, self.reach, self.rounds, rng)
        return convolve(picture.reshape(-1, picture.shape[2])[places], kernel)


def _swapped(
    shape: tuple[int, ...], reach: int, rounds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return for each pixel, (H, W), the number of the one that comes to lie there."""
    height, width = shape[:2]
    places = np.arange(height * width)
    apart = 2 * reach + 1
    # Pixels that are so far apart cannot meet, and are swapped at once.
    for cell in np.concatenate([rng.permutation(apart**2) for _ in range(rounds)]):
        rows = np.arange(reach + cell // apart, height - reach, apart)
        columns = np.arange(reach + cell % apart, width - reach, apart)
        these = rows[:, None] * width + columns
        down, right = rng.integers(-reach, reach + 1, (2, *these.shape))
        those = these + down * width + right
        places[these], places[those] = places[those], places[these]
    return places.reshape(height, width)


class ZoomBlur(Degradation):
    """The lens is zoomed, or the camera rushes on, during the exposure.

    The mean of the picture and of its enlargements about the centre in steps up to `zoom`
    (Hendrycks and Dietterich, ICLR 2019), the first of which is the picture once more.
    """

    name: ClassVar[str] = "zoom-blur"
    ranges: ClassVar = {"zoom": "1.02..1.3", "step": 0.01, "space": "linear"}
    severities: ClassVar = tuple(
        {"zoom": zoom, "step": 0.01, "space": "linear"} for zoom in (1.02, 1.05, 1.1, 1.18, 1.3)
    )

    zoom: float = Field(ge=1, le=2, description="largest enlargement")
    step: float = Field(gt=0, le=1, description="from each enlargement to the next")
    space: Space

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Zoom in."""
        return work_in(self.space, picture, self._zoomed)

    def _zoomed(self, light: Picture) -> Picture:
        count = int((self.zoom - 1) / self.step + WHOLE)
        total = 2 * light
        for number in range(1, count + 1):
            total += _enlarged(light, 1 + self.step * number)
        return total / np.float32(count + 2)


def _enlarged(picture: Picture, zoom: float) -> Picture:
    """Enlarge the middle and keep the size."""
    height, width = picture.shape[:2]
    lost = 1 - 1 / zoom
    back = np.array([[1 / zoom, 0, lost * (width - 1) / 2], [0, 1 / zoom, lost * (height - 1) / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(picture, back, (width, height), flags=flags)
    return np.asarray(large, np.float32).reshape(picture.shape)


class Elastic(Degradation):
    """Stretched rubber: a random affine map and then a smooth random warp.

    Three corners of a square in the middle move, and every pixel by a random field smoothed with a
    Gaussian (Simard et al., ICDAR 2003; Hendrycks and Dietterich, ICLR 2019). The reference does
    not move along.
    """

    name: ClassVar[str] = "elastic"
    ranges: ClassVar = {
        "displacement": "0.2~3.0",
        "correlation": "2.0~40.0",
        "corners": "0.0..0.05",
    }
    severities: ClassVar = tuple(
        {"displacement": displacement, "correlation": 4.0, "corners": corners}
        for displacement, corners in ((0.3, 0.0), (0.6, 0.0), (1.0, 0.01), (1.7, 0.03), (2.5, 0.07))
    )

    displacement: float = Field(
        ge=0, le=50, description="standard deviation of the warp along one axis, in pixels"
    )
    correlation: float = Field(ge=1, le=500, description="Gaussian radius of the field, in pixels")
    corners: float = Field(
        ge=0, le=0.25, description="of the shorter side, by which corners move at most each way"
    )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Stretch."""
        if not self.displacement and not self.corners:
            return picture
        height, width = picture.shape[:2]
        field = [wander((height, width), self.correlation, rng) for _ in range(2)]
        grid = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x, y = (g + np.float32(self.displacement) * f for g, f in zip(grid, field, strict=True))
        back = self._moved_back(height, width, rng).astype(np.float32)
        places = [row[0] * x + row[1] * y + row[2] for row in back]
        return sample_at(picture, np.stack(places, axis=2))

    def _moved_back(self, height: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the affine map (2, 3) from the degraded picture back to the reference."""
        side = min(height, width)
        corners = np.array([(width - 1) / 2, (height - 1) / 2]) + side * TRIANGLE
        moved = corners + side * rng.uniform(-self.corners, self.corners, corners.shape)
        back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
        return np.asarray(back.T, np.float64)
