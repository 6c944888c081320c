"""What storing a picture loses."""

from io import BytesIO
from typing import ClassVar, Literal

import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from restorekit.degradations.base import Degradation, Picture


class Quantise(Degradation):
    """Clip to [0, 1] and round to `bits` per sample, as every file of whole numbers does."""

    name: ClassVar[str] = "quantise"
    ranges: ClassVar = {"bits": "1..8"}

    bits: int = Field(ge=1, le=16)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Clip and round."""
        top = np.float32(2**self.bits - 1)
        return np.rint(np.clip(picture, 0, 1) * top) / top


class Jpeg(Degradation):
    """One pass through an 8-bit baseline JPEG file, written and read by libjpeg-turbo."""

    name: ClassVar[str] = "jpeg"
    ranges: ClassVar = {"quality": "10..95", "subsampling": ["4:4:4", "4:2:0"]}

    quality: int = Field(ge=1, le=100, description="libjpeg quality")
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"]

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Round to 8 bit, encode, decode."""
        samples = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        grey = samples.shape[2] == 1
        file = BytesIO()
        PillowImage.fromarray(samples[:, :, 0] if grey else samples).save(
            file, "JPEG", quality=self.quality, subsampling=self.subsampling
        )
        decoded: Picture = np.asarray(PillowImage.open(file), dtype=np.float32)
        return decoded.reshape(picture.shape) / np.float32(255)
