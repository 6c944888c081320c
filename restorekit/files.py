"""Paths as users write them, and files of which a reader sees the old or the new, never a part."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(destination: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it takes the place of `destination`.

    The path lies in the same folder and has the same suffix. An exception, or a killed process,
    leaves `destination` as it was. Missing parent folders are made.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{uuid.uuid4().hex}.part{destination.suffix}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


def at_home(path: Path | str) -> Path:
    """Put the home folder for a leading `~`.

    A file whose own name begins so is taken as it is, and so is a name of no user.
    """
    path = Path(path)
    if is_there(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def is_there(path: Path) -> bool:
    """Tell whether a path exists; one that no file can have, as a name too long, does not."""
    try:
        return path.exists()
    except OSError:
        return False


def free_bytes(folder: Path) -> int:
    """How much can be written into a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
