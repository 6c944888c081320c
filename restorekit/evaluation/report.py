"""Evaluations as a table, JSON, Markdown or CSV. Every number stands beside its protocol."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from restorekit.backends.card import Measured
from restorekit.errors import UsageError
from restorekit.evaluation.run import Evaluation
from restorekit.files import atomic_path
from restorekit.metrics.protocols import METRICS


@dataclass(frozen=True)
class Table:
    """Headings, rows of the same length and a sentence that says what the numbers are."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_table(evaluations: Sequence[Evaluation]) -> Table:
    """Put evaluations of one set in one protocol under each other, the degraded pictures first."""
    metrics = [METRICS[name] for name in evaluations[0].protocol.metrics]
    headings = (
        "model",
        "protocol",
        "pairs",
        *(metric.label for metric in metrics),
        "made worse",
        f"largest loss in {metrics[0].label}",
        "s / megapixel",
    )
    degraded = (
        "degraded",
        evaluations[0].protocol.id,
        str(len(evaluations[0].pairs)),
        *(f"{evaluations[0].degraded_mean(m.name):.{m.digits}f}" for m in metrics),
        *("", "", ""),
    )
    return Table(_caption(evaluations[0]), headings, (degraded, *map(_row, evaluations)))


def as_dict(evaluations: Sequence[Evaluation]) -> dict[str, object]:
    """Everything that was measured, ready for JSON; infinite values are the text "inf"."""
    first = evaluations[0]
    return {
        "restorekit": version("restorekit"),
        "dataset": first.dataset,
        "whole_set": first.whole or None,
        "protocol": asdict(first.protocol),
        "degraded": {
            "protocol": first.protocol.id,
            "mean": _plain({m: first.degraded_mean(m) for m in first.protocol.metrics}),
        },
        "results": [_result(evaluation) for evaluation in evaluations],
    }


def as_json(evaluations: Sequence[Evaluation]) -> str:
    """The dictionary of `as_dict` as indented JSON."""
    return json.dumps(as_dict(evaluations), indent=2, allow_nan=False) + "\n"


def as_markdown(evaluations: Sequence[Evaluation]) -> str:
    """The table in GitHub's Markdown, its caption below."""
    table = as_table(evaluations)
    numbers = len(table.headings) - 2
    lines = [table.headings, ("---", "---", *["---:"] * numbers), *table.rows]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{drawn}\n\n{table.caption}\n"


def as_csv(evaluations: Sequence[Evaluation]) -> str:
    """One line per model and picture."""
    metrics = evaluations[0].protocol.metrics
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = [*metrics, *(f"degraded_{name}" for name in metrics)]
    writer.writerow(["dataset", "model", "protocol", "name", *columns, "seconds"])
    for each in evaluations:
        for pair in each.pairs:
            values = [*pair.restored.values(), *pair.degraded.values()]
            place = [each.dataset, each.model, each.protocol.id, pair.name]
            writer.writerow([*place, *values, f"{pair.seconds:.4f}"])
    return out.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Evaluation]], str]] = {
    ".json": as_json,
    ".md": as_markdown,
    ".csv": as_csv,
}


def require_format(path: Path) -> None:
    """Raise UsageError for a report whose suffix names no format."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: a report is one of {', '.join(FORMATS)}, told by its suffix")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file for the report")


def write_report(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write a report in the format that its suffix names."""
    require_format(path)
    with atomic_path(path) as temporary:
        temporary.write_text(FORMATS[path.suffix.lower()](evaluations), encoding="utf-8")


def _caption(evaluation: Evaluation) -> str:
    protocol, done = evaluation.protocol, len(evaluation.pairs)
    total = evaluation.whole or done + len(evaluation.failed)
    count = f"{done} of {total} pairs" if done < total else f"{done} pairs"
    similarity = f"; SSIM is {protocol.ssim}" if "ssim" in protocol.metrics else ""
    return (
        f"{evaluation.dataset}, {count}; protocol {protocol.id}: {protocol.description} "
        f"({protocol.source}). Means over pictures{similarity}."
    )


def _row(evaluation: Evaluation) -> tuple[str, ...]:
    metrics = [METRICS[name] for name in evaluation.protocol.metrics]
    return (
        evaluation.model,
        evaluation.protocol.id,
        str(len(evaluation.pairs)),
        *(f"{evaluation.mean(m.name):.{m.digits}f}" for m in metrics),
        str(evaluation.made_worse),
        f"{max(evaluation.losses):.{metrics[0].digits}f}" if evaluation.made_worse else "-",
        f"{evaluation.seconds_per_megapixel:.2f}",
    )


def measured_in(report: Path, model: str) -> list[Measured]:
    """Read the means of a model off a JSON report, as a checkpoint's card has them.

    Raises UsageError when the file is no such report or does not measure the model.
    """
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        rows = [
            Measured(
                dataset=content["dataset"],
                protocol=row["protocol"],
                values={name: round(value, 4) for name, value in row["mean"].items()},
            )
            for row in content["results"]
            if row["model"] == model
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{report}: not a report of eval --report FILE.json: {error}") from None
    if not rows:
        raise UsageError(f"{report}: measures no model called {model}; evaluate that file first")
    return rows


def _result(evaluation: Evaluation) -> dict[str, object]:
    return {
        "model": evaluation.model,
        "protocol": evaluation.protocol.id,
        "pairs": len(evaluation.pairs),
        "mean": _plain({m: evaluation.mean(m) for m in evaluation.protocol.metrics}),
        "made_worse": evaluation.made_worse,
        "largest_loss": _number(max(0.0, *evaluation.losses)),
        "seconds_per_megapixel": evaluation.seconds_per_megapixel,
        "failed": [{"file": str(f.source), "error": f.error} for f in evaluation.failed],
        "pictures": [
            {
                "name": pair.name,
                "restored": _plain(pair.restored),
                "degraded": _plain(pair.degraded),
                "seconds": pair.seconds,
            }
            for pair in evaluation.pairs
        ],
    }


def _plain(values: Mapping[str, float]) -> dict[str, float | str]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
