"""The corruptions of ImageNet-C, with the constants of their five severities.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. The lengths were chosen for pictures of 224 x 224. The constants are
those of the authors' release; what is made with them differs where a comment says so, and no
random number is theirs.
"""

from collections.abc import Callable, Mapping
from math import pi, sqrt
from statistics import NormalDist
from typing import Any

from restorekit.errors import UnknownNameError, UsageError

PREFIX = "imagenet-c"
SEVERITIES = 5
SIDE = 224
Steps = list[dict[str, Any]]


def _smoothed(sigma: float) -> float:
    """Return the standard deviation that a Gaussian blur leaves of white noise of 1."""
    return 1 / (2 * sqrt(pi) * sigma)


def _spatter(mean: float, spread: float, sigma: float, least: float, water: float) -> Steps:
    cover = 1 - NormalDist(mean, spread * _smoothed(sigma)).cdf(least)
    wet = {"kind": "water", "strength": water} if water else {"kind": "mud", "strength": 1.0}
    return [{"op": "spatter", "size": sigma, "cover": cover, **wet}]


def _elastic(alpha: float, sigma: float, corners: float) -> Steps:
    # The field is alpha times smoothed noise that is uniform from -1 to 1; the release measures in
    # parts of 244, which was meant to be 224.
    displacement = 244 * alpha / sqrt(3) * _smoothed(244 * sigma)
    return [
        {
            "op": "elastic",
            "displacement": displacement,
            "correlation": 244 * sigma,
            "corners": 244 * corners / SIDE,
        }
    ]


_MAKERS: Mapping[str, tuple[Callable[..., Steps], tuple[tuple[float, ...], ...]]] = {
    "gaussian_noise": (
        lambda sigma: [{"op": "gaussian-noise", "sigma": 255 * sigma}],
        ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
    ),
    "shot_noise": (
        lambda photons: [{"op": "poisson-noise", "photons": photons}],
        ((60,), (25,), (12,), (5,), (3,)),
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
        ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
    ),
    "speckle_noise": (
        lambda sigma: [{"op": "speckle-noise", "sigma": sigma, "law": "gaussian"}],
        ((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),
    ),
    "gaussian_blur": (
        lambda sigma: [
            {"op": "gaussian-blur", "sigma": sigma, "ratio": 1.0, "angle": 0.0, "space": "display"}
        ],
        ((1,), (2,), (3,), (4,), (6,)),
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
        ((3,), (4,), (6,), (8,), (10,)),
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
        ((3,), (5,), (8,), (12,), (15,)),
    ),
    # Pixels are swapped in another order, and by shifts whose mean is 0.
    "glass_blur": (
        lambda sigma, reach, rounds: [
            {"op": "glass-blur", "sigma": sigma, "reach": reach, "rounds": rounds}
        ],
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    ),
    "zoom_blur": (
        lambda zoom, step: [{"op": "zoom-blur", "zoom": zoom, "step": step, "space": "display"}],
        ((1.1, 0.01), (1.15, 0.01), (1.2, 0.02), (1.24, 0.02), (1.3, 0.03)),
    ),
    # Without 8 bits in between.
    "snow": (
        lambda level, spread, grain, threshold, reach, motion, kept: [
            {
                "op": "driven-snow",
                "level": level,
                "spread": spread,
                "grain": grain,
                "threshold": threshold,
                "reach": reach,
                "motion": motion,
                "angle": "45.0..135.0",
                "whitening": 1 - kept,
            }
        ],
        (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    ),
    # The fractal grows with the picture: up to 256 pixels it is the original's.
    "fog": (
        lambda strength, decay: [{"op": "plasma-fog", "strength": strength, "decay": decay}],
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    ),
    # Severity 2 moves most, but in one piece; 3 to 5 have the fine warp.
    "elastic_transform": (
        _elastic,
        (
            (2, 0.7, 0.1),
            (2, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        ),
    ),
    # Of the validation corruptions. The relief of the water, severities 1 to 3, is a model of the
    # original's, which follows edges that a detector finds.
    "spatter": (
        _spatter,
        (
            (0.65, 0.3, 4, 0.69, 0.6),
            (0.65, 0.3, 3, 0.68, 0.6),
            (0.65, 0.3, 2, 0.68, 0.5),
            (0.65, 0.3, 1, 0.65, 0),
            (0.67, 0.4, 1, 0.65, 0),
        ),
    ),
    # Too little colour in severities 1 and 2, too much in 3 to 5.
    "saturate": (
        lambda factor, lift: [{"op": "saturation", "factor": factor, "lift": lift}],
        ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    ),
    "brightness": (
        lambda lift: [{"op": "brightness", "lift": lift}],
        ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    ),
    "contrast": (
        lambda contrast: [{"op": "low-contrast", "contrast": contrast}],
        ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    ),
    "pixelate": (
        lambda factor: [
            {"op": "resize", "factor": factor, "kernel": "area"},
            {"op": "resize", "divisor": 1, "kernel": "nearest"},
        ],
        ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    ),
    "jpeg_compression": (
        lambda quality: [{"op": "jpeg", "quality": quality, "subsampling": "4:2:0"}],
        ((25,), (18,), (15,), (10,), (7,)),
    ),
}
CORRUPTIONS = tuple(_MAKERS)
FROST = "frost"
"""The fifteenth of the benchmark, which cannot be made without its photographs."""


def imagenet_c(name: str, severity: int) -> dict[str, Any]:
    """Return the recipe of a corruption; raises UsageError where it does not exist."""
    if name == FROST:
        raise UsageError(
            f"{PREFIX}:{name} lays photographs of frost over the picture, which belong to its "
            f"authors and do not come with restorekit; there are {', '.join(CORRUPTIONS)}"
        )
    if name not in _MAKERS:
        raise UnknownNameError(f"corruption of {PREFIX}", name, CORRUPTIONS)
    make, constants = _MAKERS[name]
    if not 1 <= severity <= SEVERITIES:
        raise UsageError(f"{PREFIX}:{name} has severities 1 to {SEVERITIES}, not {severity}")
    return {
        "description": f"{name} of severity {severity}, with the constants of ImageNet-C",
        "steps": [*make(*constants[severity - 1]), {"op": "quantise", "bits": 8}],
    }
