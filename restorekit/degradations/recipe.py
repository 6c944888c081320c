"""A chain of degradations, drawn for a picture and replayed to the byte.

A recipe is a TOML file:

    version = 1
    [[steps]]
    op = "rain-streaks"
    probability = 0.85
    density = "0.0001~0.01"
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restorekit.degradations.base import Degradation, Picture
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.draw import Written
from restorekit.errors import UnknownNameError, UsageError

PRESETS = resources.files("restorekit.degradations") / "presets"


class Step(BaseModel):
    """One link of the chain; every key but `op` and `probability` is a parameter of `op`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    op: str
    probability: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _parameters_fit(self) -> Self:
        # Drawing once finds unknown parameters and impossible ranges before any picture is read.
        find_degradation(self.op).sample(np.random.default_rng(0), **self.written)
        return self

    @property
    def written(self) -> dict[str, Written]:
        """The parameters as the recipe has them."""
        return dict(self.model_extra or {})


class Recipe(BaseModel):
    """Steps in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    description: str = ""
    steps: tuple[Step, ...]

    def draw(self, seed: int, *keys: str | int) -> tuple[tuple[int, Degradation], ...]:
        """Draw the chain for the picture that `keys` name: (place in the recipe, degradation)."""
        chosen = []
        for place, step in enumerate(self.steps):
            rng = generator(seed, *keys, place, "sample")
            if rng.random() < step.probability:
                degradation = find_degradation(step.op).sample(rng, **step.written)
                chosen.append((place, degradation))
        return tuple(chosen)

    @property
    def sha256(self) -> str:
        """Hash of what the recipe says, without its description."""
        said = self.model_dump_json(exclude={"description"})
        return hashlib.sha256(said.encode()).hexdigest()


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return the generator of (seed, keys): the same in every process, on every machine."""
    digest = hashlib.sha256(repr((seed, *keys)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def apply_chain(
    picture: Picture,
    chain: Sequence[tuple[int, Degradation]],
    seed: int,
    *keys: str | int,
) -> Picture:
    """Apply a drawn chain; the picture is not clipped at the end."""
    for place, degradation in chain:
        picture = degradation.apply(picture, generator(seed, *keys, place, "apply"))
    return picture


def list_presets() -> list[str]:
    """Names of the recipes that ship."""
    files = (Path(str(entry)) for entry in PRESETS.iterdir())
    return sorted(file.stem for file in files if file.suffix == ".toml")


def load_recipe(recipe: str | Path | Mapping[str, Any]) -> Recipe:
    """Read a preset by name, a TOML file by path, or a mapping; raises UsageError."""
    if isinstance(recipe, Mapping):
        return _validated(recipe, "the degradation recipe")
    if str(recipe) in list_presets():
        return _validated(tomllib.loads((PRESETS / f"{recipe}.toml").read_text()), str(recipe))
    path = Path(recipe)
    if not path.is_file():
        raise UnknownNameError("degradation recipe (and no such file)", str(recipe), list_presets())
    try:
        return _validated(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from None


def _validated(content: Mapping[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {place}: {first['msg']} (got {first['input']!r})") from None
