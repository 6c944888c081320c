"""Data sets by name, as data: what they hold, how they lie on disk, how they are measured.

The table is in `sets/*.toml`. Facts: the sets' own pages, and the layouts of the repositories that
publish numbers on them; what is not known for certain is left empty.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from pydantic import ConfigDict, TypeAdapter

from restorekit.data.layouts import Layout, match_layout
from restorekit.data.matching import Matching, best_of, clean_pictures, survey
from restorekit.data.pairs import Pair, at_their_scale
from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.types import Task

SPLIT_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
"""What folders of a split are called besides the split's own name."""
USUAL_SCALE = 4
TABLES = tuple(f"{kind}.toml" for kind in ("deblur", "dehaze", "weather", "sr", "denoise", "own"))
RANGE = re.compile(r"\{(\d+\.\.\d+)\}")


@dataclass(frozen=True)
class Located:
    """Where a split of a set was found, and which of its files belong together."""

    folder: Path
    layout: str
    """Whose layout it is."""
    matching: Matching
    expected: int
    """How many pairs there should be; 0 where that is not known."""


@dataclass(frozen=True)
class Dataset:
    """A published set of pictures."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    folders: tuple[str, ...]
    """Where below the data root it may lie; the first one that holds its pictures counts."""
    pictures: int
    """How many pairs, or clean pictures, the measured split has; 0 where that is not known."""
    task: Task | None = None
    protocol: str = "rgb"
    """The protocol of the published tables."""
    clean: bool = False
    """References only; the protocol makes the degraded pictures."""
    split: str = "test"
    """The split that is measured."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many pairs the other splits have."""
    layouts: tuple[Layout, ...] = ()
    scales: tuple[int, ...] = ()
    """Scales of a super-resolution set."""
    references: bool = True
    """False where they are kept back, and restored pictures are sent in to be measured."""
    border: int = 0
    """A frame of so many pixels that some copies of the references have."""
    depth: int = 0
    """8 where published numbers read 16-bit files as 8-bit ones; else 0."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the pairs of a split in the usual copies; `{1..10}` stands for a range."""
    by_name: bool = False
    """The splits lie in the same folders: only the names tell which pair is in which."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """How many of the measured pairs have names that begin so."""
    sizes: tuple[str, ...] = ()
    """Width x height of the degraded pictures of the measured split; empty where they vary."""
    content: str = ""
    paper: str = ""
    licence: str = ""
    """As its page or its paper says; empty where nothing is stated or known."""
    home: str = ""
    """Where to get it."""
    notes: tuple[str, ...] = ()
    """What else moves a number."""

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits, the measured one first."""
        return (self.split, *self.counts)

    def count(self, split: str | None = None) -> int:
        """How many pairs a split has; 0 where that is not known."""
        return self.pictures if split in (None, self.split) else self.counts.get(str(split), 0)

    def expected(self, split: str | None = None) -> tuple[str, ...]:
        """Names of a split's pairs in the usual copies; empty where they are not known."""
        patterns = self.names.get(split or self.split, ())
        return tuple(name for pattern in patterns for name in _expanded(pattern))

    def pairs(
        self, data_root: Path, split: str | None = None, scale: int | None = None
    ) -> list[Pair]:
        """Find a split below the data root and pair its files, in natural order.

        Without a split it is the one that is measured; without a scale, a super-resolution set is
        taken at x4, and at scale 1 its references are clean pictures. Raises DataError for what is
        missing or left over, and for a set whose references are kept back.
        """
        if not self.references:
            raise DataError(
                f"{self.name} has no references to measure by: restore its pictures with "
                f"'restorekit restore' and send them in at {self.home}"
            )
        return self.locate(data_root, split, scale).matching.required()

    def locate(
        self, data_root: Path, split: str | None = None, scale: int | None = None
    ) -> Located:
        """Find a split in one of the layouts; DataError with the places that were tried.

        The first layout that all files fit is taken, or the one that most of them fit.
        """
        split, scale = self._known_split(split), self._known_scale(scale)
        located = self._in_layouts(data_root, split, scale)
        if located:
            best = best_of(place.matching for place in located)
            found = next(place for place in located if place.matching is best)
            return replace(found, matching=self._of_split(best, split)) if self.by_name else found
        somewhere = self._in_any_folder(data_root, split, scale)
        if somewhere is None:
            raise DataError(self._not_found(data_root, split))
        return somewhere

    def _of_split(self, matching: Matching, split: str) -> Matching:
        names = {name.casefold() for name in self.expected(split)}
        kept = tuple(pair for pair in matching.pairs if pair.name.casefold() in names)
        if matching.pairs and not kept:
            raise DataError(
                f"none of {len(matching.pairs)} pairs of {self.name} is in its split {split}, that "
                f"is {', '.join(self.names[split])}; found {matching.pairs[0].name} and others"
            )
        return replace(matching, pairs=kept)

    def _known_split(self, split: str | None) -> str:
        if split is not None and split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        return split or self.split

    def _known_scale(self, scale: int | None) -> int:
        if not self.clean or not self.scales:
            own = self.scales[0] if self.scales else 1
            if scale not in (None, 1, own):
                raise UsageError(f"{self.name} has pictures for scale {own}, not for {scale}")
            return own
        if scale not in (None, 1, *self.scales):
            known = ", ".join(map(str, self.scales))
            raise UsageError(f"{self.name} is reduced by {known}, not by {scale}")
        return scale or USUAL_SCALE

    def _in_layouts(self, data_root: Path, split: str, scale: int) -> list[Located]:
        located: list[Located] = []
        for layout in self._layouts_for(split, scale):
            for base in _bases(data_root, layout.folders or self.folders):
                matching = match_layout(layout, base)
                if matching is not None:
                    matching = self._completed(matching, scale)
                    expected = layout.counts.get(split, self.count(split))
                    located.append(Located(base, layout.of, matching, expected))
                    if matching.complete:
                        return located
        return located

    def _layouts_for(self, split: str, scale: int) -> Iterator[Layout]:
        """The layouts that have the split; those with pictures already reduced come first."""
        known = [
            layout.filled(split, scale)
            for layout in self.layouts
            if self.by_name or layout.has_splits or (layout.split or self.split) == split
        ]
        if self.clean and scale > 1:
            yield from (layout for layout in known if layout.degraded)
        yield from (layout for layout in known if not (self.clean and layout.degraded))

    def _in_any_folder(self, data_root: Path, split: str, scale: int) -> Located | None:
        """Take a folder of the set for a folder of anybody's pictures, paired by name."""
        if not self.references or (self.clean and self.layouts):
            return None
        for base in _bases(data_root, self.folders):
            for folder in self._split_folders(base, split):
                matching = _clean(folder) if self.clean else survey(folder)
                if matching.pairs or matching.findings:
                    if self.task is None and matching.pairs:  # anybody's pairs, of any scale
                        scale = at_their_scale(matching.pairs)[0].scale
                    whole = self._completed(matching, scale)
                    return Located(folder, "any folder of pairs", whole, self.count(split))
        return None

    def _completed(self, matching: Matching, scale: int) -> Matching:
        pairs = (
            replace(pair, scale=scale, border=self.border, depth=self.depth)
            for pair in matching.pairs
        )
        return replace(matching, pairs=tuple(pairs))

    def _split_folders(self, base: Path, split: str) -> Iterator[Path]:
        words = SPLIT_WORDS.get(split, (split,))
        own = [base / word for word in words if (base / word).is_dir()]
        yield from own
        if split == self.split and not own:
            yield base

    def _not_found(self, data_root: Path, split: str) -> str:
        layouts = [layout.filled(split, USUAL_SCALE) for layout in self.layouts]
        further = (folder for layout in layouts for folder in layout.folders if folder)
        folders = list(dict.fromkeys((*self.folders, *further)))
        bases = list(dict.fromkeys(_bases(data_root, folders)))
        if bases:
            looks = "; ".join(f"{layout} ({layout.of})" for layout in layouts)
            return (
                f"{', '.join(map(str, bases))}: no picture of {self.name} ({split}) in any of its "
                f"layouts: {looks or 'pairs of input and target'}"
            )
        if not data_root.is_dir():
            return f"{data_root}: no such folder; name the one that holds {self.name}"
        return (
            f"{self.name} is not in {data_root}: looked for {', '.join(folders)}; name the folder "
            "that holds it (--data-root DIR; train: --set data.data_root=DIR), or give the pairs "
            "themselves (--dataset DIR; train: --set data.pairs=DIR)"
            f"{_hint(data_root, folders)}"
        )


