"""How the files of a published set lie on disk, as templates of paths; pairs are made by name.

    degraded  {split}/{sequence}/blur/{name}        hazy/{scene}_{haze}
    reference {split}/{sequence}/sharp/{name}       gt/{scene}

A field in braces stands for any text inside one part of a path, as short as possible, and for the
same text in both templates. Suffixes and upper or lower case do not count.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import ConfigDict

from restorekit.data.findings import Finding, Problem
from restorekit.data.matching import Matching
from restorekit.data.packed import is_packed, packed_names
from restorekit.data.pairs import Pair
from restorekit.errors import DataError
from restorekit.media.paths import PICTURE_SUFFIXES

FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Layout:
    """Templates of the paths below the folder of a set; `{split}` and `{scale}` are filled in."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    of: str
    """Who publishes or uses it."""
    reference: str = ""
    degraded: str = ""
    """Empty for clean pictures."""
    second: str = ""
    """The other views of dual-pixel pictures."""
    list_file: str = ""
    """A text file with the two paths of a pair a line, in place of the templates."""
    reference_first: bool = False
    """The list file names the reference before the degraded picture."""
    folders: tuple[str, ...] = ()
    """Where the layout begins below the data root; empty for the folders of the set."""
    split: str = ""
    """The only split it has; empty for the one that is measured, or where `{split}` is used."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """What `{split}` stands for where that is not the split's own name."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many pairs a split has in this copy, where that is another number; 0 is unknown."""
    shared: bool = False
    """The references of all splits lie together, so that a split leaves some unused."""
    near: int = 0
    """Numbers in the names of a pair may differ by so much; 0 for fields that are equal."""

    def filled(self, split: str, scale: int) -> "Layout":
        """Put the split and the scale into all templates."""
        word = self.splits.get(split, split)

        def fill(text: str) -> str:
            return text.replace("{split}", word).replace("{scale}", str(scale))

        return replace(
            self,
            reference=fill(self.reference),
            degraded=fill(self.degraded),
            second=fill(self.second),
            list_file=fill(self.list_file),
            folders=tuple(map(fill, self.folders)),
        )

    @property
    def has_splits(self) -> bool:
        """True when the split is part of a path."""
        texts = (self.reference, self.degraded, self.list_file, *self.folders)
        return any("{split}" in text for text in texts)

    def __str__(self) -> str:
        if self.list_file:
            order = ("reference", "degraded") if self.reference_first else ("degraded", "reference")
            return f"{self.list_file}, a line: {' '.join(order)}"
        if not self.degraded:
            return self.reference
        views = " and ".join(filter(None, (self.degraded, self.second)))
        return f"{views} with {self.reference}" if self.reference else views


@dataclass(frozen=True)
class Found:
    """A file that fits a template."""

    path: Path
    name: str
    """The parts of its path that have fields."""
    fields: Mapping[str, str]

    def key(self, names: Iterable[str]) -> tuple[str, ...]:
        """What has to be equal in the files of a pair."""
        return tuple(self.fields[name].casefold() for name in names)


def match_layout(layout: Layout, base: Path) -> Matching | None:
    """Pair the files below a folder by a filled layout; None when nothing there is of it."""
    if layout.list_file:
        return _listed_pairs(layout, base)
    if not layout.degraded or not layout.reference:
        return _single(layout, base)
    return _templated(layout, base)


def find_files(base: Path, template: str) -> list[Found]:
    """List the files below a folder that fit a template, in the order of their names."""
    return [
        Found(path, "/".join(named) or path.stem, fields)
        for path, named, fields in _descend(base, template.split("/"))
    ]


def _descend(place: Path, parts: Sequence[str]) -> Iterator[tuple[Path, list[str], dict[str, str]]]:
    part, rest = parts[0], parts[1:]
    pattern = _pattern(part)
    for name, child in _entries(place, part, is_last=not rest):
        match = pattern.fullmatch(name)
        if match is None:
            continue
        named = [name] if match.re.groups else []
        if not rest:
            yield child, named, match.groupdict()
        elif child.is_dir() or is_packed(child):
            for path, further, fields in _descend(child, rest):
                yield path, named + further, {**match.groupdict(), **fields}


def _entries(place: Path, part: str, *, is_last: bool) -> Iterator[tuple[str, Path]]:
    if is_packed(place):
        yield from ((name, place / name) for name in packed_names(place))
        return
    for child in _children(place):
        if not is_last:
            yield child.name, child
        elif child.suffix.lower() in PICTURE_SUFFIXES:
            yield child.stem, child
        elif child.suffix and part.endswith(child.suffix):
            yield child.name, child


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from error


