"""Nets that look at the whole picture first: tiles follow it, whatever else is asked for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from restorekit.errors import UsageError
from restorekit.inference.overview import reduced
from restorekit.inference.pipeline import Restorer
from restorekit.inference.plan import whole
from restorekit.nets.exposure import ExposureUNet
from restorekit.nets.guided import GuidedUNet
from restorekit.types import Precision


@pytest.fixture
def model(make_model):
    torch.manual_seed(0)
    net = GuidedUNet(widths=(2, 3, 4, 5), blocks=1, side=32)
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.2)
    return make_model(net, overview=True, global_statistics=True, overlap=0, half=True)


@pytest.fixture
def refiner(make_model):
    """A net that goes on restoring when it has followed what it saw."""
    torch.manual_seed(0)
    net = ExposureUNet((2, 3, 4, 5), 1, (2, 3, 4, 5), side=32).eval()
    able = {"overview": True, "global_statistics": True, "multiple": 8, "bfloat16": True}
    return make_model(net, overlap=64, **able)


@pytest.fixture
def picture():
    torch.manual_seed(1)
    coarse = torch.rand(1, 3, 5, 7)
    return F.interpolate(coarse, (150, 210), mode="bicubic").clamp(0, 1)


def test_tiles_give_what_the_net_gives_of_the_whole(model, picture):
    whole_picture = model(picture).clamp(0, 1)
    assert (whole_picture - picture).abs().mean() > 0.02
    for tile in (0, 48, 100, "auto"):
        restored = Restorer(model, tile=tile).restore_tensor(picture)
        assert torch.allclose(restored, whole_picture, atol=1e-5)


def test_what_is_told_goes_through_the_net_as_any_picture_does(refiner, picture):
    at_once = Restorer(refiner, tile=0).restore_tensor(picture)
    padded = F.pad(picture, (0, 6, 0, 2), mode="reflect")
    assert torch.allclose(at_once, refiner.net(padded)[..., :150, :210].clamp(0, 1), atol=0.02)
    in_tiles = Restorer(refiner, tile=144).restore_tensor(picture)
    assert torch.allclose(in_tiles, at_once, atol=2e-3)
    bfloat16 = Restorer(refiner, precision=Precision.BFLOAT16).restore_tensor(picture)
    assert 0 < (bfloat16 - at_once).abs().mean() < 0.01


def test_the_picture_is_made_small_strip_by_strip(picture):
    read = lambda box: picture[..., *box.slices]  # noqa: E731
    small = reduced(whole(150, 210), read, 24, 32)
    assert torch.allclose(small, F.adaptive_avg_pool2d(picture, (24, 32)), atol=1e-6)


def test_a_grey_picture_is_seen_in_three_equal_channels(model, picture):
    grey = picture[:, :1]
    restored = Restorer(model, tile=64).restore_tensor(grey)
    expected = model(grey.expand(-1, 3, -1, -1)).mean(1, keepdim=True).clamp(0, 1)
    assert torch.allclose(restored, expected, atol=1e-5)


def test_strength_mixes_with_the_picture_alone(model, picture):
    restored = Restorer(model, tile=64, strength=0.25).restore_tensor(picture)
    mixed = torch.lerp(picture, model(picture), 0.25).clamp(0, 1)
    assert torch.allclose(restored, mixed, atol=1e-5)


def test_an_ensemble_looks_eight_times(model, picture):
    looks = []
    seen = model.net.overview
    model.net.overview = lambda small: looks.append(small.shape[-2:]) or seen(small)
    restored = Restorer(model, tile=64, ensemble=True).restore_tensor(picture)
    assert sorted(map(tuple, looks)) == [(24, 32)] * 4 + [(32, 24)] * 4
    mirrored = Restorer(model, ensemble=True).restore_tensor(picture.flip(-1)).flip(-1)
    assert torch.allclose(restored, mirrored, atol=1e-5)


def test_an_ensemble_restores_what_it_has_followed_in_all_orientations(refiner, picture):
    even = picture[..., :144, :208]
    restored = Restorer(refiner, ensemble=True).restore_tensor(even)
    mirrored = Restorer(refiner, ensemble=True).restore_tensor(even.flip(-1)).flip(-1)
    assert torch.allclose(restored, mirrored, atol=1e-5)
    assert not torch.allclose(restored, Restorer(refiner).restore_tensor(even), atol=1e-4)


def test_what_was_seen_does_not_depend_on_the_precision(model, picture):
    exact, half = (
        Restorer(model, precision=precision).restore_tensor(picture)
        for precision in (Precision.FLOAT32, Precision.FLOAT16)
    )
    assert torch.equal(exact, half)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.rand(1, 2, 40, 40), "takes pictures of 3 channels, got 2"),
        (torch.full((1, 3, 40, 40), 128), "takes floats in"),
    ],
)
def test_what_is_no_picture_is_refused_before_the_look(model, picture, message):
    with pytest.raises(UsageError, match=message):
        Restorer(model).restore_tensor(picture)
