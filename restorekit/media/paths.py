"""From what the user names to a list of jobs, complete and checked before any work starts."""

import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from restorekit.errors import UsageError
from restorekit.files import at_home
from restorekit.media.formats import FORMAT_OF_SUFFIX

PICTURE_SUFFIXES = frozenset(FORMAT_OF_SUFFIX)
"""Lower-case suffixes of the files that folders and globs yield, and of what can be written."""

Found = TypeVar("Found")

RESTORED = "_restored"
"""What a restored picture beside its source adds to the name."""


@dataclass(frozen=True)
class Source:
    """A picture to work on."""

    path: Path
    root: Path | None = None
    """The folder it was found in or below; None when the user named the file itself."""

    @property
    def relative(self) -> Path:
        """Where it goes below an output folder."""
        return self.path.relative_to(self.root) if self.root else Path(self.path.name)


@dataclass(frozen=True)
class Job:
    """One picture to read and the file to write for it."""

    source: Path
    destination: Path


def collect(inputs: Sequence[Path | str], *, recursive: bool = False) -> list[Source]:
    """List the pictures that files, folders, globs and list files name, each once.

    A folder yields the pictures in it, with `recursive` also those below it, in natural order
    (9 before 10) and without hidden ones. A glob (`'photos/**/*.jpg'`) is mirrored from the
    folder before its first wildcard. A `.txt` file holds one input a line, read as if it stood
    on the command line; empty lines and lines that begin with # are left out. A file that is
    named is taken whatever its suffix.

    Raises:
        UsageError: an input does not exist or yields no picture, or a list is empty.
    """
    sources: dict[str, Source] = {}
    for item in inputs:
        for source in _expand(item, recursive):
            sources.setdefault(os.path.realpath(source.path), source)
    return list(sources.values())


def plan_jobs(
    sources: Sequence[Source],
    output: Path | str | None = None,
    *,
    suffix: str = RESTORED,
    overwrite: bool = False,
) -> list[Job]:
    """Give every source its destination.

    Without `output` it is written beside the source as `<stem><suffix>`. An output that ends in
    `/`, is a folder or has no suffix is a folder: file names stay and the tree is mirrored. Any
    other output is the file for one source. A source of a suffix that cannot be written becomes
    a PNG. Earlier outputs found in folders (see `without_outputs`) are left out. With
    `overwrite` a picture may be replaced by its own restoration.

    Raises:
        UsageError: two sources would be written to one file (also where only upper and lower
            case differ), a destination is a source, or the output does not fit the sources.
    """
    kept = without_outputs(sources, output, suffix=suffix)
    jobs = [Job(source.path, _destination(source, output, len(kept), suffix)) for source in kept]
    _refuse_collisions(jobs)
    _refuse_sources(jobs, overwrite)
    return jobs


def without_outputs(
    sources: Sequence[Source], output: Path | str | None = None, *, suffix: str = RESTORED
) -> list[Source]:
    """Leave out what an earlier run wrote.

    That is `a_restored.png` or `a.jpg_restored.png` beside `a.jpg` when both are sources, and what
    was found below an output folder that lies within the folder searched.
    """
    paths = [source.path for source in sources]
    originals = {(path.parent, name) for path in paths for name in (path.stem, path.name)}
    folder = Path(output).absolute() if output is not None and _is_folder(output) else None
    return [
        source
        for source in sources
        if not _is_output(source.path, originals, suffix) and not _is_in_output(source, folder)
    ]


def in_list(file: Path, expand: Callable[[str], Iterable[Found]]) -> Iterator[Found]:
    """Expand the lines of a `.txt` list of inputs, but for the empty ones and comments.

    Raises UsageError that names the list and the line, also for a list that lists nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as a list of paths in UTF-8: {error}") from error
    names = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    named = [(number, name) for number, name in names if name and not name.startswith("#")]
    if not named:
        raise UsageError(f"{file} is a list of no paths; write one a line")
    for number, name in named:
        try:
            yield from expand(name)
        except UsageError as error:
            raise UsageError(f"{file}, line {number}: {error}") from error


def in_glob(pattern: Path) -> tuple[Path, list[Path]]:
    """Return the folder before the first wildcard of a glob, and what matches, not sorted."""
    fixed = Path(*_until_wildcard(pattern.parts))
    # Unlike Path.glob it takes any pattern and passes over hidden folders.
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207
    return fixed, [Path(name) for name in names]


def is_list(path: Path) -> bool:
    """Tell whether an input is a list of inputs."""
    return path.suffix.lower() == ".txt" and path.is_file()


def is_glob(path: Path) -> bool:
    """Tell whether an input that does not exist is a pattern."""
    return glob.has_magic(str(path))


def place_of(path: Path) -> str:
    """Return what two paths share where they are one file on some system."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _expand(item: Path | str, recursive: bool, is_listed: bool = False) -> Iterator[Source]:
    path = at_home(item)
    if path.is_dir():
        return _in_folder(path, recursive)
    if is_list(path) and not is_listed:
        return in_list(path, lambda line: _expand(line, recursive, is_listed=True))
    if path.exists():
        return iter([Source(path)])
    if is_glob(path):
        return _in_glob(path)
    raise UsageError(f"{path} does not exist; name a picture, a folder, a glob or a .txt list")


