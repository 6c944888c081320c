"""From a name, a path or a task to a checkpoint file. The embedded ones ship with the package."""

import hashlib
from pathlib import Path

from restorekit.backends.card import read_card
from restorekit.backends.methods import Method, find_method, method_names
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Task

SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl", ".ckpt", ".npz", ".bin")
"""The usual suffixes of checkpoints; only used to tell a mistyped path from a mistyped name."""

_PACKAGE = Path(__file__).resolve().parents[1]


def weights_folder() -> Path:
    """Find the embedded checkpoints: inside an installed package, or beside it in a checkout."""
    inside = _PACKAGE / "weights"
    return inside if inside.is_dir() else _PACKAGE.parent / "weights"


def embedded() -> list[Path]:
    """List the checkpoints that ship with restorekit; a file's stem is the model's name."""
    return sorted(weights_folder().glob("*.safetensors"))


def find_model(name_or_path: str | Path) -> Path | Method:
    """Find the file of a model, or a method, which has none. Raises as `find_checkpoint`."""
    name = str(name_or_path)
    method = find_method(name)
    if method is None or name in {path.stem for path in embedded()}:
        return find_checkpoint(name_or_path)
    return method


def find_checkpoint(name_or_path: str | Path) -> Path:
    """Find the file of an embedded model or take a path as it is.

    Raises UnknownNameError with the nearest names, or UsageError when it looks like a path and is
    not a file, or is a method without weights.
    """
    names = {path.stem: path for path in embedded()}
    if (known := names.get(str(name_or_path))) is not None:
        return known
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name the checkpoint file in it")
    if len(path.parts) > 1 or path.suffix.lower() in SUFFIXES:
        raise UsageError(f"{path}: no such checkpoint file")
    if find_method(str(name_or_path)):
        raise UsageError(f"'{name_or_path}' is a method without weights and has no file")
    raise UnknownNameError("model", str(name_or_path), [*names, *method_names()])


def for_task(task: Task | str) -> Path:
    """Choose the embedded checkpoint for a task; of several, the smallest file, which is fastest.

    Raises UnknownNameError for what is no task and UsageError, with the tasks that have one, when
    none is embedded.
    """
    if task not in {*Task}:
        raise UnknownNameError("task", task, Task)
    by_task: dict[Task | None, list[Path]] = {}
    for path in embedded():
        by_task.setdefault(read_card(path).task, []).append(path)
    if task in by_task:
        return min(by_task[Task(task)], key=lambda path: path.stat().st_size)
    offered = ", ".join(sorted(key for key in by_task if key)) or "none"
    raise UsageError(
        f"no embedded model for the task '{task}' (embedded: {offered}); "
        "name a checkpoint file with --model"
    )


def sha256(path: Path) -> str:
    """Hash a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
