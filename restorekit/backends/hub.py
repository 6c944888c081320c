"""From a name, a path or a task to a checkpoint file. The embedded ones ship with the package."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from restorekit.backends.card import read_card
from restorekit.backends.methods import Method, find_method, method_names
from restorekit.errors import UnknownNameError, UsageError
from restorekit.files import at_home
from restorekit.types import Task

SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl", ".ckpt", ".npz", ".bin")
"""The usual suffixes of checkpoints; only used to tell a mistyped path from a mistyped name."""

PREFERRED: Mapping[Task, str] = {Task.DENOISE: "denoise-s"}
"""Which embedded model a task means where several have its scale."""

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
    path = at_home(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name the checkpoint file in it")
    if len(path.parts) > 1 or path.suffix.lower() in SUFFIXES:
        raise UsageError(f"{path}: no such checkpoint file")
    if find_method(str(name_or_path)):
        raise UsageError(f"'{name_or_path}' is a method without weights and has no file")
    raise UnknownNameError("model", str(name_or_path), [*names, *method_names()])


def for_task(task: Task | str, scale: int | None = None) -> Path:
    """Choose the embedded checkpoint for a task, and for a scale where one is asked for.

    Of several it is the one of the smallest scale, then that of `PREFERRED`, then the smallest
    file, which is fastest. Raises UnknownNameError for what is no task and UsageError, with the
    tasks or the scales that have a model, when none is embedded.
    """
    if task not in {*Task}:
        raise UnknownNameError("task", task, Task)
    cards = {path: read_card(path) for path in embedded()}
    scales = {path: card.scale for path, card in cards.items() if card.task == task}
    fitting = [path for path, known in scales.items() if scale in (None, known)]
    if fitting:
        preferred = PREFERRED.get(Task(task))
        return min(fitting, key=lambda p: (scales[p], p.stem != preferred, p.stat().st_size))
    if scales:
        offered = ", ".join(map(str, sorted({*scales.values()})))
        raise UsageError(
            f"no embedded model for the task '{task}' has scale {scale} (scales: {offered}); "
            "choose one of these, or name a checkpoint file with --model"
        )
    offered = ", ".join(sorted({card.task for card in cards.values() if card.task})) or "none"
    raise UsageError(
        f"no embedded model for the task '{task}' (embedded: {offered}); "
        "name a checkpoint file with --model"
    )


def sha256(path: Path) -> str:
    """Hash a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
