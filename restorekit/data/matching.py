"""Which degraded picture belongs to which reference: found by name, never by position.

Folder names and name rules are data. A set is paired by the first rule that fits all of its files;
a file without a partner is an error, because a mean over half a set is another number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restorekit.data.findings import Finding, Problem, listed, summed_up
from restorekit.data.pairs import Pair
from restorekit.errors import DataError
from restorekit.media.paths import PICTURE_SUFFIXES

DEGRADED_FOLDERS = (
    *("input", "degraded", "rainy", "rain", "hazy", "haze", "blur", "blurry"),
    *("noisy", "noise", "snow", "lq", "lr", "data", "source"),
)
REFERENCE_FOLDERS = (
    *("target", "reference", "clean", "norain", "gt", "clear", "sharp", "hq", "hr"),
    *("groundtruth", "ground_truth"),
)
SPLIT_FOLDERS = ("train", "training", "val", "valid", "validation", "test")


@dataclass(frozen=True)
class Matching:
    """The pairs found by a rule, and every file that it leaves over."""

    rule: str
    pairs: tuple[Pair, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def complete(self) -> bool:
        """True when there are pairs and nothing is left over."""
        return bool(self.pairs) and not self.findings

    def required(self) -> list[Pair]:
        """Return the pairs in natural order; DataError that names what is left over."""
        if not self.complete:
            found = "1 pair" if len(self.pairs) == 1 else f"{len(self.pairs)} pairs"
            raise DataError(
                f"{found} by the rule '{self.rule}', which fits best, but "
                f"{summed_up(self.findings) or 'no pictures at all'}; "
                "nothing was computed: add or move them"
            )
        return sorted(self.pairs, key=lambda pair: natural(pair.name))


def best_of(attempts: Iterable[Matching]) -> Matching:
    """Return the first complete matching, or the one with the most pairs."""
    known = list(attempts)
    complete = (attempt for attempt in known if attempt.complete)
    return next(complete, None) or max(known, key=lambda attempt: len(attempt.pairs))


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
    matching = survey(root)
    if not matching.pairs and not matching.findings:
        raise DataError(
            f"{root}: no pairs found; put the pictures into {root / 'input'} and their references "
            f"into {root / 'target'} under the same names (also known: "
            f"{', '.join(DEGRADED_FOLDERS[1:])} with {', '.join(REFERENCE_FOLDERS[1:])})"
        )
    return matching.required()


def survey(root: Path) -> Matching:
    """Pair as `find_pairs` does, and list what is left over instead of refusing it."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the pairs")
    parts = list(_matchings_below(root, root))
    pairs = tuple(pair for part in parts for pair in part.pairs)
    findings = tuple(finding for part in parts for finding in part.findings)
    rules = dict.fromkeys(part.rule for part in parts)
    return Matching(" and ".join(rules), pairs, findings)


def match_pairs(degraded: Path, reference: Path, rule: NameRule | None = None) -> list[Pair]:
    """Pair the pictures of two folders by their paths inside them, whatever the suffixes.

    Without a rule the first of `RULES` that fits all files is taken.
    """
    return _match(_by_stem(degraded), _by_stem(reference), (rule,) if rule else RULES).required()


def clean_pictures(root: Path) -> list[Pair]:
    """List the clean pictures directly in a folder, each as the reference of itself."""
    pictures = _by_stem(root, recursive=False) if root.is_dir() else {}
    if not pictures:
        raise DataError(f"{root}: no pictures in it; give a folder of clean pictures")
    pairs = [Pair(path, path, path.stem) for path in pictures.values()]
    return sorted(pairs, key=lambda pair: natural(pair.name))


def _matchings_below(folder: Path, root: Path) -> Iterator[Matching]:
    children = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    degraded = _one_of(children, DEGRADED_FOLDERS, folder)
    reference = _one_of(children, REFERENCE_FOLDERS, folder)
    if degraded and reference:
        matching = _match(_by_stem(degraded), _by_stem(reference), RULES)
    elif degraded and _by_stem(folder, recursive=False):
        matching = _match(_by_stem(degraded), _by_stem(folder, recursive=False), RULES)
    else:
        yield from _marked_pairs(folder, root)
        _require_one_split(children, folder)
        for child in children:
            yield from _matchings_below(child, root)
        return
    yield _placed(matching, folder, root)


def _marked_pairs(folder: Path, root: Path) -> Iterator[Matching]:
    pictures = _by_stem(folder, recursive=False)
    for rule in MARKED_RULES:
        degraded = {stem: path for stem, path in pictures.items() if rule.partner(stem)}
        if degraded:
            rest = {stem: path for stem, path in pictures.items() if stem not in degraded}
            yield _placed(_attempt(degraded, rest, rule), folder, root)
            return


def _placed(matching: Matching, folder: Path, root: Path) -> Matching:
    place = folder.relative_to(root)
    pairs = (replace(pair, name=(place / pair.name).as_posix()) for pair in matching.pairs)
    return replace(matching, pairs=tuple(pairs))


def _one_of(children: Sequence[Path], names: Iterable[str], folder: Path) -> Path | None:
    found = [child for child in children if child.name.casefold() in names]
    if len(found) > 1:
        raise DataError(
            f"{folder}: {listed(child.name for child in found)} could all be meant; "
            "keep one of them, or give a folder that holds only one"
        )
    return found[0] if found else None


def _require_one_split(children: Sequence[Path], folder: Path) -> None:
    splits = [child.name for child in children if child.name.casefold() in SPLIT_FOLDERS]
    if len(splits) > 1:
        raise DataError(f"{folder}: holds {listed(splits)}; give one of these folders")


def _by_stem(folder: Path, recursive: bool = True) -> dict[str, Path]:
    """Map the path inside the folder, without suffix and in lower case, to each picture."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if recursive else folder.glob("*")):
        inside = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in inside.parts)
        if is_hidden or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        key = inside.with_suffix("").as_posix().casefold()
        if key in found:
            raise DataError(f"{found[key]} and {path} have the same name; remove one of them")
        found[key] = path
    return found


def _match(
    degraded: Mapping[str, Path], reference: Mapping[str, Path], rules: Sequence[NameRule]
) -> Matching:
    return best_of(_attempt(degraded, reference, rule) for rule in rules)


def _attempt(
    degraded: Mapping[str, Path], reference: Mapping[str, Path], rule: NameRule
) -> Matching:
    pairs, lonely, used = [], [], set()
    for key, path in degraded.items():
        head, slash, stem = key.rpartition("/")
        partner = rule.partner(stem)
        wanted = f"{head}{slash}{partner}".casefold()
        if partner is None or wanted not in reference:
            lonely.append(Finding(Problem.NO_REFERENCE, path))
            continue
        used.add(wanted)
        parts = path.with_suffix("").parts
        name = "/".join(parts[len(parts) - key.count("/") - 1 :])
        pairs.append(Pair(path, reference[wanted], name))
    unused = [
        Finding(Problem.NO_DEGRADED, path) for key, path in reference.items() if key not in used
    ]
    return Matching(rule.name, tuple(pairs), (*lonely, *unused))


def natural(name: str) -> list[str | int]:
    """Sorting key that puts 9 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
