"""What a run's folder says of it."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorekit.errors import UsageError
from restorekit.training.plot import Curve, Panel
from restorekit.training.sinks import FIRST_COLUMNS, LINES, LOG

RECIPE = "recipe.json"
MEASURES = ("psnr", "ssim")
"""What a validation measures, of the restored pictures; `degraded_...` are as they came."""

RECENT = 100

Row = Mapping[str, float]


@dataclass(frozen=True)
class RunLog:
    """A run as its log tells it."""

    folder: Path
    recipe: Mapping[str, Any]
    steps: Sequence[Row]
    """One per step: step, lr, seconds and the losses."""
    validations: Sequence[Row]
    """One per validation: step, psnr in dB and the other measures."""
    total: int | None
    """Steps of the whole run; None where the log does not tell."""

    @property
    def losses(self) -> list[str]:
        """Names of the losses, in the order of the log."""
        names = dict.fromkeys(key for row in self.steps for key in row)
        return [name for name in names if name not in FIRST_COLUMNS]

    @property
    def is_finished(self) -> bool:
        """Whether the run reached its end, the last validation included."""
        ends = [rows[-1]["step"] if rows else 0 for rows in (self.steps, self.validations)]
        return ends == [self.total, self.total]

    @property
    def best(self) -> Row | None:
        """The validation with the highest PSNR; None before the first."""
        known = (row for row in self.validations if not math.isnan(row["psnr"]))
        return max(known, key=lambda row: row["psnr"], default=None)

    @property
    def seconds_per_step(self) -> float:
        """Of the last hundred steps; NaN before the first."""
        last = [row["seconds"] for row in self.steps[-RECENT:]]
        return sum(last) / len(last) if last else math.nan

    def recent_losses(self) -> dict[str, float]:
        """Mean of each loss over the last hundred steps."""
        recent = {name: _columns(self.steps[-RECENT:], name)[1] for name in self.losses}
        return {name: sum(values) / len(values) for name, values in recent.items() if values}

    def chosen_validations(self, count: int) -> list[Row]:
        """About `count` of the validations, evenly, the best and the last among them."""
        stride = -(-len(self.validations) // count) or 1
        kept = (*self.validations[::-stride], self.best)
        return [row for row in self.validations if any(row is other for other in kept)]

    def panels(self) -> list[Panel]:
        """Losses, PSNR and, where it was measured, SSIM, ready to be drawn."""
        losses = [Curve(name, *_columns(self.steps, name)) for name in self.losses]
        panels = [Panel("loss of each step and its running mean", losses)] if losses else []
        titles = {"psnr": "PSNR [dB] of the held-out pictures", "ssim": "SSIM of the same"}
        for measure in MEASURES:
            curves = [
                Curve(label, *_columns(self.validations, name), dots=True)
                for label, name in (("restored", measure), ("degraded", f"degraded_{measure}"))
                if any(name in row for row in self.validations)
            ]
            if curves:
                panels.append(Panel(titles[measure], curves))
        return panels


def read_run(folder: Path) -> RunLog:
    """Read the log and the recipe in a run's folder; UsageError where there is no run."""
    log = folder / LOG
    if not log.is_file():
        raise UsageError(f"{folder}: holds no run (no {LOG}); name a folder that train made")
    try:
        rows = _read_rows(log)
    except (OSError, ValueError) as error:
        raise UsageError(f"{log}: cannot be read as the log of a run: {error}") from None
    recipe = _recipe(folder / RECIPE)
    return RunLog(
        folder,
        recipe,
        steps=[row for row in rows if "lr" in row],
        validations=[row for row in rows if "psnr" in row],
        total=_total(folder / LINES, recipe),
    )


def _read_rows(log: Path) -> list[Row]:
    """Read all rows but a last one that a full disk or a power cut left unfinished."""
    with log.open(newline="", encoding="utf-8") as file:
        written = [*csv.DictReader(file)]
    rows: list[Row] = []
    for number, row in enumerate(written, 1):
        try:
            rows.append(_numbers(row))
        except ValueError as error:
            if number < len(written):
                raise ValueError(f"row {number}: {error}") from None
    return rows


def _recipe(path: Path) -> Mapping[str, Any]:
    try:
        recipe: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = recipe["name"], recipe["task"], recipe["net"]["backend"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = error if isinstance(error, OSError | ValueError) else "is no recipe of a run"
        raise UsageError(f"{path}: cannot be read: {said}") from None
    return recipe


def _total(lines: Path, recipe: Mapping[str, Any]) -> int | None:
    """Steps of the run: of the recipe, or as the run said at its start where that counts epochs."""
    if recipe.get("steps") is not None or not lines.is_file():
        return recipe.get("steps")
    started = [line for line in lines.open(encoding="utf-8") if '"Started"' in line]
    total: int | None = json.loads(started[-1]).get("total") if started else None
    return total


def _numbers(row: Mapping[str, str | None]) -> dict[str, float]:
    if None in row or None in row.values():
        raise ValueError("has not as many fields as the log has columns")
    return {key: float(value) for key, value in row.items() if value}


def _columns(rows: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    having = [row for row in rows if name in row]
    return [row["step"] for row in having], [row[name] for row in having]