def _bases(data_root: Path, folders: Sequence[str]) -> Iterator[Path]:
    """Folders of a set that exist below the root; the root itself where it is called like one."""
    for folder in folders:
        if (data_root / folder).is_dir():
            yield data_root / folder
    here = tuple(part.casefold() for part in data_root.resolve().parts)
    ends = (tuple(Path(folder.casefold()).parts) for folder in folders)
    if any(end and here[-len(end) :] == end for end in ends):
        yield data_root


def _hint(data_root: Path, folders: Sequence[str]) -> str:
    """Name a neighbour of the data root that holds the set."""
    with suppress(OSError):  # of a folder that cannot be listed nothing is known
        for place in (data_root.resolve().parent, *sorted(data_root.iterdir())):
            if any(_bases(place, folders)):
                return f"; did you mean the data root {place}?"
    return ""


def _expanded(pattern: str) -> list[str]:
    """Write out the ranges of a pattern, as wide as their first number is written."""
    pieces = RANGE.split(pattern)
    choices = [
        [f"{k:0{len(piece.partition('..')[0])}}" for k in _numbers(piece)] if i % 2 else [piece]
        for i, piece in enumerate(pieces)
    ]
    return ["".join(parts) for parts in itertools.product(*choices)]


def _numbers(written: str) -> range:
    first, _, last = written.partition("..")
    return range(int(first), int(last) + 1)


def _clean(folder: Path) -> Matching:
    return Matching("clean pictures", tuple(clean_pictures(folder)))


def _load() -> dict[str, Dataset]:
    adapter = TypeAdapter(Dataset)
    folder = resources.files("restorekit.data").joinpath("sets")
    tables = (tomllib.loads((folder / file).read_text(encoding="utf-8")) for file in TABLES)
    return {
        name: adapter.validate_python({"name": name, **row})
        for table in tables
        for name, row in table.items()
    }


DATASETS: Mapping[str, Dataset] = MappingProxyType(_load())


def find_dataset(name: str) -> Dataset | None:
    """Look up a set by its name, in upper or lower case."""
    by_name = {key.casefold(): dataset for key, dataset in DATASETS.items()}
    return by_name.get(name.casefold())


def get_dataset(name: str) -> Dataset:
    """Look up a set by its name, in upper or lower case; UnknownNameError with the nearest."""
    dataset = find_dataset(name)
    if dataset is None:
        raise UnknownNameError("data set", name, DATASETS)
    return dataset
