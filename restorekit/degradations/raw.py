"""Noise of a camera, added where it arises: before white balance, colour matrix and tone curve."""

from typing import ClassVar, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.noise import sensor_noise

Matrix = NDArray[np.float32]

XYZ_TO_CAMERA = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.838, -0.263, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.097, 0.1581, 0.5181]],
    ]
)
"""Colour matrices of the cameras of the DND benchmark, as their makers publish them in DNG files:
Nexus 6P, Sony A7R, Olympus E-M10, Sony RX100 IV."""

SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)

READ_SLOPE, READ_OFFSET = 2.18, 1.20
"""log read variance against log shot variance, fitted to the DND cameras (Brooks et al.)."""

GREEN, ACROSS, AROUND, DIAGONAL = (
    np.array(taps, np.float32) / 16
    for taps in (
        [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]],
        [
            [0, 0, 1, 0, 0],
            [0, -2, 0, -2, 0],
            [-2, 8, 10, 8, -2],
            [0, -2, 0, -2, 0],
            [0, 0, 1, 0, 0],
        ],
        [
            [0, 0, -2, 0, 0],
            [0, -2, 8, -2, 0],
            [1, 0, 10, 0, 1],
            [0, -2, 8, -2, 0],
            [0, 0, -2, 0, 0],
        ],
        [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]],
    )
)
"""The four filters of Malvar, He and Cutler."""


class Camera(NamedTuple):
    """What a camera does between its sensor and the file."""

    matrix: Matrix
    """Display primaries to the camera's."""
    gains: Matrix
    """White balance of the three channels."""


def draw_camera(red: float, blue: float, rng: np.random.Generator) -> Camera:
    """Mix the matrices of real cameras; white stays white."""
    mixed = np.tensordot(rng.dirichlet(np.ones(len(XYZ_TO_CAMERA))), XYZ_TO_CAMERA, 1)
    matrix = mixed @ SRGB_TO_XYZ
    matrix /= matrix.sum(axis=1, keepdims=True)
    return Camera(matrix.astype(np.float32), np.array([red, 1, blue], np.float32))


def unprocess(picture: Picture, camera: Camera) -> Picture:
    """Turn display values back into what the sensor saw, in [0, 1]."""
    clipped = np.clip(picture, 0, 1)
    toned = 0.5 - np.sin(np.arcsin(1 - 2 * clipped) / 3)
    light = np.maximum(toned, 0) ** np.float32(2.2)
    if picture.shape[2] == 1:
        return light
    seen = light @ camera.matrix.T
    # A white that the sensor had clipped must not become a grey that it had not.
    white = (np.maximum(seen.mean(2, keepdims=True) - 0.9, 0) / 0.1) ** 2
    inverse = 1 / camera.gains
    return np.clip(seen * np.maximum(white + (1 - white) * inverse, inverse), 0, 1)


def process(raw: Picture, camera: Camera) -> Picture:
    """Develop what the sensor saw: white balance, colour matrix, gamma, smoothstep tone curve."""
    light = raw
    if raw.shape[2] == 3:
        light = np.clip(raw * camera.gains, 0, 1) @ np.linalg.inv(camera.matrix).T
    toned = np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    return (3 - 2 * toned) * toned**2


def mosaic(raw: Picture) -> Picture:
    """Keep the one channel that a Bayer sensor (RGGB) has at each pixel: (H, W, 1)."""
    seen = raw[:, :, 1:2].copy()
    seen[::2, ::2, 0] = raw[::2, ::2, 0]
    seen[1::2, 1::2, 0] = raw[1::2, 1::2, 2]
    return seen


def demosaic(seen: Picture) -> Picture:
    """Interpolate a Bayer mosaic linearly (Malvar, He and Cutler, ICASSP 2004)."""
    plane = np.pad(seen[:, :, 0], 2, mode="reflect") if min(seen.shape[:2]) > 2 else None
    if plane is None:
        return np.repeat(seen, 3, axis=2)
    green, across, around, diagonal = (
        cv2.filter2D(plane, -1, taps)[2:-2, 2:-2] for taps in (GREEN, ACROSS, AROUND, DIAGONAL)
    )
    red, blue = diagonal.copy(), diagonal
    red[::2, 1::2], red[1::2, ::2] = across[::2, 1::2], around[1::2, ::2]
    blue[::2, 1::2], blue[1::2, ::2] = around[::2, 1::2], across[1::2, ::2]
    red[::2, ::2], blue[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 0]
    green[::2, 1::2], green[1::2, ::2] = seen[::2, 1::2, 0], seen[1::2, ::2, 0]
    return np.stack([red, green, blue], axis=2)


class RawNoise(Degradation):
    """Shot and read noise of a sensor, taken through the camera's processing.

    Unprocessing (Brooks et al., CVPR 2019): tone curve, gamma, colour matrix and white balance are
    undone, noise of variance shot x light + read is added, and all is done again. The difference
    that the noise makes is added to the picture, so that what the chain cannot undo stays out of
    the pair. A grey picture has neither colour matrix nor mosaic.
    """

    name: ClassVar[str] = "raw-noise"
    ranges: ClassVar = {
        "shot": "0.0001~0.012",
        "read_excess": "-0.45..0.45",
        "red_gain": "1.9..2.4",
        "blue_gain": "1.5..1.9",
        "sensor": ["rggb", "three-chip"],
    }
    severities: ClassVar = tuple(
        {"shot": shot, "read_excess": 0.0, "red_gain": 2.1, "blue_gain": 1.7, "sensor": "rggb"}
        for shot in (0.0002, 0.0008, 0.0025, 0.006, 0.012)
    )

    shot: float = Field(ge=0, le=0.5, description="variance of the shot noise at white")
    read_excess: float = Field(
        ge=-5, le=5, description="log of the read variance over what goes with that shot noise"
    )
    red_gain: float = Field(ge=1, le=4, description="white balance of red over green")
    blue_gain: float = Field(ge=1, le=4, description="white balance of blue over green")
    sensor: Literal["rggb", "three-chip"] = Field(
        description="a Bayer mosaic, which spreads the noise over neighbours, or all three colours"
    )

    @property
    def read(self) -> float:
        """Variance of the read noise."""
        return float(self.shot**READ_SLOPE * np.exp(READ_OFFSET + self.read_excess))

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Add what noise on the sensor becomes in the file."""
        camera = draw_camera(self.red_gain, self.blue_gain, rng)
        raw = unprocess(picture, camera)
        through = self.sensor == "rggb" and picture.shape[2] == 3
        seen = mosaic(raw) if through else raw
        noisy = np.clip(seen + sensor_noise(seen, self.shot, self.read, rng), 0, 1)
        clean, noisy = (demosaic(x) if through else x for x in (seen, noisy))
        return picture + (process(noisy, camera) - process(clean, camera))
