"""How much memory is free, how much a net takes, and so how large a tile may be."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU_TILE = 512
"""Larger tiles do not run faster on a CPU, they only take more memory."""
SMALLEST_TILE = 64
"""Below this side the overlap would be most of a tile."""

_GIB = 2**30
_UNKNOWN_FREE = 2 * _GIB
_CPU_BUDGET = 5 * _GIB // 4
_CPU_SHARE = 0.5
_DEVICE_SHARE = 0.8
# Kernels take scratch memory that no tensor shows.
_SCRATCH = 1.5
_PROBES = (64, 128)


@dataclass(frozen=True)
class Footprint:
    """The memory of one run of a net: `fixed` bytes and `per_pixel` bytes for each input pixel."""

    fixed: float
    per_pixel: float

    def pixels(self, budget: float) -> int:
        """How many input pixels fit into `budget` bytes."""
        return max(int((budget / _SCRATCH - self.fixed) / self.per_pixel), 0)


def measure(net: Callable[[Tensor], Tensor], channels: int) -> Footprint:
    """Run a net on two small pictures and fit a line through its peaks of living tensors."""
    small, large = (_peak(net, torch.zeros(1, channels, side, side)) for side in _PROBES)
    per_pixel = max((large - small) / (_PROBES[1] ** 2 - _PROBES[0] ** 2), 4.0 * channels)
    return Footprint(max(small - per_pixel * _PROBES[0] ** 2, 0.0), per_pixel)


def automatic_tile(
    height: int, width: int, footprint: Footprint, device: torch.device, *, prefer_whole: bool
) -> int:
    """Choose the side of the tiles of a picture, 0 for the whole picture.

    `prefer_whole` is for nets whose tiles differ from the whole: there only memory is a limit.
    """
    budget = free_memory(device) * _DEVICE_SHARE
    if device.type == "cpu":
        budget = min(free_memory(device) * _CPU_SHARE, _CPU_BUDGET)
    side = max(math.isqrt(footprint.pixels(budget)), SMALLEST_TILE)
    if device.type == "cpu" and not prefer_whole:
        side = min(side, CPU_TILE)
    return 0 if height * width <= side * side else side


def free_memory(device: torch.device) -> int:
    """Bytes that a run on `device` can take; 2 GiB where the system does not tell."""
    if device.type == "cpu":
        return free_system_memory()
    module: Any = getattr(torch, device.type, None)
    if hasattr(module, "mem_get_info"):
        idle = module.memory_reserved(device) - module.memory_allocated(device)
        return int(module.mem_get_info(device)[0]) + int(idle)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return _UNKNOWN_FREE


def free_system_memory(root: Path = Path("/")) -> int:
    """Bytes that this process can take before the system or its container swaps or kills."""
    found = [*_available(root), *_below_limits(root)]
    if found:
        return max(min(found), 0)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN_FREE


def _available(root: Path) -> Iterator[int]:
    for name, value in _table(root / "proc/meminfo"):
        if name == "MemAvailable:":
            yield value * 1024


def _below_limits(root: Path) -> Iterator[int]:
    """What the control groups of this process, and the groups around them, leave."""
    mount = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        version1 = "memory" in controllers.split(",")
        if not version1 and controllers:
            continue
        base = mount / "memory" if version1 else mount
        inner = base / path.lstrip("/")
        for folder in (inner, *inner.parents):
            yield from _left(folder, version1)
            if folder == base:
                break


def _left(folder: Path, version1: bool) -> Iterator[int]:
    limit, usage, idle = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if version1
        else ("memory.max", "memory.current", "inactive_file")
    )
    allowed = [int(line) for line in _lines(folder / limit) if line.isdecimal()]
    used = [int(line) for line in _lines(folder / usage)]
    if allowed and used:
        yield allowed[0] - used[0] + dict(_table(folder / "memory.stat")).get(idle, 0)


def _table(path: Path) -> Iterator[tuple[str, int]]:
    for line in _lines(path):
        name, value, *_ = line.split()
        yield name, int(value)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _peak(net: Callable[[Tensor], Tensor], x: Tensor) -> int:
    living = _LivingBytes()
    with torch.inference_mode(), living:
        net(x)
    return living.peak


class _LivingBytes(TorchDispatchMode):
    """Count the bytes of all tensors made within the context that still live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._sizes: dict[StorageWeakRef, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would import the compiler, a second of start-up, to keep it away from this class.
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        self.peak = max(self.peak, sum(self._sizes.values()))
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        self._sizes = {
            reference: size for reference, size in self._sizes.items() if not reference.expired()
        }
        self._sizes[StorageWeakRef(storage)] = storage.nbytes()
