"""The degradations by name."""

from restorekit.degrade.base import Degradation
from restorekit.degrade.codec import Jpeg, Quantise
from restorekit.degrade.noise import GaussianNoise, PoissonNoise
from restorekit.degrade.weather import RainStreaks
from restorekit.errors import UnknownNameError

DEGRADATIONS: tuple[type[Degradation], ...] = (
    RainStreaks,
    GaussianNoise,
    PoissonNoise,
    Jpeg,
    Quantise,
)


def find_degradation(name: str) -> type[Degradation]:
    """Return the degradation of that name; raises UnknownNameError with the nearest names."""
    known = {degradation.name: degradation for degradation in DEGRADATIONS}
    if name not in known:
        raise UnknownNameError("degradation", name, known)
    return known[name]
