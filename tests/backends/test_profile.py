import math

import pytest
import torch
from torch import nn

from restorekit.backends.card import Card
from restorekit.backends.profile import count_macs, profile, reach
from restorekit.backends.registry import default_registry
from restorekit.backends.table import BACKENDS
from restorekit.errors import UnknownNameError, UsageError

SMALL = {
    "sfnet": {"base": 16, "num_res": 1},
    "prenet": {"stages": 2, "channels": 4},
    "drunet": {"widths": (2, 3, 4, 5), "blocks": 1},
    "fsnet": {"base": 16, "num_res": 4},
    "convir": {"base": 16, "num_res": 1},
    "dncnn": {"channels": 4, "layers": 5},
    "fdncnn": {"channels": 4, "layers": 5},
    "ircnn": {"channels": 4},
    "ffdnet": {"channels": 6, "layers": 4},
    "rrdbnet": {"channels": 4, "blocks": 1, "growth": 2},
    "srvgg": {"channels": 4, "convs": 3},
    "practice": {"channels": 4},
    "srcnn": {"channels": (6, 4), "kernels": (5, 1, 3)},
    "vdsr": {"channels": 6, "layers": 4},
    "nafnet": {"width": 4, "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)},
    "mimo_unet": {"base": 4, "num_res": 1},
    "deepdeblur": {"blocks": 1, "width": 4, "kernel": 3},
    "restormer": {"width": 4, "blocks": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "refinement": 1},
}


def card(name, **config):
    return Card(name="any", backend=name, config=config)


def test_operations_are_those_counted_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 10x12 pixels, 8 * 3 * 9 each
        nn.ReLU(),
        nn.Conv2d(8, 8, 5, padding=2, groups=4),  # 8 * 2 * 25
        nn.Conv2d(8, 16, 2, stride=2),  # 5x6 pixels, 16 * 8 * 4
        nn.ConvTranspose2d(16, 4, 2, stride=2),  # from 5x6 pixels, 16 * 4 * 4
    )
    by_hand = 120 * (8 * 3 * 9 + 8 * 2 * 25) + 30 * (16 * 8 * 4 + 16 * 4 * 4)
    for device in ("cpu", "meta"):
        x = torch.zeros(1, 3, 10, 12, device=device)
        assert count_macs(net.to(device), x) == by_hand


def test_matrix_products_count_and_gradients_play_no_part():
    x = torch.zeros(2, 3, 4, 5, requires_grad=True)
    assert count_macs(lambda x: x @ x.mT, x) == 2 * 3 * 4 * 5 * 4
    assert count_macs(lambda x: x.exp(), x) == 0


def test_a_pixel_reaches_as_far_as_the_kernels():
    net = nn.Sequential(nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(2, 1, 3, padding=2, dilation=2))
    for weights in net.parameters():
        nn.init.zeros_(weights)  # the reach is that of the net, not of its weights
    x = torch.rand(1, 1, 7, 40)
    kept = x.clone()
    assert reach(net, x, 20, 20) == (16, 24)
    assert reach(net, x, 20, 25) == (16, 29)
    assert reach(lambda y: net(y).repeat_interleave(3, -1), x, 20, 20, scale=3) == (16, 24)
    assert torch.equal(x, kept)


def test_a_net_that_lets_no_nan_through_is_not_measured():
    with pytest.raises(ValueError, match="outside torch"):
        reach(lambda x: x.nan_to_num(), torch.rand(1, 1, 4, 8), 4, 4)


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("dncnn", {"layers": 17, "channels": 4}, 35),  # the paper: (2 * depth + 1) squared
        ("ircnn", {"channels": 4}, 33),  # dilated by 1, 2, 3, 4, 3, 2, 1
        ("srcnn", {"kernels": (9, 1, 5), "channels": (4, 2), "scale": 1}, 13),
        ("practice", {"channels": 4}, 11),
        ("prenet", {"stages": 6, "channels": 4}, 2 * 6 * 13 + 1),  # 13 convolutions a stage
    ],
)
def test_the_receptive_field_is_that_of_the_paper(name, config, field):
    assert profile(card(name, **config)).receptive_field == field


def test_a_field_wider_than_the_first_strip_is_found_in_a_longer_one():
    assert profile(card("dncnn", layers=150, channels=1)).receptive_field == 301


def test_the_operations_of_dncnn_are_those_of_its_layers():
    layers = 1 * 4 + 3 * 4 * 4 + 4 * 1
    macs = profile(card("dncnn", in_channels=1, layers=5, channels=4)).macs_per_megapixel
    assert macs == 9 * layers * 10**6


@pytest.mark.parametrize("name", sorted({backend.name for backend in BACKENDS} - {"refinement"}))
def test_nets_look_at_everything_if_their_row_says_so(name):
    measured = profile(card(name, **SMALL.get(name, {})))
    whole = default_registry().get(name).capabilities.global_statistics
    assert math.isinf(measured.receptive_field) == whole
    assert measured.macs_per_megapixel > 0


def test_what_leaves_torch_is_counted_but_not_followed():
    measured = profile(card("refinement", channels=4, layers=2))
    assert measured.macs_per_megapixel == 2 * 3 * 4 * 9 * 10**6
    assert math.isnan(measured.receptive_field)


def test_a_card_that_makes_no_net_is_refused():
    with pytest.raises(UnknownNameError):
        profile(Card(name="any", backend="drunnet", config={}))
    with pytest.raises(UsageError, match="cannot be built"):
        profile(card("drunet", widths=(1, 2)))
