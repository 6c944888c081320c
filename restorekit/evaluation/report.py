"""Evaluations as files by suffix: JSON, CSV, Markdown, LaTeX, and a page to look at."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from restorekit.backends.card import Measured
from restorekit.errors import DataError, UsageError
from restorekit.evaluation.examples import Example
from restorekit.evaluation.journal import plain, plain_number
from restorekit.evaluation.page import as_page
from restorekit.evaluation.published import published
from restorekit.evaluation.run import Evaluation
from restorekit.evaluation.tables import Table, all_tables, by_set, fullest
from restorekit.evaluation.uncertainty import bootstrap_interval
from restorekit.files import atomic_path

FORMAT = 2
PAGE = ".html"
_TEX_ESCAPES = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"–": "--", "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}"},
    "Δ": r"$\Delta$",
}


def as_dict(evaluations: Sequence[Evaluation]) -> dict[str, object]:
    """Everything that was measured, ready for JSON.

    Infinite values are the text "inf"; what is not available is null.
    """
    return {
        "format": FORMAT,
        "restorekit": version("restorekit"),
        "sets": [_set_as_dict(group) for group in by_set(evaluations)],
    }


def _set_as_dict(evaluations: Sequence[Evaluation]) -> dict[str, object]:
    first = fullest(evaluations)
    metrics = first.protocol.metrics
    numbers = published(first.dataset, protocol=first.protocol.id)
    return {
        "dataset": first.dataset,
        "whole_set": first.whole or None,
        "complete": all(each.is_complete for each in evaluations),
        "protocol": asdict(first.protocol),
        "degraded": {
            "protocol": first.protocol.id,
            "mean": plain({name: first.degraded_mean(name) for name in metrics}),
        },
        "results": [_result(evaluation) for evaluation in evaluations],
        "published": [asdict(number) for number in numbers if number.metric in metrics],
    }


def _result(evaluation: Evaluation) -> dict[str, object]:
    metrics = evaluation.protocol.metrics
    return {
        "model": evaluation.model,
        "backend": evaluation.backend or None,
        "protocol": evaluation.protocol.id,
        "pairs": len(evaluation.pairs),
        "mean": plain({name: evaluation.mean(name) for name in metrics}),
        "interval": {name: bootstrap_interval(evaluation.values(name)) for name in metrics},
        "made_worse": evaluation.made_worse if evaluation.has_degraded else None,
        "largest_loss": plain_number(max([0.0, *evaluation.losses])),
        "seconds_per_megapixel": plain_number(evaluation.seconds_per_megapixel),
        "peak_bytes": evaluation.peak_bytes or None,
        "failed": [{"file": str(f.source), "error": f.error} for f in evaluation.failed],
        "pictures": [
            {
                "name": pair.name,
                "restored": plain(pair.restored),
                "degraded": plain(pair.degraded),
                "seconds": pair.seconds,
                "peak_bytes": pair.peak_bytes or None,
                "groups": pair.groups,
                "undefined": pair.undefined,
            }
            for pair in evaluation.pairs
        ],
    }


def as_json(evaluations: Sequence[Evaluation]) -> str:
    """The dictionary of `as_dict` as indented JSON."""
    return json.dumps(as_dict(evaluations), indent=2, allow_nan=False) + "\n"


def as_csv(evaluations: Sequence[Evaluation]) -> str:
    """One line per model and picture; a set without some metric has empty fields there."""
    metrics = list(dict.fromkeys(name for each in evaluations for name in each.protocol.metrics))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = [*metrics, *(f"degraded_{name}" for name in metrics)]
    writer.writerow(
        [
            "dataset",
            "pairs",
            "model",
            "protocol",
            "name",
            *columns,
            "seconds",
            "peak_bytes",
            "groups",
        ]
    )
    for each in evaluations:
        for pair in each.pairs:
            values = [
                plain_number(row[name]) if name in row else ""
                for row in (pair.restored, pair.degraded)
                for name in metrics
            ]
            place = [each.dataset, each.coverage, each.model, each.protocol.id, pair.name]
            cost = [f"{pair.seconds:.4f}", pair.peak_bytes or "", "; ".join(pair.groups)]
            writer.writerow([*place, *values, *cost])
    return out.getvalue()


def as_markdown(evaluations: Sequence[Evaluation]) -> str:
    """The tables in GitHub's Markdown, each caption below."""
    return "\n".join(_markdown(table) for table in all_tables(evaluations))


