"""Which degraded picture belongs to which reference: found by name, never by position.

Folder names and name rules are data. A set is paired by the first rule that fits all of its files;
a file without a partner is an error, because a mean over half a set is another number.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from restorekit.errors import DataError, PictureError
from restorekit.media.image import read_image
from restorekit.media.paths import PICTURE_SUFFIXES

DEGRADED_FOLDERS = (
    *("input", "degraded", "rainy", "rain", "hazy", "haze", "blur", "blurry"),
    *("noisy", "noise", "snow", "lq", "data", "source"),
)
REFERENCE_FOLDERS = (
    *("target", "reference", "clean", "norain", "gt", "clear", "sharp", "hq"),
    *("groundtruth", "ground_truth"),
)
SPLIT_FOLDERS = ("train", "training", "val", "valid", "validation", "test")
SHOWN = 5
"""So many names are listed in a message; the rest is counted."""

ORIENTATION_TAG = 0x0112
SIDEWAYS = 5
"""From this value on an EXIF orientation exchanges rows and columns."""


@dataclass(frozen=True)
class Pair:
    """A degraded picture, its reference and the name under which both are reported.

    In a set of clean pictures, to which a protocol adds noise, both are the same file.
    """

    degraded: Path
    reference: Path
    name: str


@dataclass(frozen=True)
class NameRule:
    """How the stem of a reference follows from the stem of its degraded picture."""

    name: str
    degraded: str
    """Regular expression that the whole stem of the degraded picture must fit."""
    reference: str
    """Template of the reference's stem; several degraded pictures may share one."""

    def partner(self, stem: str) -> str | None:
        """Return the stem of the reference, or None where the rule does not fit."""
        match = re.fullmatch(self.degraded, stem, re.IGNORECASE)
        return match.expand(self.reference) if match else None


SAME_NAME = NameRule("same name", r"(.+)", r"\1")
MARKED_RULES = (
    NameRule("rain-1 and norain-1", r"rain-(.+)", r"norain-\1"),
    NameRule("1_rain and 1_clean", r"(.+)_rain", r"\1_clean"),
    NameRule("1_real and 1_mean", r"(.+)_real", r"\1_mean"),
    NameRule("1_hazy and 1_GT", r"(.+)_hazy", r"\1_GT"),
)
"""Rules that tell the two kinds apart by name alone, so that both may lie in one folder."""
RULES = (SAME_NAME, *MARKED_RULES, NameRule("part before the first _", r"([^_]+)_.+", r"\1"))


def find_pairs(root: Path) -> list[Pair]:
    """Pair all pictures below a folder, in any of the layouts of the published sets.

    Known are an input and a reference folder side by side (`input` and `target`, `hazy` and `gt`
    ...), the same inside each folder of a sequence, references beside an input folder, and both
    kinds in one folder, told apart by name. Raises DataError that names what does not fit.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the pairs")
    pairs = sorted(_pairs_below(root, root), key=lambda pair: _natural(pair.name))
    if not pairs:
        raise DataError(
            f"{root}: no pairs found; put the pictures into {root / 'input'} and their references "
            f"into {root / 'target'} under the same names (also known: "
            f"{', '.join(DEGRADED_FOLDERS[1:])} with {', '.join(REFERENCE_FOLDERS[1:])})"
        )
    return pairs


def match_pairs(degraded: Path, reference: Path, rule: NameRule | None = None) -> list[Pair]:
    """Pair the pictures of two folders by their paths inside them, whatever the suffixes.

    Without a rule the first of `RULES` that fits all files is taken.
    """
    return _match(_by_stem(degraded), _by_stem(reference), (rule,) if rule else RULES)


def clean_pictures(root: Path) -> list[Pair]:
    """List the clean pictures directly in a folder, each as the reference of itself."""
    pictures = _by_stem(root, recursive=False) if root.is_dir() else {}
    if not pictures:
        raise DataError(f"{root}: no pictures in it; give a folder of clean pictures")
    pairs = [Pair(path, path, path.stem) for path in pictures.values()]
    return sorted(pairs, key=lambda pair: _natural(pair.name))


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Raise DataError that lists unreadable files and pairs of two sizes; reads only headers."""
    unreadable, unequal = [], []
    for pair in pairs:
        try:
            degraded, reference = picture_size(pair.degraded), picture_size(pair.reference)
        except PictureError as error:
            unreadable.append(str(error))
            continue
        if degraded != reference:
            sizes = " and ".join(f"{width}x{height}" for height, width in (degraded, reference))
            unequal.append(f"{pair.name} ({sizes})")
    if unreadable:
        raise DataError(
            f"{len(unreadable)} of {len(pairs)} pairs cannot be read; nothing was computed: "
            f"{_listed(unreadable)}"
        )
    if unequal:
        raise DataError(
            f"degraded picture and reference differ in size in {len(unequal)} of {len(pairs)} "
            f"pairs; nothing was resized nor computed: {_listed(unequal)}"
        )


