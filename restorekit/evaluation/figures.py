"""Drawings of values per picture, as SVG that takes its colours from the page around it."""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from restorekit.evaluation.run import Evaluation, mean
from restorekit.evaluation.tables import DEGRADED, fullest, shown
from restorekit.evaluation.uncertainty import bootstrap_interval
from restorekit.metrics.protocols import Metric

WIDTH = 860
COLOURS = 6
"""So many colours the page has; more models use them again."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 150, 20, 12, 46
_ROW, _DOT, _STACK = 64, 3.2, 6.4
_LINES = 260
_TICKS = 7
_END = WIDTH - 130
_LINE = 16


class Row(NamedTuple):
    """One model's values in the order of the pictures, with its colour."""

    label: str
    colour: int
    names: tuple[str, ...]
    values: tuple[float, ...]


class Axis(NamedTuple):
    """From values to places along one side of a drawing."""

    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies."""
        part = (value - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round numbers between the ends, about seven of them."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def rows_of(evaluations: Sequence[Evaluation], metric: Metric) -> list[Row]:
    """The rows of a drawing, the degraded pictures first, without what is not finite."""
    first = fullest(evaluations)
    rows = [_row(DEGRADED, 0, first, first.degraded_values(metric.name))]
    rows += [
        _row(each.model, 1 + place % COLOURS, each, each.values(metric.name))
        for place, each in enumerate(evaluations)
        if each.model != DEGRADED
    ]
    return [row for row in rows if row.values]


def _row(label: str, colour: int, evaluation: Evaluation, values: Sequence[float]) -> Row:
    known = [(p.name, v) for p, v in zip(evaluation.pairs, values, strict=True) if math.isfinite(v)]
    names, finite = (tuple(column) for column in zip(*known, strict=True)) if known else ((), ())
    return Row(label, colour, names, finite)


def distribution(evaluations: Sequence[Evaluation], metric: Metric) -> str:
    """Draw a dot for each picture, one row for each model; a line is the mean with its interval."""
    rows = rows_of(evaluations, metric)
    if not rows:
        return ""
    values = [value for row in rows for value in row.values]
    axis = _padded(min(values), max(values), _LEFT, WIDTH - _RIGHT)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = [_grid(axis, height, metric.label)]
    parts += [_dots(row, axis, _TOP + _ROW * (k + 0.5), metric) for k, row in enumerate(rows)]
    said = "; ".join(f"{row.label} mean {shown(mean(row.values), metric)}" for row in rows)
    return _svg(height, f"{metric.label} of each picture. {said}", parts)


def _dots(row: Row, axis: Axis, middle: float, metric: Metric) -> str:
    stacks: dict[int, list[int]] = defaultdict(list)
    for index, value in enumerate(row.values):
        stacks[round(axis.place(value) / _STACK)].append(index)
    step = min(_STACK, (_ROW - 4 * _DOT) / max(map(len, stacks.values())))
    dots = [
        f'<circle cx="{axis.place(row.values[index]):.1f}" '
        f'cy="{middle + _offset(place) * step:.1f}" r="{_DOT}">'
        f"<title>{escape(row.names[index])}: {shown(row.values[index], metric)}</title></circle>"
        for stack in stacks.values()
        for place, index in enumerate(stack)
    ]
    label = f'<text class="label" x="{_LEFT - 12}" y="{middle + 4:.1f}">{escape(row.label)}</text>'
    return f'<g class="m{row.colour}">{label}{"".join(dots)}{_mean(row, axis, middle, metric)}</g>'


def _offset(place: int) -> int:
    """Stack 0, 1, 2, 3 ... on the middle, above it, below it, above that ..."""
    return (place + 1) // 2 * (1 if place % 2 else -1)


def _mean(row: Row, axis: Axis, middle: float, metric: Metric) -> str:
    x = axis.place(mean(row.values))
    said = f"<title>{escape(row.label)}, mean: {shown(mean(row.values), metric)}</title>"
    ends = bootstrap_interval(row.values)
    band = ""
    if ends is not None:
        left, right = map(axis.place, ends)
        band = (
            f'<rect class="interval" x="{left:.1f}" y="{middle - 24:.1f}" '
            f'width="{max(right - left, 1):.1f}" height="48"/>'
        )
    line = f'<path class="mean" d="M{x:.1f} {middle - 24:.1f}v48"/>'
    return f"<g>{said}{band}{line}</g>"


def gains(evaluations: Sequence[Evaluation], metric: Metric) -> str:
    """Draw what each model wins on each picture, from the smallest to the largest gain.

    Empty where the degraded pictures were not measured.
    """
    sign = 1 if metric.higher_is_better else -1
    rows = [
        Row(each.model, 1 + place % COLOURS, (), tuple(sorted(_differences(each, metric, sign))))
        for place, each in enumerate(evaluations)
        if each.model != DEGRADED
    ]
    rows = [row for row in rows if len(row.values) > 1]
    if not rows:
        return ""
    values = [0.0, *(value for row in rows for value in row.values)]
    axis = _padded(min(values), max(values), _TOP + _LINES, _TOP)
    height = _TOP + _LINES + _BOTTOM
    labels = _apart([axis.place(row.values[-1]) for row in rows])
    curves = [_curve(row, axis, label) for row, label in zip(rows, labels, strict=True)]
    parts = [_levels(axis, metric), *curves]
    said = "; ".join(f"{row.label}: {sum(v < 0 for v in row.values)} made worse" for row in rows)
    return _svg(height, f"Gain in {metric.label} over the degraded pictures. {said}", parts)


def _differences(evaluation: Evaluation, metric: Metric, sign: int) -> list[float]:
    before, after = evaluation.degraded_values(metric.name), evaluation.values(metric.name)
    differences = (sign * (b - a) for a, b in zip(before, after, strict=True))
    return [value for value in differences if math.isfinite(value)]


def _curve(row: Row, axis: Axis, label: float) -> str:
    """Draw a model's gains, its name at the height `label`."""
    across = Axis(0, len(row.values) - 1, _LEFT, _END)
    places = [f"{across.place(k):.1f},{axis.place(v):.1f}" for k, v in enumerate(row.values)]
    name = f'<text class="end" x="{_END + 8}" y="{label + 4:.1f}">{escape(row.label)}</text>'
    return f'<g class="m{row.colour}"><polyline points="{" ".join(places)}"/>{name}</g>'


