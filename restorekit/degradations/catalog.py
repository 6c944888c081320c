"""The degradations by name."""

from restorekit.degradations.base import Degradation
from restorekit.degradations.blur import CameraShake, DefocusBlur, GaussianBlur, MotionBlur
from restorekit.degradations.codec import Jpeg, Quantise, Webp
from restorekit.degradations.haze import Haze
from restorekit.degradations.lowlight import LowLight
from restorekit.degradations.noise import (
    CorrelatedNoise,
    GaussianNoise,
    ImpulseNoise,
    PoissonNoise,
    SpeckleNoise,
)
from restorekit.degradations.raw import RawNoise
from restorekit.degradations.sampling import Downsampling
from restorekit.degradations.snow import Snow
from restorekit.degradations.surface import ColourFade, Dust, FilmScratches
from restorekit.degradations.weather import RainStreaks
from restorekit.errors import UnknownNameError

DEGRADATIONS: tuple[type[Degradation], ...] = (
    RainStreaks,
    Snow,
    Haze,
    LowLight,
    MotionBlur,
    CameraShake,
    DefocusBlur,
    GaussianBlur,
    Downsampling,
    GaussianNoise,
    CorrelatedNoise,
    PoissonNoise,
    ImpulseNoise,
    SpeckleNoise,
    RawNoise,
    Jpeg,
    Webp,
    Quantise,
    FilmScratches,
    Dust,
    ColourFade,
)


def find_degradation(name: str) -> type[Degradation]:
    """Return the degradation of that name; raises UnknownNameError with the nearest names."""
    known = {degradation.name: degradation for degradation in DEGRADATIONS}
    if name not in known:
        raise UnknownNameError("degradation", name, known)
    return known[name]
