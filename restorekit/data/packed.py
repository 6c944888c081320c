"""Many pictures in one file: CIFAR-10, binary and pickled, and the blocks of SIDD from MATLAB.

A pickle is opened with nothing but NumPy's arrays allowed; what else it asks for is refused unrun.
Sources: cs.toronto.edu/~kriz/cifar.html; "MAT-File Format" (MathWorks), version 5.
"""

import pickle
import re
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from restorekit.errors import PictureError, UnsafePickleError
from restorekit.types import Pixels

_CIFAR = re.compile(r"(data_batch_[1-5]|test_batch)(\.bin)?")
CIFAR_SHAPE = (3, 32, 32)
CIFAR_BYTES = 1 + 3 * 32 * 32
"""A picture of the binary version: its label and its samples, red, green, blue."""

_ARRAY_PARTS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}

MAT_HEADER = 128
MAT_LARGEST = 1 << 30
"""No array may unpack to more bytes; the blocks of SIDD have 250 million."""
MAT_UINT8_TYPE, MAT_MATRIX, MAT_COMPRESSED, MAT_UINT8_CLASS = 2, 14, 15, 9


def is_packed(path: Path) -> bool:
    """True for a file that holds many pictures, told by its name."""
    known = path.suffix.lower() == ".mat" or _CIFAR.fullmatch(path.name) is not None
    return known and path.is_file()


def packed_names(path: Path) -> list[str]:
    """Names of the pictures in a packed file: their indices, counted from 0, joined by -."""
    shape = _pictures(path).shape[:-3]
    digits = [len(str(count - 1)) for count in shape]
    return [
        "-".join(f"{index:0{width}}" for index, width in zip(indices, digits, strict=True))
        for indices in np.ndindex(*shape)
    ]


def read_packed(path: Path) -> Pixels:
    """Return the (H, W, 3) uint8 samples of a picture in a packed file, such as `test_batch/42`."""
    pictures = _pictures(path.parent)
    try:
        place = np.ravel_multi_index([int(i) for i in path.name.split("-")], pictures.shape[:-3])
        return np.ascontiguousarray(pictures[np.unravel_index(place, pictures.shape[:-3])])
    except ValueError as error:
        raise PictureError(
            f"{path}: {path.parent.name} holds no such picture; its names are "
            f"{packed_names(path.parent)[0]} to {packed_names(path.parent)[-1]}"
        ) from error


@lru_cache(maxsize=6)
def _pictures(path: Path) -> NDArray[np.uint8]:
    """Samples of all pictures of a file, (..., H, W, 3)."""
    try:
        if path.suffix.lower() == ".mat":
            pictures = _matlab(path.read_bytes())
        elif path.suffix == ".bin":
            pictures = _cifar(_binary(path.read_bytes()))
        else:
            pictures = _cifar(_pickled(path))
    except UnsafePickleError:
        raise
    except Exception as error:  # damaged bytes raise anything
        raise PictureError(f"{path} cannot be read ({error}); download it again") from error
    if pictures.ndim < 4 or pictures.shape[-1] != 3:
        raise PictureError(
            f"{path} holds an array of the shape {pictures.shape}; "
            "pictures are stacked as (..., height, width, 3)"
        )
    return pictures


def _cifar(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return rows.reshape(-1, *CIFAR_SHAPE).transpose(0, 2, 3, 1)


def _binary(data: bytes) -> NDArray[np.uint8]:
    if len(data) % CIFAR_BYTES:
        raise ValueError(f"its size is no multiple of {CIFAR_BYTES} bytes")
    return np.frombuffer(data, np.uint8).reshape(-1, CIFAR_BYTES)[:, 1:]


def _pickled(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        batch = _ArraysOnly(file, path).load()
    return np.asarray(batch[b"data"] if b"data" in batch else batch["data"], np.uint8)


class _ArraysOnly(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file, encoding="bytes")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) not in _ARRAY_PARTS:
            raise UnsafePickleError(
                f"{self._path}: refused, nothing was run: it asks for {module}.{name}, and a batch "
                "of CIFAR-10 needs nothing but NumPy's arrays; take it from the home page"
            )
        return super().find_class(module, name)


def _matlab(data: bytes) -> NDArray[np.uint8]:
    """Return the first array of a version 5 file."""
    if data[:4] == b"\x89HDF" or not data.startswith(b"MATLAB 5.0"):
        raise ValueError("no MATLAB file of version 5; save it again with -v6 or -v7")
    order = "<" if data[126:MAT_HEADER] == b"IM" else ">"
    kind, content, _ = _element(data, MAT_HEADER, order)
    if kind == MAT_COMPRESSED:
        unpacked = zlib.decompressobj().decompress(content, MAT_LARGEST)
        kind, content, _ = _element(unpacked, 0, order)
    if kind != MAT_MATRIX:
        raise ValueError("its first element is no array")
    return _array(content, order)


def _array(content: bytes, order: str) -> NDArray[np.uint8]:
    parts: list[tuple[int, bytes]] = []
    place = 0
    for _ in ("flags", "dimensions", "name", "samples"):
        kind, part, place = _element(content, place, order)
        parts.append((kind, part))
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    shape: Sequence[int] = np.frombuffer(parts[1][1], f"{order}i4").tolist()
    if flags & 0xFF != MAT_UINT8_CLASS or parts[3][0] != MAT_UINT8_TYPE:
        raise ValueError("its first array is not of uint8")
    return np.frombuffer(parts[3][1], np.uint8).reshape(shape, order="F")


def _element(data: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """Read a tagged element: its type, its bytes and where the next one begins."""
    kind, size = struct.unpack_from(f"{order}II", data, place)
    if kind >> 16:  # four bytes or less stand in the tag itself
        return kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)], place + 8
    end = place + 8 + size
    if end > len(data):
        raise ValueError("it breaks off")
    # Elements inside an array begin at multiples of 8.
    return kind, data[place + 8 : end], end + (-size) % 8
