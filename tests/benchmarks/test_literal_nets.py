"""The yardsticks of the benchmark give what the nets give."""

from functools import partial

import pytest
import torch
from literal_nets import (
    literal_deepdeblur,
    literal_local_nafnet,
    literal_mimo_unet,
    literal_nafnet,
    literal_restormer,
)
from literal_sfnet import literal_convir, literal_fsnet, literal_sfnet

from restorekit.backends.model import build_net
from restorekit.nets.nafnet import local_statistics
from restorekit.nets.tlc import LocalStatistics

RESTORMER = {"width": 8, "blocks": (1, 2, 1, 1), "heads": (1, 2, 4, 8), "refinement": 1}


def shaken(name, **config):
    """A net in float64 of whose weights none are zero or all alike."""
    torch.manual_seed(0)
    net = build_net(name, **config).eval().double()
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return net


def agree(net, literal, x):
    with torch.inference_mode():
        outputs, expected = net(x), literal(net.state_dict(), x)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert len(outputs) == len(expected)
    for output, formula in zip(outputs, expected, strict=True):
        assert torch.allclose(output, formula, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("config", "channels"),
    [({}, 3), ({"biased": False, "bias": True}, 3), ({"in_channels": 6, "dual_pixel": True}, 6)],
)
def test_restormer(config, channels):
    net = shaken("restormer", **RESTORMER | config)
    agree(net, literal_restormer, torch.rand(2, channels, 24, 16, dtype=torch.float64))


def test_mimo_unet():
    net = shaken("mimo_unet", base=8, num_res=2)
    agree(net, literal_mimo_unet, torch.rand(2, 3, 16, 24, dtype=torch.float64))


@pytest.mark.parametrize("size", [(32, 16), (392, 16), (400, 400)])
def test_nafnet_with_windows(size):
    net = shaken("nafnet", width=4, encoder_blocks=(1, 2), decoder_blocks=(1, 1))
    net.statistics = local_statistics()
    agree(net, literal_local_nafnet, torch.rand(1, 3, *size, dtype=torch.float64))


def test_nafnet():
    net = shaken("nafnet", width=4, encoder_blocks=(1, 2), decoder_blocks=(1, 1))
    agree(net, literal_nafnet, torch.rand(2, 3, 32, 400, dtype=torch.float64))


def test_deepdeblur():
    net = shaken("deepdeblur", blocks=2, width=4)
    agree(net, literal_deepdeblur, torch.rand(2, 3, 16, 24, dtype=torch.float64))


@pytest.mark.parametrize("fraction", [None, 128])
def test_sfnet(fraction):
    net = shaken("sfnet", base=16, num_res=2)
    net.statistics = fraction and LocalStatistics(32, 48, fraction)
    x = torch.rand(2, 3, 32, 48, dtype=torch.float64)
    agree(net, partial(literal_sfnet, fraction=fraction), x)


def test_fsnet():
    net = shaken("fsnet", base=16, num_res=5)
    agree(net, literal_fsnet, torch.rand(2, 3, 32, 48, dtype=torch.float64))


def test_convir():
    net = shaken("convir", base=8, num_res=2, dilations=(1, 2, 3))
    x = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    agree(net, partial(literal_convir, dilations=(1, 2, 3)), x)
