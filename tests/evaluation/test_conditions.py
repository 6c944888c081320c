from dataclasses import fields, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from restorekit.backends.card import Card
from restorekit.backends.model import Model
from restorekit.backends.registry import default_registry
from restorekit.errors import RestorekitError
from restorekit.evaluation import conditions
from restorekit.evaluation.conditions import restorer_for
from restorekit.media.image import write_image
from restorekit.metrics.protocols import get_protocol
from restorekit.nets.nafnet import local_statistics
from restorekit.nets.sfnet import SFNet
from restorekit.types import Image, Precision
from tests.golden_files import golden


@pytest.fixture
def first(tmp_path):
    """Write a first picture of a set, of a given height and width."""

    def write(height, width):
        path = tmp_path / "first.png"
        write_image(path, Image(np.zeros((height, width, 3), np.uint8)))
        return path

    return write


def model_of(net: nn.Module, backend: str) -> Model:
    card = Card(name=backend, backend=backend, config={})
    return Model(net.eval(), card, default_registry().get(backend), torch.device("cpu"))


def sfnet(name: str) -> Model:
    with torch.device("meta"):
        net = SFNet()
    return model_of(golden(name).load_into(net), "sfnet")


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("sfnet_deblur_gopro_test", "gopro-matlab"),
        ("sfnet_derain", "rain-y-matlab"),
    ],
)
def test_a_net_runs_as_in_its_published_test(first, name, protocol):
    file, model = golden(name), sfnet(name)
    x = file.input()
    restored = restorer_for(model, get_protocol(protocol), first(*x.shape[-2:]))(x)
    expected = file.tensors["output_2"].clamp(0, 1)
    assert (restored - expected).abs().max() < file.about["suggested_atol"]["output_2"]
    assert model.net.statistics is None


def test_windows_go_by_the_first_picture_of_the_set(first):
    file = golden("sfnet_dehaze_indoor_test_second_image")
    height, width = file.input("first").shape[-2:]
    # What is padded to a multiple of 8 gives the windows.
    path = first(height - 5, width - 3)
    restored = restorer_for(sfnet(file.about["name"]), get_protocol("sots-rgb"), path)(file.input())
    expected = file.tensors["output_2"].clamp(0, 1)
    assert (restored - expected).abs().max() < file.about["suggested_atol"]["output_2"]


class Recorder(nn.Module):
    """Return the picture and note, for all copies of the net together, what was asked for."""

    seen: ClassVar = []

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.statistics = None
        self.seen.clear()

    def forward(self, x):
        self.seen.append((self.statistics, x))
        return x


def test_a_net_without_windows_averages_over_the_whole_picture(first):
    model = model_of(Recorder(), "restormer")
    run = restorer_for(model, get_protocol("gopro-matlab"), first(8, 8))
    run(torch.rand(1, 3, 400, 392))
    ((statistics, x),) = Recorder.seen
    assert x.shape[-2:] == (400, 392)
    assert statistics.window(1)[0] > 10**6
    assert model.net.statistics is None


def test_other_protocols_leave_it_to_the_restorer(first):
    model = model_of(Recorder(), "restormer")
    run = restorer_for(model, get_protocol("rgb"), first(8, 8))
    run(torch.rand(1, 3, 400, 392))
    assert Recorder.seen[-1][0].window(1) == (384, 384)


@pytest.mark.parametrize(
    ("backend", "protocol", "window"),
    [
        ("sfnet", "gopro-matlab", (225, 400)),
        ("sfnet", "hide-matlab", (309, 550)),
        ("sfnet", "rsblur-aligned", (210, 375)),
        ("sfnet", "sots-rgb", (691, 1230)),
        ("sfnet", "sots-outdoor-rgb", (590, 1050)),
        ("sfnet", "csd-rgb", (562, 1000)),
        ("fsnet", "hide-matlab", (225, 400)),
        ("fsnet", "sots-outdoor-rgb", (590, 1050)),
    ],
)
def test_windows_are_the_parts_of_the_picture_that_the_authors_took(
    first, backend, protocol, window
):
    model = model_of(Recorder(), "restormer")
    model = replace(model, backend=replace(model.backend, name=backend))
    restorer_for(model, get_protocol(protocol), first(720, 1280))(torch.rand(1, 3, 32, 32))
    assert Recorder.seen[0][0].window(1) == window


