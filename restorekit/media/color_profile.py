"""Colour profiles: used where colours change their meaning, otherwise kept as bytes."""

import io

from PIL import ImageCms
from PIL.Image import Image as PillowImage


def is_srgb(icc: bytes) -> bool:
    """Tell whether a profile calls itself sRGB: the numbers mean the same without it."""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return "srgb" in name.lower()


def to_srgb(picture: PillowImage, icc: bytes | None) -> PillowImage:
    """Convert an 8-bit grey, RGB or CMYK picture to sRGB.

    Without a profile, or with one that does not fit, the numbers are taken as they are.
    """
    if icc:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return picture.convert("RGB")
