"""Is a data set complete? File by file, before anything is computed on it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from restorekit.data.catalog import Dataset
from restorekit.data.findings import Finding, Problem
from restorekit.data.pairs import Pair, size_findings
from restorekit.data.pictures import picture_size, read_picture
from restorekit.errors import PictureError

Watch = Callable[[Sequence[Pair]], Iterable[Pair]]
"""Goes through the pairs; a progress bar does it visibly."""


@dataclass(frozen=True)
class Check:
    """What was found of a split of a data set, and what is wrong with it."""

    dataset: str
    split: str
    folder: Path
    layout: str
    """Whose layout it is."""
    pairs: int
    expected: int
    """How many pairs there should be; 0 where that is not known."""
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    """Names of pairs, or sequences with too few of them."""
    notes: tuple[str, ...]
    """What may be right and deserves a look."""

    @property
    def ok(self) -> bool:
        """True when the whole split is there and nothing is wrong with any file."""
        is_whole = self.expected in (0, self.pairs) and not self.missing
        return is_whole and self.pairs > 0 and not self.findings


def check_dataset(
    dataset: Dataset,
    data_root: Path,
    split: str | None = None,
    scale: int | None = None,
    *,
    decode: bool = False,
    watch: Watch = iter,
) -> Check:
    """Look at every file of a split: partner, header and size, with `decode` every pixel.

    Raises DataError when nothing of the set is below the data root.
    """
    located = dataset.locate(data_root, split, scale)
    matching = located.matching
    findings = list(matching.findings)
    if dataset.references:  # else the files are no pictures that can be opened here
        for pair in watch(matching.pairs):
            found = size_findings(pair)
            findings += found or (_decoded(pair) if decode else [])
    names = [pair.name.casefold() for pair in matching.pairs]
    return Check(
        dataset.name,
        split or dataset.split,
        located.folder,
        located.layout,
        len(matching.pairs),
        located.expected,
        tuple(findings),
        tuple(_missing(dataset, split, names)),
        tuple(_of_other_sizes(dataset, split, matching.pairs)),
    )


def _decoded(pair: Pair) -> list[Finding]:
    findings = []
    for path in pair.files:
        try:
            read_picture(path)
        except PictureError as error:
            findings.append(Finding(Problem.UNREADABLE, path, str(error)))
    return findings


def _missing(dataset: Dataset, split: str | None, names: Sequence[str]) -> list[str]:
    """Compare with the usual names; where a copy has others only the counts can tell."""
    present = set(names)
    expected = dataset.expected(split)
    if present and present <= {name.casefold() for name in expected}:
        return [name for name in expected if name.casefold() not in present]
    if split in (None, dataset.split):
        return _short_groups(dataset, names)
    return []


def _short_groups(dataset: Dataset, names: Sequence[str]) -> list[str]:
    found = {
        group: sum(name.startswith(group.casefold()) for name in names) for group in dataset.groups
    }
    if not any(found.values()):
        return []
    return [
        f"{group}: {found[group]} of {count}"
        for group, count in dataset.groups.items()
        if found[group] != count
    ]


def _of_other_sizes(dataset: Dataset, split: str | None, pairs: Sequence[Pair]) -> list[str]:
    if not dataset.sizes or split not in (None, dataset.split) or not dataset.references:
        return []
    sizes = Counter(filter(None, (_size(pair.degraded) for pair in pairs)))
    return [
        f"{count} of {len(pairs)} pictures are {size}, where the set has "
        f"{' or '.join(dataset.sizes)}: another version?"
        for size, count in sizes.items()
        if size not in dataset.sizes
    ]


def _size(path: Path) -> str | None:
    try:
        height, width = picture_size(path)
    except PictureError:
        return None
    return f"{width}x{height}"