def test_attention_is_local_where_the_protocol_says_so(first):
    model = model_of(Recorder(), "restormer")
    x = torch.rand(1, 3, 32, 32)
    restorer_for(model, get_protocol("gopro-matlab-local"), first(8, 8))(x)
    assert [Recorder.seen[0][0].window(1 << level) for level in range(4)] == [
        (side, side) for side in (384, 192, 96, 48)
    ]


def test_windows_of_crops_are_those_of_the_authors(first):
    model = model_of(Recorder(), "nafnet")
    restorer_for(model, get_protocol("gopro-matlab"), first(8, 8))(torch.rand(1, 3, 32, 32))
    assert Recorder.seen[0][0] == local_statistics()


def test_tiles_are_those_of_the_protocol(first):
    model = model_of(Recorder(), "restormer")
    x = torch.rand(1, 3, 300, 280)
    restored = restorer_for(model, get_protocol("snowformer-rgb"), first(8, 8))(x)
    assert torch.allclose(restored, x, atol=1e-6)
    assert len(Recorder.seen) > 1
    assert max(max(tile.shape[-2:]) for _, tile in Recorder.seen) <= 256


class Hasty(Model):
    """A model on a device that computes in bfloat16 unless told otherwise."""

    def precision(self, wanted=Precision.AUTO, depth=8):
        return Precision.BFLOAT16 if wanted is Precision.AUTO else super().precision(wanted, depth)


def test_numbers_are_measured_in_float32(first):
    model = model_of(nn.Conv2d(3, 3, 1), "drunet")
    hasty = Hasty(**{field.name: getattr(model, field.name) for field in fields(model)})
    x = torch.rand(1, 3, 64, 64)
    restored = restorer_for(hasty, get_protocol("rgb"), first(8, 8))(x)
    assert torch.equal(restored, model(x).clamp(0, 1))
    assert not torch.equal(restored, hasty(x, precision=Precision.AUTO).clamp(0, 1))


@pytest.mark.parametrize(("protocol", "last"), [("gopro-rgb", 0.5), ("gopro-matlab", 0.4)])
def test_pictures_are_continued_as_the_protocol_says(first, protocol, last):
    model = model_of(Recorder(), "restormer")
    x = (torch.arange(6) / 10).expand(1, 3, 8, 6)
    restored = restorer_for(model, get_protocol(protocol), first(8, 8))(x)
    assert torch.equal(restored, x)
    ((_, padded),) = Recorder.seen
    assert padded.shape[-2:] == (8, 8)
    assert padded[0, 0, 0, 6].item() == pytest.approx(last)


class Large(Recorder):
    """Take a thousand numbers for each pixel."""

    def forward(self, x):
        return (
            x + x.mean(1, keepdim=True).expand(-1, 1000, -1, -1).clone().mean(1, keepdim=True) * 0
        )


@pytest.mark.parametrize("windows", [False, True])
def test_a_picture_too_large_for_the_memory_is_refused_and_not_cut_up(first, monkeypatch, windows):
    model = model_of(Large(), "nafnet" if windows else "restormer")
    monkeypatch.setattr(conditions, "ALWAYS_FITS", 64 * 64)
    monkeypatch.setattr(conditions, "free_memory", lambda _: 10**9)
    x = torch.rand(1, 3, 128, 96)
    protocol = get_protocol("gopro-matlab")
    assert torch.equal(restorer_for(model, protocol, first(8, 8))(x), x)
    monkeypatch.setattr(conditions, "free_memory", lambda _: 3 * 10**7)
    refused = restorer_for(model, protocol, first(8, 8))
    with pytest.raises(RestorekitError, match=r"gopro-matlab restores the whole picture .* 96x128"):
        refused(x)
    assert torch.equal(refused(x[..., :40, :]), x[..., :40, :])
    assert restorer_for(model, get_protocol("rgb"), first(8, 8))(x).shape == x.shape
