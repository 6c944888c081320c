"""Two models that were measured on the same pictures: is one better, and by how much?"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.evaluation.journal import number, plain_number
from restorekit.evaluation.tables import DEGRADED, NOTHING, Table, shown, shown_interval
from restorekit.evaluation.uncertainty import EXACT_FLIPS, RESAMPLES, SEED, PairedTest, paired_test
from restorekit.metrics.protocols import METRICS, Metric

SMALLEST_P = 0.0001
Values = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Side:
    """What a report has of one model on one set; values by picture and metric."""

    report: Path
    model: str
    dataset: str
    protocol: Mapping[str, Any]
    values: Values


@dataclass(frozen=True)
class Comparison:
    """Two models on the pictures of one set that both have, a test for each metric."""

    a: Side
    b: Side
    tests: Mapping[str, PairedTest]

    @property
    def pictures(self) -> int:
        """How many pictures both have."""
        return len(self.a.values.keys() & self.b.values.keys())


def compare_reports(a: str, b: str) -> list[Comparison]:
    """Compare two JSON reports, each written FILE or FILE:MODEL, set by set.

    A report of several models needs the name; `degraded` are the pictures as they were. Raises
    UsageError for what is no report, DataError where no set was measured in the same protocol by
    both.
    """
    left, right = read_side(a), read_side(b)
    compared = [
        _compare(one, other) for one in left for other in right if one.dataset == other.dataset
    ]
    if not compared:
        sets = " and ".join(
            ", ".join(side.dataset for side in sides) or "none" for sides in (left, right)
        )
        raise DataError(f"{a} and {b} have no set in common: {sets}")
    return compared


def read_side(written: str) -> list[Side]:
    """Read what a report, FILE or FILE:MODEL, has of a model: one side for each set."""
    path, model = _split(written)
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a report of eval --report FILE.json")
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
        models = {row["model"]: None for each in sets for row in each["results"]}
        chosen = _chosen(path, model, list(models))
        return [_side(path, each, chosen) for each in sets]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not a report of eval --report FILE.json: {error}") from None


def _split(written: str) -> tuple[Path, str | None]:
    if Path(written).is_file():
        return Path(written), None
    path, colon, model = written.rpartition(":")
    return (Path(path), model) if colon else (Path(written), None)


def _chosen(path: Path, model: str | None, models: Sequence[str]) -> str:
    if model is None and len(models) == 1:
        return models[0]
    if model is None:
        raise UsageError(f"{path}: measures {', '.join(models)}; choose one: {path}:{models[0]}")
    if model not in (*models, DEGRADED):
        raise UnknownNameError(f"model of {path}", model, [*models, DEGRADED])
    return model


def _side(path: Path, content: Mapping[str, Any], model: str) -> Side:
    rows = {row["model"]: row for row in content["results"]}
    kind = "restored" if model in rows else "degraded"
    row = rows.get(model) or max(rows.values(), key=lambda each: len(each["pictures"]))
    values = {
        picture["name"]: {name: number(value) for name, value in picture[kind].items()}
        for picture in row["pictures"]
    }
    return Side(path, model, content["dataset"], content["protocol"], values)


def _compare(a: Side, b: Side) -> Comparison:
    if a.protocol != b.protocol:
        changed = [key for key in a.protocol if a.protocol[key] != b.protocol.get(key)]
        raise DataError(
            f"{a.dataset} was measured in protocol {a.protocol['id']} in {a.report} and in "
            f"{b.protocol['id']} in {b.report} (different: {', '.join(changed)}); their numbers "
            "cannot be compared: measure both in one protocol"
        )
    names = [name for name in a.values if name in b.values]
    if not names:
        raise DataError(f"{a.report} and {b.report} have no picture of {a.dataset} in common")
    tests = {}
    for metric in a.protocol["metrics"]:
        pairs = [(_value(a, name, metric), _value(b, name, metric)) for name in names]
        if any(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
            tests[metric] = paired_test(*zip(*pairs, strict=True))
    if not tests:
        raise DataError(f"{a.dataset}: no metric has a finite value on both sides")
    return Comparison(a, b, tests)


def _value(side: Side, name: str, metric: str) -> float:
    return side.values[name].get(metric, math.nan)


def as_table(comparison: Comparison) -> Table:
    """One row for each metric."""
    a, b = comparison.a, comparison.b
    headings = (
        *("metric", "protocol", "pictures", f"a: {a.model}", f"b: {b.model}", "b - a"),
        *("95 % interval", "p", "effect d", "b better"),
    )
    common = comparison.pictures
    parts = [f"{side.report}: {len(side.values)}" for side in (a, b) if len(side.values) != common]
    partly = f" Only {common} pictures are in both ({', '.join(parts)})." if parts else ""
    left_out = [METRICS[m].label for m in a.protocol["metrics"] if m not in comparison.tests]
    if left_out:
        partly += f" No picture has finite values of {', '.join(left_out)} on both sides."
    caption = (
        f"{a.dataset}, protocol {a.protocol['id']}. p: two-sided paired permutation test of the "
        f"mean difference (signs flipped; all flips up to {EXACT_FLIPS} pictures, else {RESAMPLES} "
        f"random ones, seed {SEED}). Effect d: mean difference in standard deviations of the "
        f"differences.{partly}"
    )
    rows = tuple(
        _row(METRICS[name], a.protocol["id"], test) for name, test in comparison.tests.items()
    )
    return Table(f"{a.dataset}: {a.model} and {b.model}", headings, rows, caption, names=3)


def _row(metric: Metric, protocol: str, test: PairedTest) -> tuple[str, ...]:
    better = test.higher if metric.higher_is_better else test.lower
    return (
        metric.label,
        protocol,
        str(test.pictures),
        shown(test.mean_a, metric),
        shown(test.mean_b, metric),
        shown(test.difference, metric, signed=True),
        shown_interval(test.interval, metric, signed=True),
        "< 0.0001" if test.p_value < SMALLEST_P else f"{test.p_value:.4f}",
        NOTHING if math.isnan(test.effect) else f"{test.effect:+.2f}",
        f"{better} of {test.pictures}",
    )


def as_dict(comparison: Comparison) -> dict[str, object]:
    """A comparison ready for JSON."""
    return {
        "dataset": comparison.a.dataset,
        "protocol": comparison.a.protocol["id"],
        "a": {"report": str(comparison.a.report), "model": comparison.a.model},
        "b": {"report": str(comparison.b.report), "model": comparison.b.model},
        "pictures": comparison.pictures,
        "tests": {
            name: {**asdict(test), "effect": plain_number(test.effect)}
            for name, test in comparison.tests.items()
        },
    }
