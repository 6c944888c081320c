"""The corruptions of ImageNet-C that are modelled, with the constants of their five severities.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. The lengths were chosen for pictures of 224 x 224.
"""

from collections.abc import Callable, Mapping
from typing import Any

from restorekit.errors import UnknownNameError, UsageError

PREFIX = "imagenet-c"
SEVERITIES = 5
Steps = list[dict[str, Any]]

Severity = float | int
_MAKERS: Mapping[str, tuple[Callable[[Any], Steps], tuple[Severity, ...]]] = {
    "gaussian_noise": (
        lambda sigma: [{"op": "gaussian-noise", "sigma": 255 * sigma}],
        (0.08, 0.12, 0.18, 0.26, 0.38),
    ),
    "shot_noise": (
        lambda photons: [{"op": "poisson-noise", "photons": photons}],
        (60, 25, 12, 5, 3),
    ),
    "impulse_noise": (
        lambda amount: [
            {
                "op": "impulse-noise",
                "amount": amount,
                "salt": 0.5,
                "values": "extremes",
                "unit": "sample",
            }
        ],
        (0.03, 0.06, 0.09, 0.17, 0.27),
    ),
    "speckle_noise": (
        lambda sigma: [{"op": "speckle-noise", "sigma": sigma, "law": "gaussian"}],
        (0.15, 0.2, 0.35, 0.45, 0.6),
    ),
    "gaussian_blur": (
        lambda sigma: [
            {"op": "gaussian-blur", "sigma": sigma, "ratio": 1.0, "angle": 0.0, "space": "display"}
        ],
        (1, 2, 3, 4, 6),
    ),
    # With a rim that is anti-aliased at every severity, and of sum 1, which the original is not.
    "defocus_blur": (
        lambda radius: [
            {
                "op": "defocus-blur",
                "radius": radius,
                "blades": 0,
                "rotation": 0.0,
                "highlights": 1.0,
                "space": "display",
            }
        ],
        (3, 4, 6, 8, 10),
    ),
    # The original's half of a Gaussian moves the picture; this is a centred, even motion of the
    # same standard deviation, sigma (1 - 2 / pi)^(1/2).
    "motion_blur": (
        lambda sigma: [
            {
                "op": "motion-blur",
                "length": 2.088 * sigma,
                "angle": "135.0..225.0",
                "space": "display",
            }
        ],
        (3, 5, 8, 12, 15),
    ),
    "brightness": (
        lambda lift: [{"op": "brightness", "lift": lift}],
        (0.1, 0.2, 0.3, 0.4, 0.5),
    ),
    "contrast": (
        lambda contrast: [{"op": "low-contrast", "contrast": contrast}],
        (0.4, 0.3, 0.2, 0.1, 0.05),
    ),
    "pixelate": (
        lambda factor: [
            {"op": "resize", "factor": factor, "kernel": "area"},
            {"op": "resize", "divisor": 1, "kernel": "nearest"},
        ],
        (0.6, 0.5, 0.4, 0.3, 0.25),
    ),
    "jpeg_compression": (
        lambda quality: [{"op": "jpeg", "quality": quality, "subsampling": "4:2:0"}],
        (25, 18, 15, 10, 7),
    ),
}
CORRUPTIONS = tuple(_MAKERS)
ABSENT = ("glass_blur", "zoom_blur", "snow", "frost", "fog", "elastic_transform")
"""Of the fifteen; the others of the catalogue are different models of some of them."""


def imagenet_c(name: str, severity: int) -> dict[str, Any]:
    """Return the recipe of a corruption; raises UsageError where it does not exist."""
    if name in ABSENT:
        raise UsageError(
            f"{PREFIX}:{name} is not modelled; there are {', '.join(CORRUPTIONS)}, "
            "and five severities of every degradation, as in haze:3 or snow:5"
        )
    if name not in _MAKERS:
        raise UnknownNameError(f"corruption of {PREFIX}", name, CORRUPTIONS)
    make, constants = _MAKERS[name]
    if not 1 <= severity <= SEVERITIES:
        raise UsageError(f"{PREFIX}:{name} has severities 1 to {SEVERITIES}, not {severity}")
    return {
        "description": f"{name} of severity {severity}, with the constants of ImageNet-C",
        "steps": [*make(constants[severity - 1]), {"op": "quantise", "bits": 8}],
    }
