"""The training recipe: what decides a run; an unknown key is an error.

Lengths count steps, or epochs in a recipe that says `epochs`; those of validating and saving always
count steps.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from restorekit.data.crops import Symmetries
from restorekit.errors import UnknownNameError, UsageError
from restorekit.training.complaints import first_complaint
from restorekit.training.losses import LossName
from restorekit.types import Precision, Task

RECIPES = resources.files("restorekit.training") / "recipes"
VERSION: Final = 1


def _name(said: object) -> object:
    return str(said) if type(said) is int else said


Folder = Annotated[Path, BeforeValidator(_name)]
"""A path of which a name like 2024 is as good as any: `--set data.photos=2024`."""


class Section(BaseModel):
    """Base of all tables of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetRecipe(Section):
    """Which net to train, and from what weights."""

    backend: str
    config: dict[str, Any] = {}
    start: str | None = Field(
        default=None, description="model or checkpoint whose weights it starts from"
    )
    widen: bool = Field(
        default=False, description="start has fewer channels; the new ones begin without influence"
    )
    freeze: tuple[str, ...] = Field(
        default=(), description="shell patterns of the parameters that are not trained"
    )


class StageRecipe(Section):
    """A part of a run with its own patch and batch."""

    until: int = Field(ge=1, description="last step of the stage")
    patch: int = Field(ge=8)
    batch: int = Field(ge=1)


class DataRecipe(Section):
    """Where the patches come from: clean photos with a degradation recipe, or pairs."""

    photos: Folder | None = Field(default=None, description="clean photos, degraded on the fly")
    degradation: str | dict[str, Any] | None = Field(default=None, description="preset or path")
    pairs: Folder | None = Field(default=None, description="a folder of pairs")
    dataset: str | None = Field(default=None, description="a data set by name, below data_root")
    data_root: Folder = Field(default=Path(), description="folder of the data sets")
    validation: Folder | None = Field(
        default=None, description="a folder of pairs to validate on; nothing is held out then"
    )
    hold_out: int = Field(default=20, ge=1, description="last pictures by name, for validation")
    patch: int = Field(default=128, ge=8, description="side of a training crop in pixels")
    batch: int = Field(default=8, ge=1, description="examples per step, of all processes together")
    stages: tuple[StageRecipe, ...] = Field(
        default=(), description="patches and batches that grow; `patch` and `batch` follow the last"
    )
    candidates: int = Field(
        default=1, ge=1, description="crops drawn per example, of which the sharpest is taken"
    )
    colours: float = Field(
        default=0.0, ge=0, le=1, description="part of the photos that get other, stronger colours"
    )
    structures: float = Field(
        default=0.0, ge=0, le=1, description="part of the photos that get a line pattern drawn in"
    )
    aligned: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="part of the line patterns that lie along the `angle` of the degradation",
    )
    reduce: int = Field(
        default=1, ge=1, description="how many times smaller each way photos are made first"
    )
    borders: float = Field(
        default=0.0, ge=0, le=1, description="part of the photos that get borders, as scans have"
    )
    symmetries: Symmetries = Field(
        default="square", description="turns and flips, both flips, left-right flips, or neither"
    )
    small: Literal["refuse", "pad"] = Field(
        default="refuse", description="what to do with pictures smaller than the patch"
    )
    mixup: float = Field(
        default=0.0,
        ge=0,
        description="parameter of the Beta distribution by which half of the batches are mixed",
    )
    workers: int = Field(default=1, ge=0, description="processes that prepare batches")
    validation_patch: int = Field(default=256, ge=8, description="side of the centre crop")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = ("photos", "pairs", "dataset")
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(sources)}, not both {' and '.join(given)}")
        if self.reduce > 1 and given and given != ["photos"]:
            raise ValueError(f"reduce makes photos smaller; {given[0]} are taken as they are")
        if self.aligned and not self.structures:
            raise ValueError("aligned has no effect without structures, the part that gets lines")
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)):
            raise ValueError(f"stages must follow one another, got until = {ends}")
        return self


