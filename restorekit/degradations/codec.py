"""What storing a picture loses."""

from io import BytesIO
from typing import ClassVar, Literal

import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture
from restorekit.errors import PictureError

WEBP_METHOD = 4
"""How hard libwebp tries: its own default, fixed because it changes the bytes."""


class Quantise(Degradation):
    """Clip to [0, 1] and round to `bits` per sample, as every file of whole numbers does."""

    name: ClassVar[str] = "quantise"
    ranges: ClassVar = {"bits": "1..8"}
    severities: ClassVar = tuple({"bits": bits} for bits in (5, 4, 3, 2, 1))

    bits: int = Field(ge=1, le=16)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Clip and round."""
        top = np.float32(2**self.bits - 1)
        return np.rint(np.clip(picture, 0, 1) * top) / top


class Jpeg(Degradation):
    """One pass through an 8-bit baseline JPEG file, written and read by libjpeg-turbo."""

    name: ClassVar[str] = "jpeg"
    ranges: ClassVar = {"quality": "10..95", "subsampling": ["4:4:4", "4:2:0"]}
    severities: ClassVar = tuple(
        {"quality": quality, "subsampling": "4:2:0"} for quality in (80, 50, 25, 12, 6)
    )

    quality: int = Field(ge=1, le=100, description="libjpeg quality")
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"]

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Round to 8 bit, encode, decode."""
        return _stored(picture, "JPEG", quality=self.quality, subsampling=self.subsampling)


class Webp(Degradation):
    """One pass through a lossy WebP file, written and read by libwebp; chroma is always 4:2:0."""

    name: ClassVar[str] = "webp"
    ranges: ClassVar = {"quality": "10..95"}
    severities: ClassVar = tuple({"quality": quality} for quality in (80, 50, 25, 10, 1))

    quality: int = Field(ge=1, le=100, description="libwebp quality")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Round to 8 bit, encode, decode."""
        return _stored(picture, "WEBP", quality=self.quality, method=WEBP_METHOD)


def _stored(picture: Picture, form: str, **options: int | str) -> Picture:
    samples = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    grey = samples.shape[2] == 1
    image = PillowImage.fromarray(samples[:, :, 0] if grey else samples)
    file = BytesIO()
    try:
        image.save(file, form, **options)
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{form} cannot hold a picture of {image.width} x {image.height}: {error}"
        ) from None
    # WebP has no grey and comes back in colour.
    decoded = np.asarray(PillowImage.open(file).convert(image.mode), dtype=np.float32)
    return decoded.reshape(picture.shape) / np.float32(255)
