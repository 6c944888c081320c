from pathlib import Path

import pytest
import torch
from torch import nn

from restorekit.inference import memory
from restorekit.inference.memory import (
    CPU_TILE,
    Footprint,
    automatic_tile,
    free_memory,
    free_system_memory,
    measure,
)

GIB = 2**30
CPU = torch.device("cpu")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\nHugePages_Total: 0\n"}


def test_free_memory_is_what_the_system_says(tmp_path):
    assert free_system_memory(write(tmp_path, MEMINFO)) == 16 * GIB


def test_a_container_limit_of_version_2_counts_with_its_parents(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "0::/slice/job\n",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/slice/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/slice/memory.current": f"{2 * GIB}\n",
        "sys/fs/cgroup/slice/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
        "sys/fs/cgroup/slice/job/memory.max": f"{8 * GIB}\n",
        "sys/fs/cgroup/slice/job/memory.current": f"{2 * GIB}\n",
    }
    assert free_system_memory(write(tmp_path, files)) == 2 * GIB + GIB // 2


def test_a_container_limit_of_version_1_counts_where_its_own_path_is_not_mounted(tmp_path):
    files = {
        **MEMINFO,
        "proc/self/cgroup": "9:cpu,cpuacct:/x\n4:memory:/outside/name\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {GIB // 4}\n",
    }
    assert free_system_memory(write(tmp_path, files)) == GIB + GIB // 4


def test_an_overdrawn_container_has_no_memory(tmp_path):
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "1000\n",
        "sys/fs/cgroup/memory.current": "2000\n",
    }
    assert free_system_memory(write(tmp_path, files)) == 0


def test_half_of_the_memory_is_assumed_free_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.get)
    assert free_system_memory(tmp_path) == 500 * 4096


def test_this_machine_has_memory():
    assert free_memory(CPU) > GIB // 8


def test_the_footprint_counts_the_tensors_that_live_at_once():
    net = nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(6)])
    footprint = measure(net, 8)
    # The input, which the caller holds, is not made by the net; two maps live at a time.
    assert footprint.per_pixel == 2 * 8 * 4
    assert footprint.fixed == 0


def test_the_footprint_separates_what_does_not_grow():
    table = torch.ones(1000)

    def net(x):
        constant = table + 1
        return x * constant.sum()

    footprint = measure(net, 3)
    assert footprint.per_pixel == 12
    assert footprint.fixed == pytest.approx(4000, abs=16)


@pytest.mark.parametrize(("free", "tile"), [(100, 182), (400, 365), (32000, CPU_TILE)])
def test_the_tile_on_a_cpu_goes_by_memory_up_to_a_limit(monkeypatch, free, tile):
    monkeypatch.setattr(memory, "free_memory", lambda device: free * 10**6)
    footprint = Footprint(0, 1000)
    assert automatic_tile(3000, 4000, footprint, CPU, prefer_whole=False) == tile


def test_a_net_that_prefers_the_whole_picture_gets_it_when_it_fits(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 32 * GIB)
    small, large = Footprint(0, 500), Footprint(0, 4000)
    assert automatic_tile(720, 1280, small, CPU, prefer_whole=True) == 0
    assert automatic_tile(720, 1280, large, CPU, prefer_whole=True) == 472
    assert automatic_tile(720, 1280, small, CPU, prefer_whole=False) == CPU_TILE


def test_an_accelerator_takes_what_fits(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 15 * 10**9)
    cuda = torch.device("cuda")
    assert automatic_tile(3000, 4000, Footprint(0, 500), cuda, prefer_whole=False) == 0
    assert automatic_tile(3000, 4000, Footprint(0, 2000), cuda, prefer_whole=False) == 2000


def test_the_tile_is_never_tiny(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    assert automatic_tile(300, 400, Footprint(10**9, 10**6), CPU, prefer_whole=False) == 64
