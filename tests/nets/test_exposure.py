import math

import pytest
import torch
from torch.nn import functional as F

from restorekit.degradations import light
from restorekit.nets.drunet import DRUNet
from restorekit.nets.exposure import ExposureUNet, to_display, to_light


@pytest.fixture
def net():
    """One that neither corrects the first guess nor changes what is brightened."""
    torch.manual_seed(0)
    net = ExposureUNet((2, 3, 4, 5), 1, (2, 3, 4, 5), side=32).eval()
    for tail in (net.m_tail, net.exposure.m_tail):
        torch.nn.init.zeros_(tail.weight)
    return net


@pytest.fixture
def scene():
    torch.manual_seed(1)
    coarse = torch.rand(1, 3, 6, 8)
    return to_display(0.3 * F.interpolate(coarse, (48, 64), mode="bicubic").clamp(0, 1))


def corrected(net, *factors):
    """Let the look correct the factors of the three channels."""
    logarithms = torch.tensor(factors).log()
    net.exposure.m_tail.bias.data = logarithms
    return net


@pytest.mark.parametrize("ratio", [1.0, 3.0, 25.0])
def test_however_little_light_there_was_the_brightest_becomes_white(net, scene, ratio):
    scene[..., :16, :16] = 0.9
    restored = net(to_display(to_light(scene) / ratio))
    assert restored.max().item() == pytest.approx(1, abs=5e-3)


def test_the_factors_of_the_look_undo_less_light_and_a_cast(net, scene):
    scene[..., :16, :16] = 0.9
    cast = torch.tensor([1.1, 1.0, 0.9])[:, None, None]
    dark = to_light(scene) / 8 * cast
    wanted = 8 / cast.flatten() * dark.max()
    restored = corrected(net, *wanted.tolist())(to_display(dark))
    assert torch.allclose(restored, scene, atol=2e-3)


def test_factors_are_smooth_and_limited(net, scene):
    seen = net.overview(scene[..., :32, :32])
    assert seen.shape == (1, 3, 4, 4)
    black = corrected(net, 1e3, 1e3, 1e3).overview(torch.zeros(1, 3, 32, 32))
    assert black.flatten().tolist() == pytest.approx([math.log(1000)] * 48)
    white = corrected(net, 1e-3, 1e-3, 1e-3).overview(torch.ones(1, 3, 32, 32))
    assert white.flatten().tolist() == pytest.approx([-1.0] * 48)


def test_what_is_brightened_is_restored_by_the_drunet(net, scene):
    torch.nn.init.normal_(net.m_tail.weight)
    seen = torch.full((1, 3, 48, 64), math.log(2.0))
    lit = to_display(to_light(scene) * 2)
    assert torch.allclose(net.follow(scene, seen), DRUNet.forward(net, lit), atol=1e-6)


def test_a_black_picture_has_finite_gradients(net):
    net(torch.zeros(1, 3, 32, 32)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())


def test_light_is_that_of_the_degradations_and_back():
    display = torch.linspace(-0.1, 1, 500)
    lit = to_light(display)
    assert torch.allclose(lit, torch.from_numpy(light.to_linear(display.numpy())), atol=1e-6)
    assert torch.allclose(to_display(lit), display.clamp(min=0), atol=1e-6)
    assert float(to_display(torch.tensor(2.0))) == pytest.approx(1.3532, abs=1e-4)