def _markdown(table: Table) -> str:
    numbers = len(table.headings) - table.names
    lines = [table.headings, (*["---"] * table.names, *["---:"] * numbers), *table.rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    return f"**{table.title}**\n\n{drawn}\n\n{table.caption}\n"


def as_latex(evaluations: Sequence[Evaluation]) -> str:
    """The tables in LaTeX, for the package booktabs."""
    head = "% \\usepackage{booktabs}\n"
    return head + "\n".join(_latex(table) for table in all_tables(evaluations))


def _latex(table: Table) -> str:
    columns = "l" * table.names + "r" * (len(table.headings) - table.names)
    heading, *rows = (
        " & ".join(map(_tex, line)) + r" \\" for line in (table.headings, *table.rows)
    )
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_tex(table.title)}. {_tex(table.caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _tex(text: str) -> str:
    return "".join(_TEX_ESCAPES.get(mark, mark) for mark in text)


FORMATS: Mapping[str, Callable[[Sequence[Evaluation]], str]] = {
    ".json": as_json,
    ".csv": as_csv,
    ".md": as_markdown,
    ".tex": as_latex,
}


def require_format(path: Path) -> None:
    """Raise UsageError for a report whose suffix names no format, or that has no place."""
    known = (*FORMATS, PAGE)
    if path.suffix.lower() not in known:
        raise UsageError(f"{path}: a report is one of {', '.join(known)}, told by its suffix")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file for the report")
    require_place(path.parent)


def require_place(folder: Path) -> None:
    """Make a folder if need be; UsageError where nothing can be written, before hours are spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        raise UsageError(
            f"{folder}: nothing can be written there ({error.strerror or error}); choose another "
            "place or make room"
        ) from None


def is_page(path: Path) -> bool:
    """Whether a report is the page, which shows examples."""
    return path.suffix.lower() == PAGE


def write_report(
    path: Path, evaluations: Sequence[Evaluation], examples: Sequence[Example] = ()
) -> None:
    """Write a report in the format that its suffix names; the page shows the examples.

    Raises DataError where it cannot be written; the report that was there before stays.
    """
    require_format(path)
    if is_page(path):
        content = as_page(evaluations, examples)
    else:
        content = FORMATS[path.suffix.lower()](evaluations)
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); make room and repeat the "
            "command with --resume, which measures nothing again"
        ) from error


def measured_in(report: Path, model: str) -> list[Measured]:
    """Read the means of a model off a JSON report, as a checkpoint's card has them.

    A metric without a finite mean, or without a value of each picture, is left out. Reports of
    version 0.1, which were about one set, are read too. Raises UsageError when the file is no such
    report, measures a part of a set or does not measure the model.
    """
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        rows = [
            _measured(report, each, row)
            for each in content.get("sets", [content])
            for row in each["results"]
            if row["model"] == model
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{report}: not a report of eval --report FILE.json: {error}") from None
    if not rows:
        raise UsageError(f"{report}: measures no model called {model}; evaluate that file first")
    return rows


def _measured(report: Path, content: Mapping[str, Any], row: Mapping[str, Any]) -> Measured:
    name, values = content["dataset"], row["mean"]
    total = content.get("whole_set") or row["pairs"] + len(row["failed"])
    if row["pairs"] < total:
        raise UsageError(
            f"{report}: only {row['pairs']} of {total} pairs of {name} were measured, and a card "
            "is about whole sets; evaluate the whole set"
        )
    partial = {
        key for p in row.get("pictures", ()) for key, v in p["restored"].items() if v is None
    }
    finite = {
        key: round(value, 4)
        for key, value in values.items()
        if isinstance(value, int | float) and key not in partial
    }
    if not finite:
        raise UsageError(f"{report}: no metric has a finite mean on {name}; a card needs one")
    return Measured(dataset=name, protocol=row["protocol"], values=finite)
