"""What a pickle asks for, read without running any of it."""

import io
import pickletools
import re
import zipfile
from pathlib import Path
from typing import IO, Self

# A pickle can call whatever it names. These are what tensors and plain containers are made of.
_HARMLESS = re.compile(
    r"""collections\.(OrderedDict|Counter)
    | _codecs\.encode
    | (builtins|__builtin__)\.(bytearray|set|complex)
    | torch\.(Size|device|Tensor|\w+Storage|bool|(q?u?int|b?float|complex|bits)\d+\w*)
    | torch\.(cuda|storage)\.\w+(Storage|Tensor)
    | torch\.nn\.parameter\.Parameter
    | torch\._utils\._rebuild_\w+
    | torch\._tensor\._rebuild_from_type_v2
    | torch\.serialization\._get_layout""",
    re.VERBOSE,
)

INERT = (
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.WindowsPath",
)
"""What training scripts save beside weights: settings, scores, paths. Read as `Inert`."""

# torch.save without zip writes five pickles (magic number, protocol, system, object, keys).
_MOST_PICKLES = 8


class Inert:
    """What stands in for an object that is of no use here, and takes all that it is given."""

    def __new__(cls, *_: object) -> Self:
        """Make one of anything."""
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        """Forget it."""


def unsafe_globals(path: Path) -> list[str]:
    """Name what the pickles in a file import, beyond weights and `INERT`; sorted, without repeats.

    Knows zip archives of torch.save, its older format and plain pickles. Raises ValueError when
    the bytes are no pickle at all.
    """
    if zipfile.is_zipfile(path):
        names = _in_archive(path)
    else:
        with path.open("rb") as file:
            names = _in_stream(file)
    return sorted(name for name in names.difference(INERT) if not _HARMLESS.fullmatch(name))


def _in_archive(path: Path) -> set[str]:
    names: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            if entry.endswith(".pkl"):
                names |= _in_stream(io.BytesIO(archive.read(entry)))
    return names


def _in_stream(stream: IO[bytes]) -> set[str]:
    names = _in_pickle(stream)
    for _ in range(_MOST_PICKLES - 1):
        try:
            names |= _in_pickle(stream)
        except (ValueError, MemoryError, OverflowError):
            break  # raw numbers follow the pickles
    return names


def _in_pickle(stream: IO[bytes]) -> set[str]:
    """Follow only the strings on the stack: STACK_GLOBAL takes its two names from there."""
    names: set[str] = set()
    strings = ["?", "?"]
    memo: dict[int, str] = {}
    top = "?"
    for opcode, argument, _ in pickletools.genops(stream):
        kind = opcode.name
        if kind in ("GLOBAL", "INST"):
            names.add(str(argument).replace(" ", "."))
        elif kind == "STACK_GLOBAL":
            names.add(".".join(strings[-2:]))
        elif kind.startswith("EXT"):
            names.add(f"copyreg extension {argument}")
        elif kind == "MEMOIZE":
            memo[len(memo)] = top
        elif "PUT" in kind:
            memo[int(argument or 0)] = top
        else:
            top = memo.get(int(argument or 0), "?") if "GET" in kind else _text(argument)
            if top != "?":
                strings.append(top)
    return names


def _text(argument: object) -> str:
    return argument if isinstance(argument, str) else "?"