def _apart(places: Sequence[float]) -> list[float]:
    """Move labels down as far as they would lie on those above them."""
    moved = list(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    for above, here in itertools.pairwise(order):
        moved[here] = max(moved[here], moved[above] + _LINE)
    return moved


def _grid(axis: Axis, height: float, label: str) -> str:
    bottom = height - _BOTTOM
    lines = [
        f'<line x1="{axis.place(tick):.1f}" x2="{axis.place(tick):.1f}" y1="{_TOP}" y2="{bottom}"/>'
        f'<text x="{axis.place(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in axis.ticks()
    ]
    middle = (axis.begin + axis.end) / 2
    title = f'<text x="{middle}" y="{height - 6}" text-anchor="middle">{escape(label)}</text>'
    return f'<g class="grid">{"".join(lines)}{title}</g>'


def _levels(axis: Axis, metric: Metric) -> str:
    right = _END
    lines = [
        f'<line class="{"zero" if not tick else ""}" x1="{_LEFT}" x2="{right}" '
        f'y1="{axis.place(tick):.1f}" y2="{axis.place(tick):.1f}"/>'
        f'<text x="{_LEFT - 10}" y="{axis.place(tick) + 4:.1f}" text-anchor="end">'
        f"{_signed(tick)}</text>"
        for tick in axis.ticks()
    ]
    below = (
        f'<text x="{(_LEFT + right) / 2}" y="{_TOP + _LINES + 30}" text-anchor="middle">'
        f"pictures, from the smallest gain in {escape(metric.label)} to the largest</text>"
    )
    return f'<g class="grid">{"".join(lines)}{below}</g>'


def _signed(tick: float) -> str:
    return f"{tick:+g}" if tick else "0"


def _padded(low: float, high: float, begin: float, end: float) -> Axis:
    room = 0.03 * (high - low) or max(abs(high), 1.0) * 0.05
    return Axis(low - room, high + room, begin, end)


def _svg(height: float, said: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )
