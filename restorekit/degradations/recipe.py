"""A chain of degradations, drawn for a picture and replayed to the byte.

A recipe is a TOML file:

    version = 1
    [[steps]]
    op = "rain-streaks"
    probability = 0.85
    density = "0.0001~0.01"

A step is a degradation with its parameters, or a group: `one_of` a list of steps, each with its
`weight`, all of a list `shuffled`, or `steps` in order that share a `probability`. Groups nest.
Steps under `[[reference]]` come before all, and make of the picture the reference of the pair.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restorekit.degradations.base import MapName, Picture, Plane
from restorekit.degradations.catalog import DEGRADATIONS, find_degradation
from restorekit.degradations.imagenet_c import PREFIX, imagenet_c
from restorekit.degradations.steps import Chain, Link, draw_all, keys_of_groups, refuse_misplaced
from restorekit.degradations.superres import Resize
from restorekit.errors import UnknownNameError, UsageError

PRESETS = resources.files("restorekit.degradations") / "presets"
WHOLE = 1e-6
"""A scale so close to a whole number is one."""


class Averaging(BaseModel):
    """How successive frames become one exposure.

    The mean of light, with a power for the curve of the camera; the reference is the middle frame
    (GoPro: Nah et al., CVPR 2017).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: tuple[int, ...] = Field(min_length=1, description="numbers of frames to choose from")
    gamma: float = Field(default=2.2, ge=1, le=4, description="1 averages display values")

    @model_validator(mode="after")
    def _has_a_middle(self) -> Self:
        if any(count < 3 or count % 2 == 0 for count in self.count):
            raise UsageError(
                f"frames: count = {list(self.count)}: give odd numbers of at least 3, "
                "so that there is a middle frame for the reference"
            )
        return self


