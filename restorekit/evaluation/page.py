"""Evaluations as one page that needs nothing outside it: no files, no scripts, no network."""

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from importlib.metadata import version

from restorekit.evaluation.examples import GAIN, Example
from restorekit.evaluation.figures import distribution, gains
from restorekit.evaluation.run import Evaluation
from restorekit.evaluation.tables import (
    DEGRADED,
    Table,
    as_table,
    by_set,
    chosen_metrics,
    fullest,
    group_table,
    overview,
    published_table,
    shown,
)
from restorekit.media.encode import encode
from restorekit.media.formats import Format
from restorekit.metrics.protocols import METRICS
from restorekit.types import Image, Pixels

QUALITY = 90
"""Of the crops, which are WebP."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def as_page(evaluations: Sequence[Evaluation], examples: Sequence[Example] = ()) -> str:
    """Draw evaluations as HTML: tables, the values of every picture, the best and the worst."""
    sets = by_set(evaluations)
    style = resources.files("restorekit.evaluation").joinpath("page.css").read_text("utf-8")
    names = ", ".join(group[0].dataset for group in sets)
    models = list(dict.fromkeys(each.model for each in evaluations))
    whole = overview(evaluations)
    body = [_set_section(group, place, examples) for place, group in enumerate(sets)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Evaluation on {escape(names)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<header>
<h1>Evaluation</h1>
<p class="lead">{escape(_joined(models))} on {escape(names)}</p>
{_navigation(sets)}
</header>
<main id="results">
{f'<section class="set">{_table(whole)}</section>' if whole else ""}
{"".join(body)}
</main>
<footer>Made by restorekit {version("restorekit")}. A number holds for its protocol.</footer>
</body>
</html>
"""


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _navigation(sets: Sequence[Sequence[Evaluation]]) -> str:
    if len(sets) == 1:
        return ""
    links = (f'<li><a href="#set{k}">{escape(g[0].dataset)}</a></li>' for k, g in enumerate(sets))
    return f'<nav aria-label="Sets"><ul>{"".join(links)}</ul></nav>'


def _set_section(group: Sequence[Evaluation], place: int, examples: Sequence[Example]) -> str:
    first = fullest(group)
    here = [example for example in examples if example.dataset == first.dataset]
    head = (
        f'<div class="head"><h2 id="title{place}">{escape(first.dataset)}</h2>{_coverage(first)}'
        f'<span class="badge">protocol <code>{escape(first.protocol.id)}</code></span></div>'
    )
    grouped, known = group_table(group), published_table(group)
    parts = [
        head,
        *map(_failures, group),
        _table(as_table(group), _best(group)),
        _figures(group),
        _table(grouped) if grouped else "",
        _examples(here),
        _folded(f"Published numbers ({len(known.rows)})", _table(known)) if known else "",
        _folded(f"All pictures ({len(first.pairs)})", _table(_pictures(group), tall=True)),
    ]
    opened = f'<section class="set" id="set{place}" aria-labelledby="title{place}">'
    return f"{opened}{''.join(parts)}</section>"


def _coverage(evaluation: Evaluation) -> str:
    kind = "whole" if evaluation.is_complete else "part"
    said = evaluation.coverage if evaluation.is_complete else f"only {evaluation.coverage}"
    return f'<span class="badge {kind}">{said}</span>'


def _failures(evaluation: Evaluation) -> str:
    if not evaluation.failed:
        return ""
    first = evaluation.failed[0]
    more = f" and {len(evaluation.failed) - 1} more" if len(evaluation.failed) > 1 else ""
    return (
        f'<p class="note">{escape(evaluation.model)}: left out, because it failed: '
        f"{escape(first.error)}{more}</p>"
    )


def _table(table: Table, best: Sequence[tuple[int, int]] = (), *, tall: bool = False) -> str:
    heading = "".join(
        f'<th scope="col"{_kind(column, table)}>{escape(text)}</th>'
        for column, text in enumerate(table.headings)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(text, r, c, table, best) for c, text in enumerate(row))}</tr>"
        for r, row in enumerate(table.rows)
    )
    title = escape(table.title)
    return (
        f'<div class="scroll{" tall" if tall else ""}" tabindex="0" role="region" '
        f'aria-label="{title}"><table><caption>{title}</caption>'
        f"<thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="caption">{escape(table.caption)}</p>'
    )