class GroupRecipe(Section):
    """Parameters with a learning rate of their own."""

    match: str = Field(description="shell pattern of their names; the first that matches counts")
    lr_scale: float = Field(ge=0, description="factor on the learning rate")


class OptimRecipe(Section):
    """Adam or AdamW, a linear warm-up, then a schedule of the learning rate."""

    kind: Literal["adam", "adamw"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    schedule: Literal["cosine", "milestones", "restarts"] = Field(
        default="cosine",
        description="cosine to final_lr; `factor` after each milestone; or a cosine per period",
    )
    final_lr: float = Field(default=1e-6, ge=0)
    warmup: int = Field(default=200, ge=0, description="steps or epochs")
    milestones: tuple[int, ...] = Field(default=(), description="steps or epochs")
    factor: float = Field(default=0.5, gt=0, le=1)
    periods: tuple[int, ...] = Field(default=(), description="lengths in steps or epochs")
    floors: tuple[float, ...] = Field(default=(), description="lowest rate of each period")
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0, description="largest norm or value of the gradient")
    clip_by: Literal["norm", "value", "none"] = Field(
        default="norm", description="global norm, each value by itself, or not at all"
    )
    groups: tuple[GroupRecipe, ...] = ()
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor on the rate from each layer to the one before"
    )

    @model_validator(mode="after")
    def _schedule_is_whole(self) -> Self:
        if self.schedule == "restarts" and (
            not self.periods or len(self.periods) != len(self.floors)
        ):
            raise ValueError("schedule 'restarts' needs periods and as many floors")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must rise, got {list(self.milestones)}")
        return self


class DiscriminatorRecipe(Section):
    """The net that the adversarial loss trains along; the rest of its optimiser is `optim`."""

    kind: Literal["vanilla", "lsgan", "relativistic"] = Field(
        default="vanilla", description="cross entropy, least squares, or ESRGAN's relative average"
    )
    width: int = Field(default=64, ge=1, description="channels of its first convolution")
    lr_scale: float = Field(default=1.0, gt=0, description="factor on the learning rate")


class SpeedRecipe(Section):
    """What a step costs; the result is the same but for rounding."""

    accumulate: int = Field(
        default=1, ge=1, description="parts in which a batch is computed, one after another"
    )
    recompute: bool = Field(
        default=False, description="compute activations again on the way back instead of keeping"
    )
    compile: bool = Field(default=False, description="torch.compile")


class TrainingRecipe(Section):
    """All that decides a training run."""

    version: Literal[1] = VERSION
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    task: Task
    seed: int = Field(default=0, ge=0)
    steps: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(
        default=None, ge=1, description="instead of steps: how often each picture is taken"
    )
    net: NetRecipe
    data: DataRecipe
    losses: dict[LossName, float] = Field(default={"l1": 1.0, "fft": 0.1}, min_length=1)
    scales: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="how references of a net's smaller pictures are made"
    )
    features: Path | None = Field(
        default=None, description="weights of VGG16 or VGG19 for the perceptual loss"
    )
    optim: OptimRecipe = OptimRecipe()
    discriminator: DiscriminatorRecipe = DiscriminatorRecipe()
    speed: SpeedRecipe = SpeedRecipe()
    ema: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="decay of the averaged weights; they lag 1 / (1 - ema) steps behind, 0 is none",
    )
    precision: Literal[Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16] = Precision.FLOAT32
    validate_every: int = Field(default=500, ge=1, description="steps")
    validate_start: bool = Field(default=False, description="validate before the first step too")
    chosen: Literal["best", "last"] = Field(
        default="best",
        description="weights that the checkpoint holds: of the highest PSNR, or the last validated",
    )
    save_every: int = Field(default=500, ge=1, description="steps")
    keep: int = Field(default=1, ge=1, description="how many of the last states are kept")
    bad_steps: int = Field(default=20, ge=0, description="skipped steps after which a run stops")
    half: bool = Field(default=True, description="store the finished weights in float16")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        if self.epochs is not None and self.data.stages:
            raise ValueError("data.stages count steps; give steps instead of epochs")
        if "perceptual" in self.losses and self.features is None:
            raise ValueError("losses.perceptual needs features = FILE, weights of VGG16 or VGG19")
        if {*self.losses} == {"adversarial"}:
            raise ValueError(
                "losses.adversarial needs another loss, as l1, beside it: "
                "the discriminator does not see what was degraded"
            )
        if "adversarial" not in self.losses and self.discriminator != DiscriminatorRecipe():
            raise ValueError("discriminator has no effect without a weight for losses.adversarial")
        return self

    @property
    def sha256(self) -> str:
        """Hash of all that decides the result but files, which may lie anywhere.

        Of what differs from the defaults, so that a key that is added one day changes no hash.
        """
        said = self.model_dump_json(
            exclude_defaults=True,
            exclude={
                "description": True,
                "features": True,
                "data": {"photos", "pairs", "data_root", "validation"},
                "net": {"start"},
            },
        )
        return hashlib.sha256(said.encode()).hexdigest()


