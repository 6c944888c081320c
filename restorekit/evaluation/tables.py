"""Evaluations as tables of text. Every number stands beside its protocol."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from restorekit.evaluation.published import Published, published
from restorekit.evaluation.run import Evaluation, mean
from restorekit.evaluation.uncertainty import RESAMPLES, SEED, Interval, bootstrap_interval
from restorekit.metrics.protocols import METRICS, Metric, Protocol, unavailable

NOT_AVAILABLE = "n/a"
NOTHING = "-"
INTERVAL = "95 % interval"
DEGRADED = "degraded"
"""The row of the degraded pictures as they are."""
_MIB = 2**20
_BEST = 4


@dataclass(frozen=True)
class Table:
    """Headings, rows of the same length and what the numbers are."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    names: int = 1
    """So many columns are text, the rest numbers."""
    optional: tuple[str, ...] = ()
    """Headings of columns that may be left out where there is little room."""


def by_set(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Split evaluations by their set; those of a set stand together."""
    return [list(group) for _, group in groupby(evaluations, lambda each: each.dataset)]


def fullest(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of a set with the most pictures, which stands for the degraded ones."""
    return max(evaluations, key=lambda each: len(each.pairs))


def all_tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Every table that a report has: the overview of several sets, then set by set."""
    each_set = [
        table
        for group in by_set(evaluations)
        for table in (as_table(group), published_table(group), group_table(group))
    ]
    return [table for table in (overview(evaluations), *each_set) if table is not None]


def as_table(evaluations: Sequence[Evaluation]) -> Table:
    """Put evaluations of one set in one protocol under each other, the degraded pictures first."""
    first = fullest(evaluations)
    metrics = chosen_metrics(first)
    headings = (
        *("model", "protocol", "pairs"),
        *(heading for metric in metrics for heading in (metric.label, INTERVAL)),
        *("published", "difference"),
        *("made worse", "largest loss", "s / megapixel", "peak MiB"),
    )
    rows = [_row(each, metrics) for each in evaluations if each.model != DEGRADED]
    if first.has_degraded:
        rows.insert(0, _degraded_row(first, metrics))
    whole = Table(
        _title(first),
        headings,
        tuple(rows),
        _caption(first),
        names=3,
        optional=(INTERVAL, headings[-3], "peak MiB"),
    )
    return whole if any(row[-6] for row in rows) else _without(whole, headings[-6:-4])


def _without(table: Table, headings: Sequence[str]) -> Table:
    kept = [place for place, heading in enumerate(table.headings) if heading not in headings]
    return Table(
        table.title,
        tuple(table.headings[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in table.rows),
        table.caption,
        table.names,
        table.optional,
    )


def narrowed(table: Table) -> Table:
    """Leave out the optional columns."""
    return _without(table, table.optional)


def overview(evaluations: Sequence[Evaluation]) -> Table | None:
    """The first metric of every model on every set; None for one set alone."""
    sets = by_set(evaluations)
    if len(sets) == 1:
        return None
    full = [fullest(group) for group in sets]
    models = list(dict.fromkeys(each.model for each in evaluations))
    rows = [(DEGRADED, *map(_degraded_cell, full))] if any(e.has_degraded for e in full) else []
    cells = [(e.model, _cell(e, f)) for g, f in zip(sets, full, strict=True) for e in g]
    rows += [
        (model, *(cell for owner, cell in cells if owner == model))
        for model in models
        if model != DEGRADED
    ]
    headings = (f"{each.dataset}, {chosen_metrics(each)[0].label}" for each in full)
    caption = "; ".join(
        f"{each.dataset}: {each.coverage}, protocol {each.protocol.id}" for each in full
    )
    return Table("All sets", ("model", *headings), tuple(rows), f"{caption}.")


def _cell(evaluation: Evaluation, full: Evaluation) -> str:
    """The mean, and where others were measured on more pictures, on how many it is."""
    metric = chosen_metrics(evaluation)[0]
    return _mean_cell(evaluation.values(metric.name), metric, len(full.pairs))


def _degraded_cell(evaluation: Evaluation) -> str:
    metric = chosen_metrics(evaluation)[0]
    return _mean_cell(evaluation.degraded_values(metric.name), metric)


def _mean_cell(values: Sequence[float], metric: Metric, total: int | None = None) -> str:
    """The mean, and of how many of the pictures it is where it is not of all of them."""
    count, total = sum(not math.isnan(value) for value in values), total or len(values)
    cell = shown(mean(values), metric)
    return f"{cell} ({count} of {total})" if 0 < count < total else cell


def group_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """The means of each group of pictures; None for a set without groups."""
    first = evaluations[0]
    groups = sorted({group for each in evaluations for p in each.pairs for group in p.groups})
    if not groups:
        return None
    metrics = chosen_metrics(first)
    rows = tuple(
        (group, *row) for group in groups for row in _group_rows(group, evaluations, metrics)
    )
    return Table(
        f"{_title(first)}: by operation and severity",
        ("group", "model", "protocol", "pairs", *(metric.label for metric in metrics)),
        rows,
        "Groups as the manifest of the set tells them: a picture of several operations is in each "
        "of theirs, and a severity is the nearest of an operation's five.",
        names=4,
    )


def _group_rows(
    group: str, evaluations: Sequence[Evaluation], metrics: Sequence[Metric]
) -> Iterator[tuple[str, ...]]:
    full = fullest(evaluations)
    protocol = full.protocol.id
    pairs = [pair for pair in full.pairs if group in pair.groups]
    before = [_mean_cell([p.degraded.get(m.name, math.nan) for p in pairs], m) for m in metrics]
    if full.has_degraded:
        yield DEGRADED, protocol, str(len(pairs)), *before
    for each in evaluations:
        if each.model != DEGRADED:
            pairs = [pair for pair in each.pairs if group in pair.groups]
            after = [_mean_cell([p.restored[m.name] for p in pairs], m) for m in metrics]
            yield each.model, protocol, str(len(pairs)), *after


def published_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """Numbers that papers print of the set, and how far the measured ones are above them.

    Differences stand only where protocol and set are the same; None where nothing was published.
    """
    first = evaluations[0]
    metrics = chosen_metrics(first)
    asked = first.protocol.metrics
    numbers = [n for n in published(first.dataset) if not n.part and n.metric in asked]
    numbers.sort(key=lambda number: number.protocol != first.protocol.id)
    if not numbers:
        return None
    headings = (
        *("published", "trained on", "paper", "protocol"),
        *(metric.label for metric in metrics),
        *(f"{each.model}, difference" for each in evaluations),
    )
    rows = [
        _published_row(list(same), evaluations, metrics)
        for _, same in groupby(numbers, lambda n: (n.method, n.protocol, n.source, n.trained_on))
    ]
    title = f"{_title(first)}: published numbers"
    return Table(title, headings, tuple(rows), _published_caption(first), names=4)


def _published_row(
    numbers: Sequence[Published], evaluations: Sequence[Evaluation], metrics: Sequence[Metric]
) -> tuple[str, ...]:
    any_of = numbers[0]
    values = {number.metric: number for number in numbers}
    cells = [shown(values[m.name].value, m) if m.name in values else NOTHING for m in metrics]
    differences = [_difference(each, values.get(metrics[0].name)) for each in evaluations]
    method = any_of.method if any_of.checked else f"{any_of.method} (from memory)"
    about = (method, any_of.trained_on or NOTHING, any_of.paper or NOTHING)
    return (*about, any_of.protocol or "not said", *cells, *differences)


def _published_caption(evaluation: Evaluation) -> str:
    sources = {n.source for n in published(evaluation.dataset, protocol=evaluation.protocol.id)}
    said = f" Read in: {'; '.join(sorted(sources))}." if sources else ""
    metric = chosen_metrics(evaluation)[0].label
    if not evaluation.is_complete:
        return f"No differences, because only {evaluation.coverage} were measured.{said}"
    return f"Differences are in {metric}, and stand only where the protocol is the same.{said}"


def published_line(evaluations: Sequence[Evaluation]) -> str | None:
    """Say the best of the published numbers in a line; None where nothing was published."""
    first = evaluations[0]
    metric = chosen_metrics(first)[0]
    found = published(first.dataset, metric.name, first.protocol.id)
    numbers = sorted(
        (number for number in found if not number.part),
        key=lambda number: number.value,
        reverse=metric.higher_is_better,
    )
    if not numbers:
        return None
    best = ", ".join(f"{n.method} {shown(n.value, metric)}" for n in numbers[:_BEST])
    return (
        f"Published on {first.dataset} in {first.protocol.id}, {metric.label}: {best}"
        f"{f' and {len(numbers) - _BEST} more' if len(numbers) > _BEST else ''}; "
        "--report puts all beside the measured ones."
    )


def _same_method(evaluation: Evaluation) -> list[Published]:
    metric = evaluation.protocol.metrics[0]
    names = {_simplified(evaluation.backend), _simplified(evaluation.model)} - {""}
    found = published(evaluation.dataset, metric, evaluation.protocol.id)
    return [number for number in found if not number.part and _simplified(number.method) in names]


def _published_cell(number: Published, metric: Metric) -> str:
    trained_on = f" ({number.trained_on})" if number.trained_on else ""
    return f"{shown(number.value, metric)}{trained_on}"


def _simplified(name: str) -> str:
    return "".join(mark for mark in name.lower() if mark.isalnum() or mark == "+")


def _difference(evaluation: Evaluation, number: Published | None) -> str:
    """Say how far a model is above a published number, where both were made in the same way."""
    if number is None or number.protocol != evaluation.protocol.id or not evaluation.is_complete:
        return NOTHING
    metric = METRICS[number.metric]
    if any(map(math.isnan, evaluation.values(metric.name))):
        return NOTHING
    return shown(evaluation.mean(metric.name) - number.value, metric, signed=True)


def _row(evaluation: Evaluation, metrics: Sequence[Metric]) -> tuple[str, ...]:
    known = _same_method(evaluation)
    loss, seconds = max(evaluation.losses, default=0.0), evaluation.seconds_per_megapixel
    return (
        *_place(evaluation),
        *(cell for m in metrics for cell in _with_interval(evaluation.values(m.name), m)),
        " / ".join(_published_cell(number, metrics[0]) for number in known),
        " / ".join(_difference(evaluation, number) for number in known),
        str(evaluation.made_worse) if evaluation.has_degraded else NOTHING,
        shown(loss, metrics[0]) if loss > 0 else NOTHING,
        NOT_AVAILABLE if math.isnan(seconds) else f"{seconds:.2f}",
        f"{evaluation.peak_bytes / _MIB:.0f}" if evaluation.peak_bytes else NOT_AVAILABLE,
    )


def _degraded_row(evaluation: Evaluation, metrics: Sequence[Metric]) -> tuple[str, ...]:
    values = (evaluation.degraded_values(m.name) for m in metrics)
    cells = (c for row, m in zip(values, metrics, strict=True) for c in _with_interval(row, m))
    _, *place = _place(evaluation)
    return (DEGRADED, *place, *cells, *("", ""), *[NOTHING] * 4)


def _place(evaluation: Evaluation) -> tuple[str, str, str]:
    count, _, _ = evaluation.coverage.rpartition(" ")
    return evaluation.model, evaluation.protocol.id, count


def _with_interval(values: Sequence[float], metric: Metric) -> tuple[str, str]:
    return _mean_cell(values, metric), shown_interval(bootstrap_interval(values), metric)


def shown_interval(interval: Interval | None, metric: Metric, *, signed: bool = False) -> str:
    """Write the ends of an interval; - where there is none."""
    if interval is None:
        return NOTHING
    low, high = (shown(end, metric, signed=signed) for end in interval)
    return f"[{low}, {high}]"


def shown(value: float, metric: Metric, *, signed: bool = False) -> str:
    """Write a value with the decimals of its metric; a value that is none is n/a."""
    if math.isnan(value):
        return NOT_AVAILABLE
    return f"{value:{'+' if signed else ''}.{metric.digits}f}"


def chosen_metrics(evaluation: Evaluation) -> list[Metric]:
    """The metrics of an evaluation in the order of its protocol."""
    return [METRICS[name] for name in evaluation.protocol.metrics]


def _title(evaluation: Evaluation) -> str:
    return f"{evaluation.dataset}, {evaluation.coverage}"


def _caption(evaluation: Evaluation) -> str:
    protocol = evaluation.protocol
    similarity = f"; SSIM is {protocol.ssim}" if "ssim" in protocol.metrics else ""
    return (
        f"{_title(evaluation)}; protocol {protocol.id}: {protocol.description} "
        f"({protocol.source}). Means over pictures{similarity}. Intervals: percentile bootstrap of "
        f"the mean, {RESAMPLES} resamples, seed {SEED}. Peak memory: on a CPU that of the whole "
        f"process.{_reasons(protocol)}{_undefined(evaluation)}"
    )


def _undefined(evaluation: Evaluation) -> str:
    """Say of how many pictures a metric is missing, and why of the first."""
    lacking = [pair for pair in evaluation.pairs if pair.undefined]
    if not lacking:
        return ""
    first = f"{lacking[0].name} ({'; '.join(lacking[0].undefined)})"
    return (
        f" Metrics that are not defined for a picture are means of the others: "
        f"{len(lacking)} of {len(evaluation.pairs)} pictures lack one, first {first}."
    )


def _reasons(protocol: Protocol) -> str:
    """Say why metrics are not available."""
    reasons = (
        f" {METRICS[name].label} is n/a: {why}." for name, why in unavailable(protocol).items()
    )
    return "".join(reasons)
