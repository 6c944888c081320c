"""The degradations by name."""

from restorekit.degradations.base import Degradation
from restorekit.degradations.blur import CameraShake, DefocusBlur, GaussianBlur, MotionBlur
from restorekit.degradations.codec import Jpeg, Quantise, Webp
from restorekit.degradations.displacement import Elastic, GlassBlur, ZoomBlur
from restorekit.degradations.focus import DepthDefocus
from restorekit.degradations.geometry import FishEye, LensDistortion
from restorekit.degradations.haze import Haze
from restorekit.degradations.lens import Raindrops
from restorekit.degradations.lowlight import LowLight
from restorekit.degradations.moving import MovingObjects
from restorekit.degradations.noise import (
    CorrelatedNoise,
    GaussianNoise,
    ImpulseNoise,
    PoissonNoise,
    SpeckleNoise,
)
from restorekit.degradations.overlay import DrivenSnow, PlasmaFog, Spatter
from restorekit.degradations.raw import RawNoise
from restorekit.degradations.sampling import Downsampling
from restorekit.degradations.snow import Snow
from restorekit.degradations.superres import (
    AmplifiedPoissonNoise,
    KernelBlur,
    Resize,
    SincFilter,
    UnsharpMask,
)
from restorekit.degradations.surface import ColourFade, Dust, FilmScratches
from restorekit.degradations.tone import Brightness, Greyscale, LowContrast, Saturation
from restorekit.degradations.turbulence import Turbulence
from restorekit.degradations.weather import RainSheet, RainStreaks
from restorekit.errors import UnknownNameError

DEGRADATIONS: tuple[type[Degradation], ...] = (
    RainStreaks,
    RainSheet,
    Raindrops,
    Spatter,
    Snow,
    DrivenSnow,
    Haze,
    PlasmaFog,
    LowLight,
    MotionBlur,
    CameraShake,
    MovingObjects,
    DefocusBlur,
    DepthDefocus,
    GaussianBlur,
    KernelBlur,
    SincFilter,
    UnsharpMask,
    GlassBlur,
    ZoomBlur,
    Turbulence,
    Elastic,
    LensDistortion,
    FishEye,
    Downsampling,
    GaussianNoise,
    CorrelatedNoise,
    PoissonNoise,
    AmplifiedPoissonNoise,
    ImpulseNoise,
    SpeckleNoise,
    RawNoise,
    Jpeg,
    Webp,
    Quantise,
    FilmScratches,
    Dust,
    ColourFade,
    Greyscale,
    Saturation,
    Brightness,
    LowContrast,
)
BLOCKS: tuple[type[Degradation], ...] = (Resize,)
"""What only a chain has a use for."""


def find_degradation(name: str) -> type[Degradation]:
    """Return the degradation of that name; raises UnknownNameError with the nearest names."""
    known = {degradation.name: degradation for degradation in DEGRADATIONS + BLOCKS}
    if name not in known:
        raise UnknownNameError("degradation", name, known)
    return known[name]
