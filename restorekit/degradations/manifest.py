"""The manifest of a folder of pairs: one line of JSON for each, all it takes to make it again."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from restorekit.degradations.base import MapName
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.steps import Chain, Place
from restorekit.errors import DataError, UsageError
from restorekit.files import atomic_path

MANIFEST = "manifest.jsonl"
PACKAGES = ("restorekit", "numpy", "opencv-python-headless", "pillow")
"""The packages that decide the bytes."""


class Operation(BaseModel):
    """One degradation as it was drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: Place
    """Where it stands in the recipe; part of the name of its random numbers."""
    op: str
    parameters: dict[str, float | int | str | bool]


class Span(BaseModel):
    """Successive frames of a clip that are averaged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int
    count: int
    gamma: float

    @property
    def middle(self) -> int:
        """The number of the frame that is the reference."""
        return self.first + self.count // 2


class Entry(BaseModel):
    """One line of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    source: str
    """Relative to the folder that was given."""
    source_sha256: str
    """Of the file, or of the hashes of the frames where the source is a folder of frames."""
    frames: Span | None = None
    depth_sha256: str | None = None
    copy_number: int
    seed: int
    recipe: str = ""
    recipe_sha256: str = ""
    name: str
    """Relative path under degraded/ and reference/."""
    reference: tuple[Operation, ...] | None = None
    """What made the reference of the picture; left out where the picture is the reference."""
    operations: tuple[Operation, ...]
    save: tuple[MapName, ...] = ()
    """What was asked for beside the pair."""
    files: dict[str, str] = {}
    """What was written: the path below the output folder, and its SHA-256."""
    versions: dict[str, str]

    @property
    def chain(self) -> Chain:
        """The degradations, rebuilt."""
        return _chain_of(self.operations)

    @property
    def reference_chain(self) -> Chain:
        """What made the reference, rebuilt."""
        return _chain_of(self.reference or ())


def _chain_of(operations: Iterable[Operation]) -> Chain:
    return tuple((o.place, find_degradation(o.op).from_values(o.parameters)) for o in operations)


def operations_of(chain: Chain) -> tuple[Operation, ...]:
    """Write a chain down."""
    return tuple(
        Operation(place=place, op=degradation.name, parameters=degradation.model_dump())
        for place, degradation in chain
    )


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of the packages that decide the bytes."""
    return {name: version(name) for name in PACKAGES}


def read_manifest(manifest: Path) -> list[Entry]:
    """Read all lines; raises UsageError or DataError that names the line."""
    if not manifest.is_file():
        raise UsageError(f"{manifest}: no such manifest; degrade writes {MANIFEST}")
    return list(_entries(manifest))


def _entries(manifest: Path) -> Iterator[Entry]:
    try:
        lines = manifest.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"{manifest}: not a manifest: it is not UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        where = f"{manifest}, line {number}"
        try:
            content = json.loads(line)
        except ValueError:
            raise DataError(f"{where}: not a line of JSON; is it cut off?") from None
        found = content.get("format") if isinstance(content, dict) else None
        if found != 1:
            raise DataError(
                f"{where}: not an entry of version 1, which is the one that this restorekit reads "
                f"(format is {found!r}); use the restorekit that wrote it"
            )
        try:
            yield Entry.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{where}: {key}: {first['msg']}") from None


def add_line(manifest: Path, entry: Entry) -> None:
    """Append an entry in one write."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with manifest.open("ab") as file:
        file.write(entry.model_dump_json(exclude_none=True).encode() + b"\n")


def keep_complete(output: Path) -> list[Entry]:
    """Leave in the manifest of an interrupted run the lines whose files are all there.

    A last line that was cut off goes, too, and so do the files that were being written.
    """
    manifest = output / MANIFEST
    for part in output.rglob(f".{'[0-9a-f]' * 32}.part*"):
        part.unlink(missing_ok=True)
    if not manifest.exists():
        return []
    data = manifest.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        _rewrite(manifest, whole)
    if not whole:
        return []
    entries = read_manifest(manifest)
    lines = zip(entries, whole.splitlines(keepends=True), strict=True)
    kept = [(e, line) for e, line in lines if all((output / name).is_file() for name in e.files)]
    if len(kept) < len(entries):
        _rewrite(manifest, b"".join(line for _, line in kept))
    return [entry for entry, _ in kept]


def _rewrite(manifest: Path, data: bytes) -> None:
    with atomic_path(manifest) as temporary:
        temporary.write_bytes(data)


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
