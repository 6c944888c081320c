"""The training recipe: a TOML file in which an unknown key is an error."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restorekit.errors import UnknownNameError, UsageError
from restorekit.training.losses import LossName
from restorekit.types import Precision, Task

RECIPES = resources.files("restorekit.training") / "recipes"


class Section(BaseModel):
    """Base of all tables of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetRecipe(Section):
    """Which net to train."""

    backend: str
    config: dict[str, Any] = {}
    start: str | None = Field(default=None, description="model whose weights it starts from")


class DataRecipe(Section):
    """Where the patches come from: clean photos with a degradation recipe, or a folder of pairs."""

    photos: Path | None = Field(default=None, description="clean photos, degraded on the fly")
    degradation: str | dict[str, Any] | None = Field(default=None, description="preset or path")
    pairs: Path | None = Field(default=None, description="a folder of pairs")
    hold_out: int = Field(default=20, ge=1, description="last pictures by name, for validation")
    patch: int = Field(default=128, ge=8, description="side of a training crop in pixels")
    batch: int = Field(default=8, ge=1)
    candidates: int = Field(
        default=1, ge=1, description="crops drawn per example, of which the sharpest is taken"
    )
    structures: float = Field(
        default=0.0, ge=0, le=1, description="part of the photos that get a line pattern drawn in"
    )
    workers: int = Field(default=1, ge=0, description="processes that prepare batches")
    validation_patch: int = Field(default=256, ge=8, description="side of the centre crop")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.photos is not None) and (self.pairs is not None):
            raise ValueError("give photos or pairs, not both")
        return self


class OptimRecipe(Section):
    """AdamW with a linear warm-up and a cosine to `final_lr`."""

    lr: float = Field(default=1e-3, gt=0)
    final_lr: float = Field(default=1e-6, ge=0)
    warmup: int = Field(default=200, ge=0, description="steps")
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0, description="largest global gradient norm")


class TrainingRecipe(Section):
    """All that decides a training run."""

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    task: Task
    seed: int = Field(default=0, ge=0)
    steps: int = Field(ge=1)
    net: NetRecipe
    data: DataRecipe
    losses: dict[LossName, float] = {"l1": 1.0, "fft": 0.1}
    optim: OptimRecipe = OptimRecipe()
    ema: float = Field(default=0.999, ge=0, lt=1, description="decay of the averaged weights")
    precision: Literal[Precision.FLOAT32, Precision.BFLOAT16] = Precision.FLOAT32
    validate_every: int = Field(default=500, ge=1, description="steps")
    save_every: int = Field(default=500, ge=1, description="steps")
    bad_steps: int = Field(default=20, ge=0, description="skipped steps after which a run stops")
    half: bool = Field(default=True, description="store the finished weights in float16")

    @property
    def sha256(self) -> str:
        """Hash of all that decides the result but files, which may lie anywhere."""
        said = self.model_dump_json(
            exclude={"description": True, "data": {"photos", "pairs"}, "net": {"start"}}
        )
        return hashlib.sha256(said.encode()).hexdigest()


def list_recipes() -> list[str]:
    """Names of the training recipes that ship."""
    files = (Path(str(entry)) for entry in RECIPES.iterdir())
    return sorted(file.stem for file in files if file.suffix == ".toml")


def load_recipe(recipe: str | Path, overrides: Mapping[str, Any]) -> TrainingRecipe:
    """Read a shipped recipe by name or a TOML file by path; `overrides` maps "a.b" to values.

    Raises UsageError that names the file, the key and the nearest valid key.
    """
    if str(recipe) in list_recipes():
        text, where = (RECIPES / f"{recipe}.toml").read_text(), f"recipe {recipe}"
    else:
        text, where = _read(Path(recipe)), str(recipe)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not a TOML file: {error}") from None
    for key, value in overrides.items():
        _override(content, key, value)
    return parse_recipe(content, where)


def parse_override(written: str) -> tuple[str, Any]:
    """Split `a.b=value`; the value is read as TOML where it is TOML, as a string otherwise."""
    key, equals, value = written.partition("=")
    if not equals or not key:
        raise UsageError(f"cannot read --set '{written}'; write --set key=value, as in steps=1000")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def parse_recipe(content: Mapping[str, Any], where: str) -> TrainingRecipe:
    """Validate what a file said; raises UsageError."""
    try:
        return TrainingRecipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_complaint(error)}") from None


def _read(path: Path) -> str:
    if not path.is_file():
        raise UnknownNameError("training recipe (and no such file)", str(path), list_recipes())
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a TOML file: it is not UTF-8 text") from None


def _override(content: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise UsageError(f"--set {key}: '{table}' is a value, not a table")
    content[last] = value


def _first_complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{key}: {first['msg']} (got {first['input']!r})"
    near = get_close_matches(str(first["loc"][-1]), [*_keys(TrainingRecipe)], n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown key '{key}'{hint}"


def _keys(section: type[BaseModel]) -> Iterable[str]:
    for name, field in section.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation)