def _cell(text: str, row: int, column: int, table: Table, best: Sequence[tuple[int, int]]) -> str:
    if column == 0:
        return f'<th scope="row">{escape(text)}</th>'
    kind = ' class="n best"' if (row, column) in best else _kind(column, table)
    return f"<td{kind}>{escape(text)}</td>"


def _kind(column: int, table: Table) -> str:
    return "" if column < table.names else ' class="n"'


def _best(group: Sequence[Evaluation]) -> list[tuple[int, int]]:
    """The rows and columns of the best means of each metric, where there are several models."""
    rows = [row[0] for row in as_table(group).rows]
    models = [each for each in group if each.model != DEGRADED]
    places: list[tuple[int, int]] = []
    for number, metric in enumerate(chosen_metrics(group[0])):
        means = {each.model: each.mean(metric.name) for each in models}
        known = [value for value in means.values() if not math.isnan(value)]
        if len(known) > 1:
            best = max(known) if metric.higher_is_better else min(known)
            winners = [model for model, value in means.items() if value == best]
            places += [(rows.index(model), 3 + 2 * number) for model in winners]
    return places


def _figures(group: Sequence[Evaluation]) -> str:
    metric = chosen_metrics(group[0])[0]
    drawn = [
        (f"{metric.label} of each picture", distribution(group, metric)),
        ("What each model wins over the degraded pictures", gains(group, metric)),
    ]
    return "".join(_drawing(title, svg) for title, svg in drawn if svg)


def _drawing(title: str, svg: str) -> str:
    said = escape(title)
    box = f'<div class="scroll" tabindex="0" role="group" aria-label="{said}">{svg}</div>'
    return f"<h3>{said}</h3>{box}"


def _examples(examples: Sequence[Example]) -> str:
    models = dict.fromkeys(example.model for example in examples)
    return "".join(
        f"<h3>{escape(model)}: the worst and the best pictures</h3>"
        f'<div class="examples">{_joined_examples(e for e in examples if e.model == model)}</div>'
        for model in models
    )


def _joined_examples(examples: Iterable[Example]) -> str:
    return "".join(map(_example, examples))


def _example(example: Example) -> str:
    crops = (
        ("degraded", example.degraded),
        ("restored", example.restored),
        ("reference", example.reference),
        (f"difference to the reference, {GAIN} times", example.difference),
    )
    where = f"crop at {example.left}, {example.top}"
    drawn = "".join(
        _crop(pixels, label, f"{label}, picture {example.result.name}")
        for label, pixels in crops
        if pixels is not None
    )
    return (
        f'<div class="example"><h4>{example.kind}: {escape(example.result.name)} '
        f"<span>{escape(_values(example))}; {where}</span></h4>"
        f'<div class="crops">{drawn}</div></div>'
    )


def _values(example: Example) -> str:
    before, after = example.result.degraded, example.result.restored
    return ", ".join(
        f"{METRICS[name].label} "
        + (f"{shown(before[name], METRICS[name])} → " if name in before else "")
        + shown(value, METRICS[name])
        for name, value in after.items()
    )


def _crop(pixels: Pixels, label: str, said: str) -> str:
    data = base64.b64encode(encode(Image(pixels), Format.WEBP, QUALITY)).decode()
    height, width = pixels.shape[:2]
    return (
        f'<figure><img src="data:image/webp;base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(said)}"><figcaption>{escape(label)}</figcaption></figure>'
    )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _pictures(group: Sequence[Evaluation]) -> Table:
    """Every picture with the values of every model."""
    metrics = chosen_metrics(group[0])
    models = [each for each in group if each.model != DEGRADED]
    measured = {each.model: {pair.name: pair for pair in each.pairs} for each in group}
    names = list(dict.fromkeys(pair.name for each in group for pair in each.pairs))
    before = {pair.name: pair.degraded for each in group for pair in each.pairs}
    has_degraded = fullest(group).has_degraded
    headings = [f"{DEGRADED}, {m.label}" for m in metrics if has_degraded]
    headings += [f"{each.model}, {m.label}" for each in models for m in metrics]
    rows = []
    for name in names:
        cells = [shown(before[name].get(m.name, math.nan), m) for m in metrics]
        row = cells if has_degraded else []
        for each in models:
            found = measured[each.model].get(name)
            values = found.restored if found else {}
            row = row + [shown(values.get(m.name, math.nan), m) for m in metrics]
        rows.append((name, *row))
    title = f"{group[0].dataset}, protocol {group[0].protocol.id}: each picture"
    return Table(title, ("picture", *headings), tuple(rows))
