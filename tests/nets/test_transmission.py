import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from restorekit.nets.transmission import TransmissionNet

SMALL = {"widths": (2, 3, 4, 5), "blocks": 1, "side": 64}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TransmissionNet(**SMALL).eval()


def constant(gain, airlight, height=48, width=64):
    """What `overview` would say of the same haze everywhere: no slopes along the luma."""
    values = torch.tensor([0.0] * 4 + [gain, *airlight])
    return values[:, None, None].expand(-1, height, width)[None]


@given(st.floats(0.05, 1), st.tuples(*[st.floats(0.5, 1)] * 3))
def test_the_haze_of_the_formula_is_taken_away(transmission, airlight):
    scene = torch.rand(1, 3, 48, 64)
    light = torch.tensor(airlight)[:, None, None]
    hazy = transmission * scene + (1 - transmission) * light
    lines = constant(1 / transmission - 1, airlight)
    assert torch.allclose(TransmissionNet.clear(hazy, lines), scene, atol=1e-5)


def test_a_picture_without_haze_stays_as_it_is():
    picture = torch.rand(1, 3, 48, 64)
    assert torch.equal(TransmissionNet.clear(picture, constant(0, (0.9, 0.9, 0.9))), picture)


def test_lines_are_interpolated_between_the_centres_of_pixels():
    lines = torch.rand(2, 8, 24, 16)
    spread = TransmissionNet.spread(lines, (60, 50))
    assert torch.allclose(spread, F.interpolate(lines, (60, 50), mode="bilinear"), atol=1e-5)


def test_a_part_is_cut_out_of_the_whole():
    lines = torch.rand(1, 8, 24, 16)
    whole = TransmissionNet.spread(lines, (100, 80))
    part = TransmissionNet.spread(lines, (30, 40), (0.5, 0.8), (0.125, 0.625))
    assert torch.allclose(part, whole[..., 50:80, 10:50], atol=1e-5)


def test_transmission_follows_the_edges_of_the_picture(net):
    """A step in the luma and a step in the map at the same place stay one step, not a ramp."""
    picture = torch.full((1, 3, 64, 64), 0.2)
    picture[..., 32:] = 0.8
    estimate = torch.zeros(1, 4, 64, 64)
    estimate[:, :1, :, 32:] = 1.0
    net.m_tail.register_forward_hook(lambda *_: estimate)
    large = F.interpolate(picture, scale_factor=4.0)
    slopes, offsets = net.spread(net.overview(picture), (256, 256)).chunk(2, 1)
    gain = (slopes * large.mean(1, keepdim=True) + offsets)[0, 0, 128]
    # A plain interpolation of the map is half way at the edge itself.
    assert gain[124] < 0.05 * gain[255]
    assert gain[131] > 0.95 * gain[255]


@pytest.mark.parametrize(("estimate", "gain"), [(0, 0), (0.01, 0.01), (100, 9), (-100, -0.9)])
def test_the_transmission_is_at_least_a_tenth(net, estimate, gain):
    net.m_tail.register_forward_hook(lambda *_: torch.full((1, 4, 32, 32), float(estimate)))
    lines = net.overview(torch.rand(1, 3, 32, 32))
    assert torch.allclose(lines[:, 4], torch.tensor(float(gain)), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "small"),
    [((30, 50), (32, 48)), ((640, 320), (64, 32)), ((1, 1), (8, 8)), ((20, 2000), (8, 64))],
)
def test_the_small_picture_keeps_the_proportions(net, size, small):
    assert net.reduced_size(*size) == small


def test_before_training_little_is_changed(net):
    picture = torch.rand(1, 3, 100, 90)
    assert (net(picture) - picture).abs().mean() < 0.1


def test_too_small_a_side_is_refused():
    with pytest.raises(ValueError, match="8 pixels a side or more, not 4"):
        TransmissionNet(side=4)
