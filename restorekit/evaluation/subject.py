"""What is measured: the pairs of a set, the protocol, and what is known of the pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from restorekit.data.catalog import DATASETS, Dataset, find_dataset
from restorekit.data.matching import clean_pictures, find_pairs, match_pairs
from restorekit.data.pairs import Pair, at_their_scale
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.manifest import MANIFEST, Operation, read_manifest
from restorekit.degradations.recipe import Recipe
from restorekit.errors import UnknownNameError, UsageError
from restorekit.evaluation.samples import find_samples, is_samples
from restorekit.media.paths import PICTURE_SUFFIXES
from restorekit.metrics.protocols import Protocol, get_protocol
from restorekit.types import Task

Groups = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Subject:
    """What is measured and how: the pairs of a set and the protocol."""

    dataset: str
    pairs: Sequence[Pair]
    protocol: Protocol
    task: Task | None = None
    """The set's own task; None for a folder of anybody's pairs."""
    whole: int = 0
    """How many pairs the complete set has; 0 where that is not known."""
    groups: Groups = field(default_factory=dict)
    """The groups of each pair by its name: its operations, each with and without severity."""
    is_restored: bool = False
    """The pictures beside the references are somebody's restored ones, not degraded ones."""
    recipe: Recipe | None = None
    """Makes the degraded pictures of clean pairs."""

    @property
    def scale(self) -> int:
        """How many times larger a model has to make the degraded pictures, each way."""
        return self.pairs[0].scale


def choose_subject(
    dataset: str, *, data_root: Path = Path(), protocol: Protocol | None = None
) -> Subject:
    """Find a set by its name below `data_root`, or one that ships, or take a folder of pairs.

    Without a protocol it is the set's own, for a folder `rgb`. A protocol with noise takes a folder
    of clean pictures, one of super-resolution such a folder or one of pairs; in any other the sizes
    of the first pair tell the scale. A manifest, as `degrade` writes it, tells the groups. Raises
    UsageError where protocol and set do not suit each other, DataError where files are missing or
    unpaired.
    """
    known = find_dataset(dataset)
    if known is not None:
        chosen = protocol or get_protocol(known.protocol)
        _require_suited(known, chosen)
        pairs = known.pairs(data_root, scale=chosen.scale if known.scales else None)
        return Subject(known.name, pairs, chosen, known.task, known.pictures)
    if is_samples(dataset):
        return _samples(dataset, protocol or get_protocol("rgb"))
    folder = Path(dataset)
    if not dataset or not folder.is_dir():
        raise _unknown(dataset)
    chosen = protocol or get_protocol("rgb")
    pairs = _folder_pairs(folder, chosen)
    return Subject(folder.resolve().name, pairs, chosen, groups=read_groups(folder))


def _samples(dataset: str, protocol: Protocol) -> Subject:
    if protocol.noise is not None:
        raise UsageError(
            f"{dataset} is degraded by its recipe and protocol {protocol.id} would add noise; "
            "choose rgb"
        )
    pairs, recipe = find_samples(dataset)
    if protocol.scale not in (1, pairs[0].scale):
        raise UsageError(
            f"{dataset} is reduced {pairs[0].scale} times, and protocol {protocol.id} is made for "
            f"scale {protocol.scale}; choose rgb"
        )
    return Subject(dataset, pairs, protocol, whole=len(pairs), recipe=recipe)


def _folder_pairs(folder: Path, protocol: Protocol) -> list[Pair]:
    if protocol.noise is not None:
        return clean_pictures(folder)
    if protocol.scale == 1:
        return at_their_scale(find_pairs(folder))
    is_clean = any(path.suffix.lower() in PICTURE_SUFFIXES for path in folder.iterdir())
    pairs = clean_pictures(folder) if is_clean else find_pairs(folder)
    return [replace(pair, scale=protocol.scale) for pair in pairs]


def restored_subject(
    restored: Path, reference: Path, *, protocol: Protocol | None = None
) -> Subject:
    """Pair anybody's restored pictures with their references by name; `rgb` without a protocol.

    Raises UsageError for a missing folder or a protocol that makes its own degraded pictures,
    DataError where pictures are unpaired.
    """
    chosen = protocol or get_protocol("rgb")
    if chosen.noise is not None:
        raise UsageError(
            f"protocol {chosen.id} adds noise to clean pictures; --pairs compares pictures that "
            "are restored already: choose rgb or another protocol without noise"
        )
    for folder in (restored, reference):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; --pairs takes RESTORED/ and REFERENCE/")
    pairs = match_pairs(restored, reference)
    return Subject(reference.resolve().name, pairs, chosen, is_restored=True)


def read_groups(folder: Path) -> dict[str, tuple[str, ...]]:
    """Read off the manifest in a folder which operations, of which severity, made each picture.

    A picture of several operations is in several groups. Empty without a manifest; DataError for a
    damaged one.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    return {
        Path(entry.name).with_suffix("").as_posix(): _groups_of(entry.operations)
        for entry in read_manifest(manifest)
    }


def _groups_of(operations: Iterable[Operation]) -> tuple[str, ...]:
    names = []
    for each in operations:
        severity = nearest_severity(each.op, each.parameters)
        names += [each.op] if severity is None else [each.op, f"{each.op}, severity {severity}"]
    return tuple(dict.fromkeys(names)) or ("not degraded",)


def nearest_severity(operation: str, parameters: Mapping[str, object]) -> int | None:
    """Tell which of an operation's severities, 1 to 5, drawn parameters are nearest to.

    Distances are means over the numbers that differ between the severities, each divided by its
    range there. None for an operation whose severities differ in no number.
    """
    levels = find_degradation(operation).severities
    ranges = {
        key: [float(level[key]) for level in levels]
        for key, value in parameters.items()
        if isinstance(value, int | float)
        and all(isinstance(s.get(key), int | float) for s in levels)
    }
    moving = {key: values for key, values in ranges.items() if max(values) > min(values)}
    if not moving:
        return None

    def distance(place: int) -> float:
        return sum(
            abs(float(str(parameters[key])) - values[place]) / (max(values) - min(values))
            for key, values in moving.items()
        )

    return 1 + min(range(len(levels)), key=distance)


def _require_suited(dataset: Dataset, protocol: Protocol) -> None:
    is_reduced = protocol.scale > 1 and bool(dataset.scales)
    if dataset.clean and protocol.noise is None and not is_reduced:
        raise UsageError(
            f"{dataset.name} holds clean pictures only and protocol {protocol.id} makes no "
            f"degraded ones of them; choose {dataset.protocol} or another one that does"
        )
    if protocol.noise is not None and not dataset.clean:
        raise UsageError(
            f"{dataset.name} has degraded pictures of its own and protocol {protocol.id} would add "
            f"noise; choose {dataset.protocol}, or give a folder of clean pictures"
        )


def _unknown(dataset: str) -> UsageError:
    if dataset and Path(dataset).exists():
        return UsageError(f"{dataset}: is a file; give a folder of pairs or the name of a set")
    if "/" in dataset or "\\" in dataset:
        return UsageError(f"{dataset}: no such folder; give a folder of pairs or the name of a set")
    return UnknownNameError("data set or folder", dataset, DATASETS)
