"""How sure a mean over pictures is, and whether two models differ: both by resampling.

Bootstrap: Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979.
Permutation by sign flips: Fisher, "The Design of Experiments", 1935; the count of random flips with
one added: Phipson and Smyth, "Permutation P-values Should Never Be Zero", SAGMB 2010.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import DataError

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
EXACT_FLIPS = 12
"""Up to so many pictures all flips of signs are tried, beyond a random sample of them."""
_AT_ONCE = 500

Values = NDArray[np.float64]


class Interval(NamedTuple):
    """Between these two the mean over pictures of the same kind lies, with 95 % confidence."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """What two models' values on the same pictures tell about the models, b against a."""

    pictures: int
    mean_a: float
    mean_b: float
    difference: float
    """Mean of b - a."""
    interval: Interval | None
    """Of the mean difference."""
    p_value: float
    """Two-sided: how often chance alone makes so large a mean difference."""
    effect: float
    """Mean difference in standard deviations of the differences (Cohen's d for pairs); NaN where
    all differences are equal."""
    higher: int
    """On how many pictures b has the higher value."""
    lower: int


def bootstrap_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % percentile bootstrap interval of the mean, the same at every call.

    10000 resamples drawn with seed 0; not finite values are left out. None for fewer than two.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size < 2:
        return None
    rng = np.random.default_rng(SEED)
    parts = range(0, RESAMPLES, _AT_ONCE)
    means = np.concatenate(
        [finite[rng.integers(0, finite.size, (_AT_ONCE, finite.size))].mean(1) for _ in parts]
    )
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, (outside, 100 - outside))
    return Interval(float(low), float(high))


def paired_test(a: Sequence[float], b: Sequence[float]) -> PairedTest:
    """Test whether the values of the same pictures differ, by flipping signs of the differences.

    Under the null hypothesis a difference is as likely as its negative. Up to 12 pictures all
    flips are tried, beyond 10000 random ones of seed 0. Pictures where a value is not finite are
    left out; DataError when none is left.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    if not known.any():
        raise DataError("no picture has a finite value on both sides; nothing can be compared")
    first, second = first[known], second[known]
    difference = second - first
    spread = difference.std(ddof=1) if difference.size > 1 else 0.0
    mean = float(difference.mean())
    return PairedTest(
        pictures=difference.size,
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=mean,
        interval=bootstrap_interval(difference.tolist()),
        p_value=_p_value(difference),
        effect=mean / float(spread) if spread > 0 else float("nan"),
        higher=int((difference > 0).sum()),
        lower=int((difference < 0).sum()),
    )


def _p_value(difference: Values) -> float:
    # Sums that are equal in exact arithmetic may differ in the last bits.
    observed = abs(difference.sum()) - 1e-9 * np.abs(difference).sum()
    if difference.size <= EXACT_FLIPS:
        flips = np.array(list(itertools.product((1, -1), repeat=difference.size)))
        return float((np.abs(flips @ difference) >= observed).mean())
    rng = np.random.default_rng(SEED)
    extreme = 0
    for _ in range(0, RESAMPLES, _AT_ONCE):
        flips = rng.integers(0, 2, (_AT_ONCE, difference.size)) * 2 - 1
        extreme += int((np.abs(flips @ difference) >= observed).sum())
    return (extreme + 1) / (RESAMPLES + 1)
