"""Nets with means over the whole picture: which window they get, and what tiles then change."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from restorekit.backends.model import build_net
from restorekit.inference import pipeline
from restorekit.inference.pipeline import Restorer
from restorekit.nets.tlc import LocalStatistics, local_mean, spread


class Mean(nn.Module):
    """A net that replaces a picture by the mean it would use, and remembers its settings."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.statistics = None

    def forward(self, x):
        statistics = self.statistics
        time.sleep(0.002)
        assert self.statistics is statistics
        mark = 0.0 if statistics is None else statistics.height / 1000
        return x * 0 + mark + self.weight * 0


def test_large_pictures_get_local_statistics_and_the_model_stays_as_it_was(make_model):
    net = Mean()
    model = make_model(net, global_statistics=True, train_size=128)
    restorer = Restorer(model)
    small, large = torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 129)
    assert restorer.restore_tensor(small).max() == 0
    assert restorer.restore_tensor(large).unique().item() == pytest.approx(0.128)
    assert net.statistics is None
    assert next(restorer._local.net.parameters()) is net.weight


def test_the_window_may_be_larger_than_the_training_crops(make_model):
    model = make_model(Mean(), global_statistics=True, train_size=64, window=96)
    restorer = Restorer(model)
    assert restorer.restore_tensor(torch.rand(1, 3, 96, 96)).max() == 0
    large = restorer.restore_tensor(torch.rand(1, 3, 96, 97))
    assert large.unique().item() == pytest.approx(0.096)


def test_statistics_that_were_chosen_before_are_kept(make_model):
    net = Mean()
    net.statistics = LocalStatistics(720, 1280, 80)
    model = make_model(net, global_statistics=True, train_size=128)
    restored = Restorer(model).restore_tensor(torch.rand(1, 3, 200, 200))
    assert restored.unique().item() == pytest.approx(0.72)


def test_a_net_without_the_setting_is_run_as_it_is(make_model):
    model = make_model(nn.Identity(), global_statistics=True, train_size=16)
    x = torch.rand(1, 3, 40, 40)
    assert torch.equal(Restorer(model).restore_tensor(x), x)


def test_threads_that_share_a_model_do_not_mix_pictures(make_model):
    model = make_model(Mean(), global_statistics=True, train_size=64)
    barrier = threading.Barrier(4)

    def work(number):
        restorer = shared if number % 2 else Restorer(model, tile=48, overlap=8)
        blended = Restorer(model, tile=48, overlap=8, strength=0.5)
        side = 60 if number < 2 else 100
        x = torch.full((1, 3, side, side), number / 4)
        barrier.wait()
        return [one.restore_tensor(x).unique().tolist() for one in (restorer, blended)]

    shared = Restorer(model, tile=48, overlap=8)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(work, range(4)))
    local = pytest.approx(0.064)
    assert results[:2] == [[[0], [0]], [[0], [0.125]]]
    assert results[2] == [[local], [pytest.approx(0.25 + 0.032)]]
    assert results[3] == [[local], [pytest.approx(0.375 + 0.032)]]


class Contrast(nn.Module):
    """A net that takes the mean of a picture away, and the mean of a window where it is told to."""

    def __init__(self):
        super().__init__()
        self.statistics = None

    def forward(self, x):
        window = self.statistics and self.statistics.window(1)
        return (x - spread(local_mean(x, window), torch.empty_like(x))) / 2 + 0.5


def slope(height, width):
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
    )
    return torch.stack([rows, columns, torch.rand(height, width)])[None]


def levels_between_tiles_and_whole(model, x, tile):
    """Largest difference in 8-bit levels."""
    restored = [Restorer(model, tile=side).restore_tensor(x) for side in (0, tile)]
    return 255 * (restored[0] - restored[1]).abs().max().item()


def test_local_statistics_bring_tiles_near_to_the_whole(make_model):
    x = slope(300, 400)
    local = make_model(Contrast(), global_statistics=True, train_size=64)
    told_nothing = make_model(Contrast())
    assert levels_between_tiles_and_whole(told_nothing, x, 160) > 35
    assert levels_between_tiles_and_whole(local, x, 160) < 4


@pytest.mark.parametrize(("name", "blocks"), [("sfnet", 1), ("fsnet", 4)])
def test_sfnet_in_tiles_is_near_to_the_whole(make_model, name, blocks):
    """Its gains for the four quadrants are set alike: a tile's quadrants are not the picture's."""
    torch.manual_seed(0)
    net = build_net(name, base=16, num_res=blocks)
    for name, parameter in net.named_parameters():
        if name.endswith((".fscale_d", ".fscale_h")):
            nn.init.normal_(parameter, std=0.3)
        if name.endswith((".h", ".l")):
            alike = torch.randn(len(parameter) // 4).repeat_interleave(4)
            parameter.data.copy_(0.3 * alike)
    model = make_model(
        net, result="last", multiple=8, minimum=16, global_statistics=True, train_size=64
    )
    x = slope(160, 224)
    whole, tiled = (Restorer(model, tile=tile).restore_tensor(x) for tile in (0, 128))
    change, deviation = ((whole - other).square().mean() for other in (x, tiled))
    assert deviation < change / 1000


def test_convir_in_tiles_is_near_to_the_whole(make_model):
    """Each tile makes kernels of its own means, which have no window; its reach is shortened."""
    torch.manual_seed(0)
    net = build_net("convir", base=8, num_res=1, dilations=(1, 2, 3))
    for name, parameter in net.named_parameters():
        if name.endswith((".gamma", ".beta", ".lamb_l", ".lamb_h", ".inside_all")):
            nn.init.normal_(parameter, std=0.3)
    model = make_model(
        net, result="last", multiple=32, minimum=96, global_statistics=True, train_size=64
    )
    x = slope(160, 224)
    whole, tiled = (Restorer(model, tile=tile).restore_tensor(x) for tile in (0, 128))
    change, deviation = ((whole - other).square().mean() for other in (x, tiled))
    assert 0 < deviation < change / 10_000


def test_the_footprint_is_that_of_local_statistics(make_model, monkeypatch):
    windows = []

    class Spy(Contrast):
        def forward(self, x):
            windows.append(self.statistics.height)
            return super().forward(x)

    monkeypatch.setattr(pipeline, "automatic_tile", lambda *args, **options: 200)
    model = make_model(Spy(), global_statistics=True, train_size=128)
    Restorer(model).restore_tensor(torch.rand(1, 3, 300, 300))
    assert windows == [32, 32, 128, 128, 128, 128]