def picture_size(path: Path) -> tuple[int, int]:
    """Read the upright (height, width) from a picture's header; PictureError when it has none."""
    try:
        with warnings.catch_warnings(action="ignore"), PIL.Image.open(path) as picture:
            width, height = picture.size
            # Pillow decodes a whole PNG to find EXIF data that are not in its header.
            in_header = picture.format != "PNG" or "exif" in picture.info
            orientation = picture.getexif().get(ORIENTATION_TAG, 1) if in_header else 1
    except Exception:  # Pillow does not know every picture that read_image does
        image = read_image(path)
        return image.height, image.width
    return (height, width) if orientation < SIDEWAYS else (width, height)


def _pairs_below(folder: Path, root: Path) -> Iterator[Pair]:
    children = sorted(path for path in folder.iterdir() if path.is_dir())
    degraded = _one_of(children, DEGRADED_FOLDERS, folder)
    reference = _one_of(children, REFERENCE_FOLDERS, folder)
    if degraded and reference:
        pairs = match_pairs(degraded, reference)
    elif degraded and _by_stem(folder, recursive=False):
        pairs = _match(_by_stem(degraded), _by_stem(folder, recursive=False), RULES)
    else:
        yield from _marked_pairs(folder, root)
        _require_one_split(children, folder)
        for child in children:
            yield from _pairs_below(child, root)
        return
    yield from (_placed(pair, folder, root) for pair in pairs)


def _marked_pairs(folder: Path, root: Path) -> list[Pair]:
    pictures = _by_stem(folder, recursive=False)
    for rule in MARKED_RULES:
        degraded = {stem: path for stem, path in pictures.items() if rule.partner(stem)}
        if degraded:
            rest = {stem: path for stem, path in pictures.items() if stem not in degraded}
            return [_placed(pair, folder, root) for pair in _match(degraded, rest, (rule,))]
    return []


def _placed(pair: Pair, folder: Path, root: Path) -> Pair:
    name = (folder.relative_to(root) / pair.name).as_posix()
    return Pair(pair.degraded, pair.reference, name)


def _one_of(children: Sequence[Path], names: Iterable[str], folder: Path) -> Path | None:
    found = [child for child in children if child.name.casefold() in names]
    if len(found) > 1:
        raise DataError(
            f"{folder}: {_listed(child.name for child in found)} could all be meant; "
            "keep one of them, or give a folder that holds only one"
        )
    return found[0] if found else None


def _require_one_split(children: Sequence[Path], folder: Path) -> None:
    splits = [child.name for child in children if child.name.casefold() in SPLIT_FOLDERS]
    if len(splits) > 1:
        raise DataError(f"{folder}: holds {_listed(splits)}; give one of these folders")


def _by_stem(folder: Path, recursive: bool = True) -> dict[str, Path]:
    """Map the path inside the folder, without suffix and in lower case, to each picture."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if recursive else folder.glob("*")):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix().casefold()
        if key in found:
            raise DataError(f"{found[key]} and {path} have the same name; remove one of them")
        found[key] = path
    return found


def _match(
    degraded: dict[str, Path], reference: dict[str, Path], rules: Sequence[NameRule]
) -> list[Pair]:
    attempts = [_attempt(degraded, reference, rule) for rule in rules]
    complete = next((a for a in attempts if a.complete), None)
    if complete is None:
        best = max(attempts, key=lambda attempt: len(attempt.pairs))
        raise DataError(best.complaint())
    return complete.pairs


@dataclass(frozen=True)
class _Attempt:
    rule: NameRule
    pairs: list[Pair]
    without_reference: list[Path]
    unused: list[Path]

    @property
    def complete(self) -> bool:
        return bool(self.pairs) and not self.without_reference and not self.unused

    def complaint(self) -> str:
        parts = [
            f"{len(paths)} {what}: {_listed(str(path) for path in paths)}"
            for what, paths in (
                ("without a reference", self.without_reference),
                ("references without a degraded picture", self.unused),
            )
            if paths
        ]
        return (
            f"{len(self.pairs)} pairs by the rule '{self.rule.name}', which fits best, but "
            f"{'; '.join(parts) or 'no pictures at all'}; nothing was computed: add or move them"
        )


def _attempt(degraded: dict[str, Path], reference: dict[str, Path], rule: NameRule) -> _Attempt:
    pairs, lonely, used = [], [], set()
    for key, path in degraded.items():
        head, slash, stem = key.rpartition("/")
        partner = rule.partner(stem)
        wanted = f"{head}{slash}{partner}".casefold()
        if partner is None or wanted not in reference:
            lonely.append(path)
            continue
        used.add(wanted)
        parts = path.with_suffix("").parts
        name = "/".join(parts[len(parts) - key.count("/") - 1 :])
        pairs.append(Pair(path, reference[wanted], name))
    unused = [path for key, path in reference.items() if key not in used]
    return _Attempt(rule, pairs, lonely, unused)


def _natural(name: str) -> list[str | int]:
    """Order 9 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _listed(names: Iterable[str]) -> str:
    """Join the first few and count the rest."""
    known = list(names)
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + rest