class Recipe(BaseModel):
    """Steps in order, after the reference was made or the frames averaged where it says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    description: str = ""
    frames: Averaging | None = None
    reference: tuple[Link, ...] = ()
    """What is done to a picture before it is the reference of a pair and is degraded."""
    steps: tuple[Link, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.frames is None and "steps" not in self.model_fields_set:
            raise UsageError("a recipe needs [[steps]], or [frames] to average")
        if self.frames is not None and self.reference:
            raise UsageError(
                "[[reference]] changes the picture that is degraded, and with [frames] none is: "
                "leave one of them out"
            )
        refuse_misplaced(self.steps)
        refuse_misplaced(self.reference)
        self.draw_reference(0)
        return self

    def draw(self, seed: int, *keys: str | int) -> Chain:
        """Draw the chain for the picture that `keys` name: (place in the recipe, degradation)."""
        places = range(len(self.steps))
        return draw_all(self.steps, places, partial(generator, seed, *keys))

    def draw_reference(self, seed: int, *keys: str | int) -> Chain:
        """Draw the chain that makes the reference of the picture that `keys` name.

        Raises UsageError where it changes the size.
        """
        places = [f"reference.{number}" for number in range(len(self.reference))]
        chain = draw_all(self.reference, places, partial(generator, seed, *keys))
        if scale_of(chain) != 1:
            raise UsageError("[[reference]] changes the size of the picture; only [[steps]] may")
        return chain

    @property
    def sha256(self) -> str:
        """Hash of what the recipe says, without its description."""
        said = self.model_dump_json(exclude={"description"}, exclude_defaults=True)
        return hashlib.sha256(said.encode()).hexdigest()


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return the generator of (seed, keys): the same in every process, on every machine."""
    digest = hashlib.sha256(repr((seed, *keys)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True)
class TracedChain:
    """A degraded picture and the maps of its steps, in their order."""

    picture: Picture
    maps: tuple[tuple[MapName, NDArray[np.float32]], ...]


def apply_chain(picture: Picture, chain: Chain, seed: int, *keys: str | int) -> Picture:
    """Apply a drawn chain; the picture is not clipped at the end."""
    return trace_chain(picture, chain, seed, *keys).picture


def make_reference(picture: Picture, chain: Chain, seed: int, *keys: str | int) -> Picture:
    """Apply the chain of `Recipe.draw_reference`, clipped to [0, 1] as a file holds it.

    Without a step it is the picture itself.
    """
    return np.clip(apply_chain(picture, chain, seed, *keys), 0, 1) if chain else picture


def trace_chain(
    picture: Picture, chain: Chain, seed: int, *keys: str | int, depth: Plane | None = None
) -> TracedChain:
    """Apply a drawn chain and keep what its steps tell, each map of the size it had there.

    `depth` is (H, W) of the picture's size, as `Degradation.traced` takes it.
    """
    reference = picture.shape[:2]
    maps: list[tuple[MapName, NDArray[np.float32]]] = []
    for place, degradation in chain:
        rng = generator(seed, *keys, place, "apply")
        if isinstance(degradation, Resize):
            picture = degradation.resized(picture, reference)
            continue
        traced = degradation.traced(picture, rng, _fitted(depth, picture, reference))
        picture = traced.picture
        maps.extend(traced.maps.items())
    return TracedChain(picture, tuple(maps))


def _fitted(depth: Plane | None, picture: Picture, reference: tuple[int, ...]) -> Plane | None:
    """Bring a depth map to the size that the steps so far have left."""
    if depth is None or picture.shape[:2] == reference or depth.shape != reference:
        return depth
    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def scale_of(chain: Chain) -> int:
    """How many times smaller a chain makes a picture, each way.

    Raises UsageError where that is no whole number.
    """
    scale = 1.0
    for _, degradation in chain:
        if isinstance(degradation, Resize):
            scale = (degradation.divisor or scale) / degradation.factor
        else:
            scale *= degradation.scale
    if round(scale) < 1 or abs(scale - round(scale)) > WHOLE:
        raise UsageError(
            f"the recipe leaves a picture of 1/{scale:.4g} of the reference's size, which makes "
            "no pair; end its changes of size with op = 'resize', factor = 1.0, divisor = 4 "
            "for a fourth, or divisor = 1 for the size of the reference"
        )
    return round(scale)


def list_presets() -> list[str]:
    """Names of the recipes that ship."""
    files = (Path(str(entry)) for entry in PRESETS.iterdir())
    return sorted(file.stem for file in files if file.suffix == ".toml")


def load_recipe(recipe: str | Path | Mapping[str, Any]) -> Recipe:
    """Read a preset by name, a TOML file by path, or a mapping; raises UsageError.

    `haze:3` is a degradation at a severity, `imagenet-c:shot_noise:2` a corruption of ImageNet-C.
    """
    if isinstance(recipe, Mapping):
        return _validated(recipe, "the degradation recipe")
    name = str(recipe)
    if name in list_presets():
        return _validated(tomllib.loads((PRESETS / f"{name}.toml").read_text()), name)
    path = Path(recipe)
    if path.is_file():
        try:
            return _validated(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not a TOML file: {error}") from None
    if ":" in name:
        return _validated(_at_severity(name), name)
    if name in {degradation.name for degradation in DEGRADATIONS}:
        raise UsageError(f"recipe {name}: is a degradation, which needs a severity: {name}:3")
    raise UnknownNameError("degradation recipe (and no such file)", name, list_presets())


def _at_severity(written: str) -> dict[str, Any]:
    name, _, severity = written.rpartition(":")
    if not severity.isdecimal():
        raise UsageError(
            f"recipe {written}: ends in a severity, 1 to 5, as in haze:3 or {PREFIX}:contrast:2"
        )
    if name.partition(":")[0] == PREFIX:
        return imagenet_c(name.partition(":")[2], int(severity))
    drawn = find_degradation(name).at_severity(int(severity))
    return {
        "description": f"{name} of severity {severity}",
        "steps": [{"op": name, **drawn.model_dump()}],
    }


def _validated(content: Mapping[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] != "extra_forbidden":
            reason = first["msg"].replace("tuple", "list")  # as TOML calls it
            raise UsageError(f"{where}: {place}: {reason} (got {first['input']!r})") from None
        known = [*Recipe.model_fields, *Averaging.model_fields, *keys_of_groups()]
        near = get_close_matches(str(first["loc"][-1]), known, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"{where}: unknown key '{place}'{hint}") from None
