"""The report of a study: the best of each scientific value, with its spread."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorekit.files import atomic_path
from restorekit.training.study import Range, StudyRecipe, Values, label
from restorekit.training.trials import Arm

MARKDOWN, JSON = "report.md", "report.json"
UNITS = {"psnr": "PSNR [dB]", "ssim": "SSIM"}
DIGITS = {"psnr": 2, "ssim": 4}
EDGE = 0.05
"""A best value within this part of its range from an end may want a wider range."""


@dataclass(frozen=True)
class Comparison:
    """One scientific value, summed up."""

    arm: Arm
    best: Values
    """The nuisance values of the best trial."""
    best_value: float | None
    """Its metric, which owes a part to luck; None where all trials diverged."""
    at_edge: tuple[str, ...]
    """Nuisance hyper-parameters whose best value lies at an end of its range."""

    @property
    def mean(self) -> float | None:
        """Mean of the best settings over further seeds."""
        return statistics.fmean(self.arm.repeated) if self.arm.repeated else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over those seeds."""
        return statistics.stdev(self.arm.repeated) if len(self.arm.repeated) > 1 else None

    @property
    def values(self) -> list[float]:
        """The metric of all trials that did not diverge."""
        return [value for _, value in self.arm.trials if value is not None]


def compare(study: StudyRecipe, arms: Sequence[Arm]) -> list[Comparison]:
    """Sum the arms up, the best first."""
    found = [_summed_up(study, arm) for arm in arms]
    return sorted(found, key=lambda each: -(each.mean or float("-inf")))


def write_comparison(folder: Path, study: StudyRecipe, arms: Sequence[Arm]) -> list[Path]:
    """Write report.md and report.json into the study's folder."""
    found = compare(study, arms)
    texts = {MARKDOWN: as_markdown(study, found), JSON: as_json(study, found)}
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def as_markdown(study: StudyRecipe, found: Sequence[Comparison]) -> str:
    """Write a table in GitHub's Markdown, with what has to be known to read it."""
    headings = (
        ", ".join(study.scientific),
        f"{UNITS[study.metric]}, other seeds",
        "best trial",
        "all trials: median (range)",
        "best settings",
    )
    rule = ("---", "---:", "---:", "---:", "---")
    lines = [headings, rule, *(_row(study, each) for each in found)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "\n".join(f"- {note}" for note in _notes(study, found))
    return f"# Study {study.name}\n\n{table}\n\n{notes}\n"


def as_json(study: StudyRecipe, found: Sequence[Comparison]) -> str:
    """Write everything that was run as JSON."""
    content = {"study": study.model_dump(mode="json"), "arms": [_entry(each) for each in found]}
    return json.dumps(content, indent=2) + "\n"


def _summed_up(study: StudyRecipe, arm: Arm) -> Comparison:
    tried = [(values, value) for values, value in arm.trials if value is not None]
    if not tried:
        return Comparison(arm, {}, None, ())
    best, value = max(tried, key=lambda trial: trial[1])
    edges = (key for key, given in study.nuisance.items() if at_edge(given, best[key]))
    return Comparison(arm, best, value, tuple(edges))


def at_edge(searched: Range, value: object) -> bool:
    """Whether a value lies at an end of the interval that was searched."""
    place = searched.place(value)
    return place is not None and not EDGE < place < 1 - EDGE


def _row(study: StudyRecipe, each: Comparison) -> tuple[str, ...]:
    digits = DIGITS[study.metric]
    spread = "" if each.deviation is None else f" ± {each.deviation:.{digits}f}"
    return (
        ", ".join(map(str, each.arm.scientific.values())),
        "-" if each.mean is None else f"{each.mean:.{digits}f}{spread}",
        "-" if each.best_value is None else f"{each.best_value:.{digits}f}",
        _range(each, digits),
        label(each.best) or "-",
    )


def _range(each: Comparison, digits: int) -> str:
    values = each.values
    diverged = len(each.arm.trials) - len(values)
    said = [f"{diverged} diverged"] if diverged else []
    if values:
        ends = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
        said.insert(0, f"{statistics.median(values):.{digits}f} ({ends})")
    return ", ".join(said)


def _notes(study: StudyRecipe, found: Sequence[Comparison]) -> list[str]:
    fixed = label(study.fixed) or "nothing but what the recipe says"
    trials = f"{study.budget} trial{'' if study.budget == 1 else 's'}"
    over = f"the mean and the standard deviation over {study.seeds} further seeds"
    return [
        f"scientific: {', '.join(study.scientific)}; nuisance, tuned for each row by "
        f"{trials}: {', '.join(study.nuisance) or 'none'}; fixed: {fixed}",
        f"the first number is {'that of 1 further seed' if study.seeds == 1 else over} of each "
        "row's best settings; the best trial was picked and owes a part to luck",
        _verdict(study, found),
        *(
            f"{label(each.arm.scientific)}: the best {', '.join(each.at_edge)} lies at the end "
            "of its range; widen the range before you believe the row"
            for each in found
            if each.at_edge
        ),
    ]


def _verdict(study: StudyRecipe, found: Sequence[Comparison]) -> str:
    ranked = [each for each in found if each.mean is not None]
    if len(ranked) < 2:
        return "there is nothing to compare"
    first, second = ranked[:2]
    ahead = (first.mean or 0.0) - (second.mean or 0.0)
    spread = max(first.deviation or 0.0, second.deviation or 0.0)
    names = f"{label(first.arm.scientific)} is ahead of {label(second.arm.scientific)}"
    said = f"{names} by {ahead:.{DIGITS[study.metric] + 1}f}"
    if len(first.arm.repeated) < 2:
        return f"{said}; one seed does not tell whether that is more than chance"
    relation = "more than twice" if ahead > 2 * spread else "not more than twice"
    return f"{said}, {relation} the larger standard deviation of the two"


def _entry(each: Comparison) -> dict[str, Any]:
    return {
        "scientific": each.arm.scientific,
        "mean": each.mean,
        "standard_deviation": each.deviation,
        "repeated": each.arm.repeated,
        "best_trial": each.best_value,
        "best_settings": each.best,
        "at_edge": each.at_edge,
        "trials": [{"settings": s, "value": value} for s, value in each.arm.trials],
    }