def _in_folder(folder: Path, recursive: bool) -> Iterator[Source]:
    try:
        found = _pictures(_walk(folder) if recursive else folder.iterdir(), folder)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be listed: {error.strerror}") from error
    if not found:
        hint = "" if recursive else "; add --recursive to look below it"
        raise UsageError(f"{folder} holds no picture ({_known_suffixes()}){hint}")
    return iter(found)


def _in_glob(pattern: Path) -> Iterator[Source]:
    fixed, paths = in_glob(pattern)
    found = _pictures(paths, fixed)
    if not found:
        raise UsageError(f"{pattern} matches no picture ({_known_suffixes()})")
    return iter(found)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files)


def _raise(error: OSError) -> None:
    raise error


def _pictures(paths: Iterable[Path], root: Path) -> list[Source]:
    found = [
        Source(path, root)
        for path in paths
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    return sorted(found, key=lambda source: _natural(source.relative))


def _natural(path: Path) -> list[tuple[list[str | int], str]]:
    """Order by numbers and letters, folder by folder."""
    return [(_numbers_apart(part), part) for part in path.parts]


def _numbers_apart(text: str) -> list[str | int]:
    pieces = re.split(r"(\d+)", text.casefold())
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)]


def _until_wildcard(parts: Sequence[str]) -> list[str]:
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return list(parts[:first])


def _known_suffixes() -> str:
    return ", ".join(sorted(PICTURE_SUFFIXES))


def _destination(source: Source, output: Path | str | None, count: int, suffix: str) -> Path:
    ending = source.path.suffix
    if ending.lower() not in PICTURE_SUFFIXES:
        ending = ".png"
    if output is None:
        return source.path.with_name(source.path.stem + suffix + ending)
    if _is_folder(output):
        return Path(output) / source.relative.with_suffix(ending)
    return _single_destination(Path(output), count)


def _single_destination(output: Path, count: int) -> Path:
    if output.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(
            f"output {output} ends in '{output.suffix}', which cannot be written; "
            f"use one of {_known_suffixes()}, or end it with / to mean a folder"
        )
    if count > 1:
        raise UsageError(
            f"output {output} is one file, but there are {count} pictures; name a folder"
        )
    return output


def _is_folder(output: Path | str) -> bool:
    if str(output).endswith(("/", os.sep)) or Path(output).is_dir():
        return True
    if Path(output).exists():
        return False
    return not Path(output).suffix


def _is_output(path: Path, originals: set[tuple[Path, str]], suffix: str) -> bool:
    if not suffix or not path.stem.endswith(suffix):
        return False
    return (path.parent, path.stem.removesuffix(suffix)) in originals


def _is_in_output(source: Source, folder: Path | None) -> bool:
    if folder is None or source.root is None:
        return False
    root = source.root.absolute()
    return (
        folder != root
        and folder.is_relative_to(root)
        and source.path.absolute().is_relative_to(folder)
    )


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    taken: dict[str, Job] = {}
    for job in jobs:
        other = taken.setdefault(place_of(job.destination), job)
        if other is not job:
            raise UsageError(
                f"{other.source} and {job.source} would both be written to {job.destination}; "
                "name their common folder with --recursive, or restore them one by one"
            )


def _refuse_sources(jobs: Sequence[Job], overwrite: bool) -> None:
    sources = {os.path.realpath(job.source): job.source for job in jobs}
    for job in jobs:
        threatened = sources.get(os.path.realpath(job.destination))
        if threatened is None:
            continue
        if threatened != job.source:
            raise UsageError(
                f"{job.source} would be written over {threatened}, which is still to be read; "
                "choose another output"
            )
        if not overwrite:
            raise UsageError(
                f"{job.source} would be replaced by its restoration; "
                "choose another output, or add --overwrite if you mean it"
            )
