"""How a parameter is drawn.

`0.3` fixed, `"1..5"` uniform, `"1~9"` log-uniform, `"1^3"` uniform in the square, `[1, 2]` choice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from restorekit.errors import UsageError

Value = float | int | str | bool
Written = Value | Sequence[Value]
"""What a recipe may say of a parameter."""


class Draw(Protocol):
    """A distribution of one parameter."""

    @property
    def ends(self) -> Sequence[Value]:
        """The values that have to be possible for all others to be."""
        ...

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one value."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Always the same value."""

    value: Value

    @property
    def ends(self) -> Sequence[Value]:
        """The value."""
        return (self.value,)

    def sample(self, rng: np.random.Generator) -> Value:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class _Interval:
    low: float
    high: float

    @property
    def ends(self) -> Sequence[Value]:
        """Low and high."""
        return (self.low, self.high)


class Uniform(_Interval):
    """Uniform over [low, high]; over the whole numbers where both ends are whole."""

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(rng.integers(self.low, self.high, endpoint=True))
        return float(rng.uniform(self.low, self.high))


class LogUniform(_Interval):
    """Uniform in the logarithm over [low, high], both above 0."""

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one value."""
        return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))


class SquareUniform(_Interval):
    """Uniform in the square over [low, high], neither below 0: a sigma drawn by its variance."""

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one value."""
        return math.sqrt(rng.uniform(self.low**2, self.high**2))


@dataclass(frozen=True)
class Choice:
    """One of the values, each as likely."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> Sequence[Value]:
        """All of them."""
        return self.values

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw one value."""
        return self.values[int(rng.integers(len(self.values)))]


def _number(text: str, written: str) -> float:
    try:
        return float(text) if any(c in text for c in ".eE") else int(text)
    except ValueError:
        raise UsageError(
            f"cannot read the range '{written}'; write lo..hi (uniform), lo~hi (log-uniform) "
            "or lo^hi (uniform in the square)"
        ) from None


def _interval(written: str, separator: str) -> tuple[float, float]:
    low, high = (_number(end.strip(), written) for end in written.split(separator, 1))
    if low > high:
        raise UsageError(f"the range '{written}' is empty: its low end is above its high end")
    return low, high


def parse_draw(written: Written) -> Draw:
    """Read what a recipe says of a parameter; raises UsageError for an impossible range."""
    if isinstance(written, str) and ".." in written:
        return Uniform(*_interval(written, ".."))
    if isinstance(written, str) and "~" in written:
        low, high = _interval(written, "~")
        if low <= 0:
            raise UsageError(f"the log-uniform range '{written}' has to lie above 0")
        return LogUniform(low, high)
    if isinstance(written, str) and "^" in written:
        low, high = _interval(written, "^")
        if low < 0:
            raise UsageError(f"the range '{written}' of squares must not go below 0")
        return SquareUniform(low, high)
    if isinstance(written, Sequence) and not isinstance(written, str):
        if not written:
            raise UsageError("a choice needs at least one value, got an empty list")
        return Choice(tuple(written))
    return Fixed(written)
