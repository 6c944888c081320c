"""Curves of a run as a picture, drawn with Pillow alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from restorekit.types import Image

WIDTH, PANEL_HEIGHT = 1200, 420
SCALE = 2
"""Drawn so many times larger and reduced, for Pillow's lines have no smooth edges."""
LEFT, RIGHT, TOP, BOTTOM = 88, 28, 56, 52
"""Margins of a panel."""
INK, PALE, GRID, PAPER = "#1f2933", "#66737f", "#e4e7eb", "#ffffff"
COLOURS = ("#2563eb", "#dc6803", "#099250", "#9333ea", "#c11574", "#0e7090")
FONT, TITLE_FONT = 17, 20
TICKS = 6
DECADES_FOR_LOG = 1.0
"""A panel of positive values that span more powers of ten than this is logarithmic."""

Line = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """Values over steps."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    dots: bool = False
    """Few and measured, not many and noisy: each is marked, none is smoothed."""


@dataclass(frozen=True)
class Panel:
    """Curves over one pair of axes."""

    title: str
    curves: Sequence[Curve]


def draw_panels(panels: Sequence[Panel], heading: str) -> Image:
    """Draw panels below one another over the same steps: (H, W, 3) uint8, 1200 pixels wide."""
    last = max(step for panel in panels for curve in panel.curves for step in curve.steps)
    height = len(panels) * PANEL_HEIGHT + TOP // 2
    canvas = PIL.Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((LEFT * SCALE, 14 * SCALE), heading, INK, _font(TITLE_FONT))
    for number, panel in enumerate(panels):
        _Axes(pen, panel, TOP // 2 + number * PANEL_HEIGHT, last).draw()
    reduced = canvas.resize((WIDTH, height), PIL.Image.Resampling.LANCZOS)
    return Image(np.array(reduced))


def ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Round numbers, about `count` of them, within low to high."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def smoothed(values: Sequence[float]) -> list[float]:
    """Mean over a window of a fiftieth of the values, centred."""
    reach = len(values) // 100
    total = np.concatenate([[0.0], np.cumsum(values)])
    numbers = np.arange(len(values))
    first, end = np.maximum(numbers - reach, 0), np.minimum(numbers + reach + 1, len(values))
    means: list[float] = ((total[end] - total[first]) / (end - first)).tolist()
    return means


class _Axes:
    """One panel: where a step and a value lie on the canvas."""

    def __init__(self, pen: ImageDraw.ImageDraw, panel: Panel, top: int, last: float) -> None:
        self._pen, self._panel, self._last = pen, panel, max(last, 1.0)
        self._box = (LEFT, top + TOP, WIDTH - RIGHT, top + PANEL_HEIGHT - BOTTOM)
        values = [v for curve in panel.curves for v in curve.values if math.isfinite(v)] or [0.0]
        low, high = min(values), max(values)
        self._log = low > 0 and math.log10(high / low) > DECADES_FOR_LOG
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        self._low, self._high = (low, high) if self._log else (low - room, high + room)

    def draw(self) -> None:
        left, top, right, bottom = self._box
        for value in self._value_ticks():
            self._line([(left, self._y(value)), (right, self._y(value))], GRID, 1)
            self._text((left - 10, self._y(value)), f"{value:.4g}", "rm", PALE)
        for step in ticks(0, self._last):
            self._line([(self._x(step), bottom), (self._x(step), bottom + 5)], PALE, 1)
            self._text((self._x(step), bottom + 10), f"{step:g}", "mt", PALE)
        self._line([(left, bottom), (right, bottom)], PALE, 1)
        self._text((right, bottom + 30), "step", "rt", PALE)
        self._text((left, top - 14), self._panel.title, "ls", INK)
        for curve, colour in zip(self._panel.curves, _colours(), strict=False):
            self._curve(curve, colour)
        self._legend()

    def _curve(self, curve: Curve, colour: str) -> None:
        finite = [
            each for each in zip(curve.steps, curve.values, strict=True) if math.isfinite(each[1])
        ]
        steps, values = [each[0] for each in finite], [each[1] for each in finite]
        points = self._points(steps, values)
        if curve.dots:
            self._line(points, colour, 2)
            for point in points:
                self._dot(point, 4, colour)
            return
        self._line(points, _tint(colour), 1)
        self._line(self._points(steps, smoothed(values)), colour, 2)

    def _legend(self) -> None:
        right = self._box[2]
        labels = [curve.label for curve in self._panel.curves]
        for label, colour in reversed([*zip(labels, _colours(), strict=False)]):
            y = self._box[1] - 20
            self._text((right, y), label, "rm", INK)
            right -= round(_font(FONT).getlength(label) / SCALE) + 12
            self._dot((right, y), 5, colour)
            right -= 20

    def _value_ticks(self) -> list[float]:
        if not self._log:
            return ticks(self._low, self._high)
        powers = range(math.floor(math.log10(self._low)), math.ceil(math.log10(self._high)) + 1)
        values = [nice * 10.0**power for power in powers for nice in (1, 2, 5)]
        return [value for value in values if self._low <= value <= self._high]

    def _points(self, steps: Sequence[float], values: Sequence[float]) -> Line:
        return [(self._x(s), self._y(v)) for s, v in zip(steps, values, strict=True)]

    def _x(self, step: float) -> float:
        left, _, right, _ = self._box
        return left + (right - left) * step / self._last

    def _y(self, value: float) -> float:
        _, top, _, bottom = self._box
        low, high = self._low, self._high
        if self._log:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return bottom - (bottom - top) * (value - low) / (high - low)

    def _line(self, points: Line, colour: str, width: int) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._pen.line(scaled, colour, width * SCALE, joint="curve")

    def _dot(self, at: tuple[float, float], radius: int, colour: str) -> None:
        self._pen.circle((at[0] * SCALE, at[1] * SCALE), radius * SCALE, colour)

    def _text(self, at: tuple[float, float], text: str, anchor: str, colour: str) -> None:
        self._pen.text((at[0] * SCALE, at[1] * SCALE), text, colour, _font(FONT), anchor)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE)


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS


def _tint(colour: str) -> str:
    mixed = (round(255 - 0.3 * (255 - int(colour[n : n + 2], 16))) for n in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)