def list_recipes() -> list[str]:
    """Names of the training recipes that ship."""
    files = (Path(str(entry)) for entry in RECIPES.iterdir())
    return sorted(file.stem for file in files if file.suffix == ".toml")


def load_recipe(recipe: str | Path, overrides: Mapping[str, Any]) -> TrainingRecipe:
    """Read a shipped recipe by name, a TOML file, or the recipe.json of a run.

    `overrides` maps "a.b" to values. Raises UsageError that names the file, the key and the nearest
    valid key.
    """
    content, where = read_recipe(recipe)
    for key, value in overrides.items():
        apply_override(content, key, value)
    return parse_recipe(content, where)


def read_recipe(recipe: str | Path) -> tuple[dict[str, Any], str]:
    """Read what a recipe says, unchecked, and how to call it in a message."""
    if str(recipe) in list_recipes():
        text, where = (RECIPES / f"{recipe}.toml").read_text(), f"recipe {recipe}"
    else:
        text, where = _read(Path(recipe)), str(recipe)
    if Path(recipe).suffix == ".json":
        return _from_json(text, where), where
    try:
        return tomllib.loads(text), where
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not a TOML file: {error}") from None


def parse_override(written: str) -> tuple[str, Any]:
    """Split `a.b=value`; the value is read as TOML where it is TOML, as a string otherwise."""
    key, equals, value = written.partition("=")
    if not equals or not key:
        raise UsageError(f"cannot read --set '{written}'; write --set key=value, as in steps=1000")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def apply_override(content: dict[str, Any], key: str, value: object) -> None:
    """Put a value at "a.b" of what a recipe says.

    Of `steps` and `epochs` the one that is set takes the place of the other.
    """
    *tables, last = key.split(".")
    if key in ("steps", "epochs"):
        content.pop("epochs" if key == "steps" else "steps", None)
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise UsageError(f"--set {key}: '{table}' is a value, not a table")
    content[last] = value


def parse_recipe(content: Mapping[str, Any], where: str) -> TrainingRecipe:
    """Validate what a file said; raises UsageError."""
    version = content.get("version", VERSION)
    if version != VERSION:
        raise UsageError(
            f"{where}: is a recipe of version {version!r}, and this restorekit reads version "
            f"{VERSION}; install the restorekit that it was written for, or rewrite it "
            "(restorekit train --schema shows all keys)"
        )
    try:
        return TrainingRecipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {first_complaint(error, TrainingRecipe)}") from None


def json_schema() -> dict[str, Any]:
    """Describe all keys for editors, as JSON Schema."""
    schema = TrainingRecipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _read(path: Path) -> str:
    if not path.is_file():
        raise UnknownNameError("training recipe (and no such file)", str(path), list_recipes())
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a TOML file: it is not UTF-8 text") from None


def _from_json(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not a JSON file: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{where}: is no recipe; give a TOML file or the recipe.json of a run")
    return content
