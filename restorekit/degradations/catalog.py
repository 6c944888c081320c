"""The degradations by name."""

from restorekit.degradations.base import Degradation
from restorekit.degradations.codec import Jpeg, Quantise
from restorekit.degradations.noise import GaussianNoise, PoissonNoise
from restorekit.degradations.weather import RainStreaks
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
