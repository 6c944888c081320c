"""Studies: what a hyper-parameter does once the others had a fair chance.

Hyper-parameters are of three kinds (Godbole et al., Deep Learning Tuning Playbook, 2023). The
scientific ones are what the study asks about. The nuisance ones have to be tuned for each value of
those, or the comparison says more about them. The fixed ones stay, and the answer holds for them.
"""

import math
import tomllib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator

from restorekit.errors import UsageError
from restorekit.training.complaints import first_complaint
from restorekit.training.config import (
    Section,
    TrainingRecipe,
    apply_override,
    parse_recipe,
    read_recipe,
)

if TYPE_CHECKING:
    from optuna import Trial

Value = bool | int | float | str
Values = dict[str, Value]
SHORT = 7
"""So many characters of a number are shown as they are, such as 0.99995 and 0.0003."""


class Range(Section):
    """Where a nuisance hyper-parameter is searched: an interval, or a list.

    Between two whole numbers, written without a point, whole numbers are searched.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        interval = self.low is not None and self.high is not None
        if interval == bool(self.choices):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError("low must be less than high")
            if self.log and self.low <= 0:
                raise ValueError("a logarithmic range begins above 0")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """The outermost values."""
        if self.low is None or self.high is None:
            return self.choices
        return self.low, self.high

    def place(self, value: object) -> float | None:
        """Where a value lies in the interval, from 0 to 1; None in a list."""
        if self.low is None or self.high is None or not isinstance(value, int | float):
            return None
        ends = [self.low, value, self.high]
        low, inner, high = map(math.log, ends) if self.log else map(float, ends)
        return (inner - low) / (high - low)

    def suggest(self, trial: "Trial", name: str) -> Value:
        """Ask the sampler for a value."""
        if self.low is None or self.high is None:
            return cast("Value", trial.suggest_categorical(name, self.choices))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


class StudyRecipe(Section):
    """All that decides a study."""

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    recipe: str = Field(description="the training recipe: a name, or a file beside the study's")
    metric: Literal["psnr", "ssim"] = "psnr"
    trials: int = Field(default=10, ge=1, description="budget per value of the scientific ones")
    seeds: int = Field(default=3, ge=1, description="further runs of the best of each value")
    seed: int = Field(default=0, ge=0)
    scientific: dict[str, tuple[Value, ...]] = Field(min_length=1)
    nuisance: dict[str, Range] = Field(default={})
    fixed: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _kinds_are_apart(self) -> Self:
        kinds = (self.scientific, self.nuisance, self.fixed)
        keys = [key for kind in kinds for key in kind]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} cannot be of two kinds")
        if "seed" in keys:
            raise ValueError("the seed is varied by the study itself; see seeds")
        empty = [key for key, values in self.scientific.items() if not values]
        if empty:
            raise ValueError(f"{empty[0]} has no values to compare")
        return self

    def arms(self) -> list[Values]:
        """List the combinations of the scientific values."""
        return [
            dict(zip(self.scientific, values, strict=True))
            for values in product(*self.scientific.values())
        ]

    @property
    def budget(self) -> int:
        """Trials per arm; without nuisance hyper-parameters there is nothing to try twice."""
        return self.trials if self.nuisance else 1


def label(values: Mapping[str, object]) -> str:
    """Write values of hyper-parameters in a line, long floats to four digits."""
    return ", ".join(
        f"{key}={value:.4g}"
        if isinstance(value, float) and len(str(value)) > SHORT
        else f"{key}={value}"
        for key, value in values.items()
    )


def load_study(path: Path) -> StudyRecipe:
    """Read a study's TOML file; UsageError names the file, the key and the nearest valid key.

    A training recipe that is a file is looked for beside the study's.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a TOML file: {error}") from None
    try:
        study = StudyRecipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_complaint(error, StudyRecipe)}") from None
    beside = path.parent / study.recipe
    return study.model_copy(update={"recipe": str(beside)}) if beside.is_file() else study


def recipe_of(study: StudyRecipe, values: Mapping[str, object], name: str) -> TrainingRecipe:
    """Make the recipe of one run: the study's own, the fixed values, then these."""
    content, where = read_recipe(study.recipe)
    for key, value in (study.fixed | dict(values)).items():
        apply_override(content, key, value)
    return parse_recipe({**content, "name": name}, f"study {study.name}, {where}")


def check_keys(study: StudyRecipe) -> list[TrainingRecipe]:
    """Make recipes in which each value, and each end of a range, occurs with each arm.

    Raises UsageError for a key or a value that the recipe does not take, before any run.
    """
    corners = {key: searched.corners for key, searched in study.nuisance.items()}
    most = max(map(len, corners.values()), default=1)
    return [
        recipe_of(study, arm | {k: all_of[i % len(all_of)] for k, all_of in corners.items()}, name)
        for name in [study.name]
        for arm in study.arms()
        for i in range(most)
    ]
