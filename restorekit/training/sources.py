"""Where examples come from: clean photos, degraded on the fly, or pairs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from restorekit.data.catalog import get_dataset
from restorekit.data.colours import vary_colours
from restorekit.data.crops import (
    PictureCache,
    centre_crop,
    extended,
    random_crop,
    require_side,
    sharpness,
)
from restorekit.data.matching import find_pairs
from restorekit.data.pairs import Pair, at_their_scale, check_sizes
from restorekit.data.pictures import picture_size
from restorekit.data.structures import draw_border, draw_structure
from restorekit.degradations.base import to_picture
from restorekit.degradations.recipe import (
    Recipe,
    apply_chain,
    generator,
    make_reference,
    scale_of,
)
from restorekit.degradations.recipe import load_recipe as load_degradation
from restorekit.degradations.steps import Chain
from restorekit.errors import DataError, UsageError
from restorekit.media.paths import collect
from restorekit.training.config import DataRecipe
from restorekit.training.order import Draw
from restorekit.types import Pixels

Crop = NDArray[np.float32]
"""(H, W, 3) in [0, 1]; a degraded one may lie outside."""
Example: TypeAlias = tuple[Crop, Crop]
"""Degraded and reference."""
Item = TypeVar("Item")
MULTIPLE = 8
"""Sides of validation crops are multiples of this, in the degraded picture."""
TRIALS = 64
"""Draws of a degradation recipe that show whether its scale is always the same."""


class Source(Protocol):
    """Where examples come from."""

    @property
    def scale(self) -> int:
        """How many times larger the reference is than the degraded picture, each way."""
        ...

    @property
    def train_pictures(self) -> Sequence[Path | Pair]:
        """What there is to train on."""
        ...

    @property
    def held_out_pictures(self) -> Sequence[Path | Pair]:
        """What there is to validate on."""
        ...

    def random(self, seed: int, draw: Draw) -> Example:
        """Return the training example of that name."""
        ...

    def held_out(self, seed: int) -> Iterator[Example]:
        """Return the validation examples, always the same."""
        ...


class CleanPhotos:
    """Clean photographs, degraded on the fly.

    Patches are measured in the degraded picture; where the recipe reduces the size, the crop of the
    photograph is so many times larger.
    """

    def __init__(
        self, train: Sequence[Path], held_out: Sequence[Path], data: DataRecipe, recipe: Recipe
    ) -> None:
        self.train_pictures, self.held_out_pictures = train, held_out
        self._data, self._recipe = data, recipe
        self.scale = _only_scale(recipe)
        self._cache = PictureCache(reduce=data.reduce)
        for file in self.train_pictures:
            _require_patch(file, data, self._cache, self.scale)

    def random(self, seed: int, draw: Draw) -> Example:
        """Crop a random photo and degrade the crop."""
        rng = generator(seed, *draw.key, "crop")
        crops = [self._crop(draw, rng) for _ in range(self._data.candidates)]
        chain = self._recipe.draw(seed, *draw.key)
        reference = self._reference(max(crops, key=sharpness), chain, seed, draw)
        return self._degraded(reference, chain, seed, *draw.key)

    def held_out(self, seed: int) -> Iterator[Example]:
        """Degrade the centres of the held-out photos."""
        for file in self.held_out_pictures:
            side, multiple = self.scale * self._data.validation_patch, self.scale * MULTIPLE
            crop = centre_crop([self._cache.read(file)], side, multiple)[0]
            key = ("validate", file.name)
            yield self._degraded(to_picture(crop), self._recipe.draw(seed, *key), seed, *key)

    def _crop(self, draw: Draw, rng: np.random.Generator) -> Pixels:
        photo = self._cache.read(_taken(self.train_pictures, draw, rng))
        return _random_crop([photo], self.scale * draw.patch, self._data, rng)[0]

    def _reference(self, crop: Pixels, chain: Chain, seed: int, draw: Draw) -> Crop:
        rng = generator(seed, *draw.key, "colours")
        if _happens(self._data.colours, rng):
            crop = vary_colours(crop, rng)
        rng = generator(seed, *draw.key, "structure")
        if _happens(self._data.structures, rng):
            along = _direction(chain) if _happens(self._data.aligned, rng) else None
            crop = draw_structure(crop, rng, along)
        rng = generator(seed, *draw.key, "border")
        if _happens(self._data.borders, rng):
            crop = draw_border(crop, rng)
        return to_picture(crop)

    def _degraded(self, reference: Crop, chain: Chain, seed: int, *key: str | int) -> Example:
        if scale_of(chain) != self.scale:
            raise UsageError(_several_scales({scale_of(chain), self.scale}))
        made = self._recipe.draw_reference(seed, *key)
        reference = make_reference(reference, made, seed, *key)
        return apply_chain(reference, chain, seed, *key), reference


class Pairs:
    """Pictures that exist degraded and as reference."""

    def __init__(self, train: Sequence[Pair], held_out: Sequence[Pair], data: DataRecipe) -> None:
        check_sizes([*train, *held_out])
        self.train_pictures, self.held_out_pictures = train, held_out
        self.scale = train[0].scale
        self._data = data
        self._cache = PictureCache()
        for pair in self.train_pictures:
            _require_patch(pair, data, self._cache)

    def random(self, seed: int, draw: Draw) -> Example:
        """Crop a random pair."""
        rng = generator(seed, *draw.key, "crop")
        pair = _taken(self.train_pictures, draw, rng)
        degraded, reference = _random_crop(self._cache.read_pair(pair), draw.patch, self._data, rng)
        return to_picture(degraded), to_picture(reference)

    def held_out(self, seed: int) -> Iterator[Example]:
        """Return the centres of the held-out pairs."""
        for pair in self.held_out_pictures:
            crops = centre_crop(self._cache.read_pair(pair), self._data.validation_patch)
            degraded, reference = map(to_picture, crops)
            yield degraded, reference


def open_source(data: DataRecipe) -> Source:
    """Open and check what a recipe names; raises UsageError or DataError before any step."""
    train, held_out = find_pictures(data)
    if isinstance(train[0], Pair):
        _refuse_drawings(data)
        return Pairs(_only(Pair, train), _only(Pair, held_out), data)
    if data.degradation is None:
        raise UsageError("clean photos need data.degradation: a preset, a file or a table")
    degradation = load_degradation(data.degradation)
    return CleanPhotos(_only(Path, train), _only(Path, held_out), data, degradation)


def find_pictures(data: DataRecipe) -> tuple[Sequence[Path | Pair], Sequence[Path | Pair]]:
    """List what there is to train on and to validate on: pairs, or clean photos; opens nothing."""
    pairs = _find_pairs(data)
    if pairs and not pairs[0].is_clean:
        return (
            (pairs, at_their_scale(find_pairs(data.validation)))
            if data.validation
            else _split(pairs, data)
        )
    if data.photos is None and not pairs:
        raise UsageError(
            "the recipe names no training pictures; add --set data.photos=DIR (clean photos), "
            "--set data.pairs=DIR, or --set data.dataset=NAME with --set data.data_root=DIR"
        )
    if data.validation is not None:
        raise UsageError("data.validation is a folder of pairs, and the training pictures are none")
    return _split([pair.reference for pair in pairs] or _photos(data), data)


def _only(kind: type[Item], items: Sequence[object]) -> list[Item]:
    return [item for item in items if isinstance(item, kind)]


def _find_pairs(data: DataRecipe) -> list[Pair]:
    if data.pairs is not None:
        return at_their_scale(find_pairs(data.pairs))
    if data.dataset is not None:
        return get_dataset(data.dataset).pairs(data.data_root, "train")
    return []


def _photos(data: DataRecipe) -> list[Path]:
    folders = [data.photos] if data.photos is not None else []
    return [source.path for source in collect(folders, recursive=True)]


def _happens(part: float, rng: np.random.Generator) -> bool:
    """Whether one of that part of the examples is drawn; nothing is drawn for none."""
    return part > 0 and rng.random() < part


def _refuse_drawings(data: DataRecipe) -> None:
    for name in ("colours", "structures", "borders"):
        if getattr(data, name):
            raise UsageError(
                f"data.{name} changes clean photos before they are degraded; pairs are taken as "
                "they are: leave it out, or train on clean photos (data.photos)"
            )


def _direction(chain: Chain) -> float | None:
    """Find the `angle`, in degrees from the horizontal, of the first degradation that has one."""
    return next((step.angle for _, step in chain if hasattr(step, "angle")), None)


def _require_patch(
    item: Path | Pair, data: DataRecipe, cache: PictureCache, scale: int = 1
) -> None:
    """Check for the largest patch of the run; fills the cache as far as it goes."""
    path = item if isinstance(item, Path) else item.degraded
    if cache.has_room:
        read = cache.read(item) if isinstance(item, Path) else cache.read_pair(item)[0]
        height, width = (side * data.reduce for side in read.shape[:2])
    else:
        height, width = picture_size(path)
    if data.small == "refuse":
        patch = max([data.patch, *(s.patch for s in data.stages)])
        require_side(path, (height, width), scale * data.reduce * patch)


def _only_scale(recipe: Recipe) -> int:
    """Find how many times a recipe reduces the size; raises UsageError where that is drawn."""
    if recipe.frames is not None:
        raise UsageError(
            "a recipe that averages frames needs clips, not photos; make pairs of them with "
            "restorekit degrade, and train with data.pairs=DIR"
        )
    scales = {scale_of(recipe.draw(0, trial)) for trial in range(TRIALS)}
    if len(scales) > 1:
        raise UsageError(_several_scales(scales))
    return scales.pop()


def _several_scales(scales: Iterable[int]) -> str:
    listed = " or ".join(f"{scale}" for scale in sorted(scales))
    return (
        f"data.degradation reduces pictures {listed} times, as it is drawn; a net has one scale: "
        "fix it, as in factor = 4"
    )


def _taken(items: Sequence[Item], draw: Draw, rng: np.random.Generator) -> Item:
    return items[int(rng.integers(len(items))) if draw.picture is None else draw.picture]


def _random_crop(
    pictures: Sequence[Pixels], patch: int, data: DataRecipe, rng: np.random.Generator
) -> list[Pixels]:
    if data.small == "pad":
        height = pictures[0].shape[0]
        pictures = [extended(p, patch * (p.shape[0] // height)) for p in pictures]
    return random_crop(pictures, patch, rng, data.symmetries)


def _split(items: Sequence[Item], data: DataRecipe) -> tuple[Sequence[Item], Sequence[Item]]:
    if len(items) <= data.hold_out:
        found = "1 picture is" if len(items) == 1 else f"{len(items)} pictures are"
        raise DataError(
            f"{found} too few: {data.hold_out} are held out for validation "
            "(data.hold_out) and at least one has to be left to train on"
        )
    return items[: -data.hold_out], items[-data.hold_out :]