@cache
def _pattern(part: str) -> re.Pattern[str]:
    pieces = FIELD.split(part)
    groups = (f"(?P<{piece}>.+?)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    return re.compile("".join(groups), re.IGNORECASE)


def _single(layout: Layout, base: Path) -> Matching | None:
    found = find_files(base, layout.reference or layout.degraded)
    if not found:
        return None
    kept, doubles = _once(found)
    pairs = tuple(Pair(file.path, file.path, file.name) for file in kept.values())
    return Matching(str(layout), pairs, tuple(doubles))


def _templated(layout: Layout, base: Path) -> Matching | None:
    candidates = find_files(base, layout.degraded)
    degraded, twins = _once(candidates)
    references, others = _once(find_files(base, layout.reference))
    if not degraded or not references:
        return None
    seconds, more = _once(find_files(base, layout.second)) if layout.second else ({}, [])
    findings = [*twins, *others, *more, *_strangers(candidates, references.values())]
    if layout.near:
        partners = _nearest(degraded.values(), references.values(), layout.near)
        views = _nearest(degraded.values(), seconds.values(), 0)
    else:
        partners = _equal(degraded.values(), references)
        views = _equal(degraded.values(), seconds)
    pairs = []
    for file in degraded.values():
        partner, view = partners.get(file.path), views.get(file.path)
        if partner is None or (layout.second and view is None):
            findings.append(Finding(Problem.NO_REFERENCE, file.path, _wanted(layout, file)))
        else:
            pairs.append(Pair(file.path, partner, file.name, second=view))
    used = {pair.reference for pair in pairs}
    unused = [file.path for file in references.values() if file.path not in used]
    if not layout.shared:
        findings += [Finding(Problem.NO_DEGRADED, path) for path in unused]
    return Matching(str(layout), tuple(pairs), tuple(findings))


def _wanted(layout: Layout, file: Found) -> str:
    if layout.near:
        return f"no number within {layout.near} in {layout.reference}"
    texts = filter(None, (layout.reference, layout.second))
    return "needs " + " and ".join(FIELD.sub(lambda m: file.fields[m[1]], text) for text in texts)


def _once(found: Iterable[Found]) -> tuple[dict[tuple[str, ...], Found], list[Finding]]:
    kept: dict[tuple[str, ...], Found] = {}
    doubles = []
    for file in found:
        first = kept.setdefault(file.key(sorted(file.fields)), file)
        if first is not file:
            doubles.append(Finding(Problem.SAME_NAME, file.path, f"also {first.path}"))
    return kept, doubles


def _equal(degraded: Iterable[Found], others: Mapping[tuple[str, ...], Found]) -> dict[Path, Path]:
    if not others:
        return {}
    names = sorted(next(iter(others.values())).fields)
    partners = ((file.path, others.get(file.key(names))) for file in degraded)
    return {path: partner.path for path, partner in partners if partner}


def _nearest(degraded: Iterable[Found], others: Iterable[Found], near: int) -> dict[Path, Path]:
    """Walk up both rows of numbers; what is too far from its neighbour stays alone."""
    ours, theirs = _numbered(degraded), _numbered(others)
    partners = {}
    while ours and theirs:
        (number, path), (other, partner) = ours[-1], theirs[-1]
        if abs(number - other) <= near:
            partners[path] = partner
        if number >= other - near:
            ours.pop()
        if other >= number - near:
            theirs.pop()
    return partners


def _numbered(files: Iterable[Found]) -> list[tuple[int, Path]]:
    numbered = []
    for file in files:
        digits = re.findall(r"\d+", file.path.stem)
        numbered.append((int(digits[-1]) if digits else -1, file.path))
    return sorted(numbered)


def _strangers(degraded: Iterable[Found], references: Iterable[Found]) -> list[Finding]:
    """Pictures beside the degraded ones that do not fit the template: left out, but not silently.

    Where references lie in the same folders nothing can be said of the rest.
    """
    known = {file.path for file in degraded}
    shared = {file.path.parent for file in references}
    folders = {path.parent for path in known} - shared
    return [
        Finding(Problem.STRANGE_NAME, path)
        for folder in sorted(folders)
        if folder.is_dir()
        for path in _children(folder)
        if path.suffix.lower() in PICTURE_SUFFIXES and path not in known
    ]


def _listed_pairs(layout: Layout, base: Path) -> Matching | None:
    file = base / layout.list_file
    if not file.is_file():
        return None
    pairs, findings = [], []
    for number, line in enumerate(_lines(file), start=1):
        names = line.split()
        if not names:
            continue
        if len(names) < 2:
            raise DataError(f"{file}, line {number}: '{line}' is not two paths; see {layout}")
        degraded, reference = (base / name.lstrip("/.") for name in names[:2])
        if layout.reference_first:
            degraded, reference = reference, degraded
        missing = [path for path in (degraded, reference) if not path.is_file()]
        findings += [Finding(Problem.NO_FILE, path, f"line {number}") for path in missing]
        if not missing:
            pairs.append((degraded, reference))
    return Matching(str(layout), tuple(_named(pairs)), tuple(findings))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as a list of paths in UTF-8: {error}") from error


def _named(pairs: Sequence[tuple[Path, Path]]) -> list[Pair]:
    """Name the pairs by their degraded paths, without the folder that all of them share."""
    if not pairs:
        return []
    common = os.path.commonpath([degraded.parent for degraded, _ in pairs])
    names = [degraded.relative_to(common).with_suffix("").as_posix() for degraded, _ in pairs]
    return [Pair(*pair, name) for pair, name in zip(pairs, names, strict=True)]
