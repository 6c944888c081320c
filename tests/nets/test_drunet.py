import pytest
import torch

from restorekit.nets.blocks import enlarge
from restorekit.nets.drunet import DRUNet, infer_config
from tests.golden_files import golden, spec_of

SMALL = {"in_channels": 3, "out_channels": 3, "widths": (4, 6, 8, 10), "blocks": 1}


@pytest.mark.parametrize(("name", "channels"), [("drunet_color", 3), ("drunet_gray", 1)])
def test_agrees_with_the_published_code(name, channels):
    file = golden(name)
    net = file.load_into(DRUNet(in_channels=channels + 1, out_channels=channels))
    with torch.inference_mode():
        file.check({"output": net(file.input())})


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "shape",
    [SMALL, {"in_channels": 2, "out_channels": 1, "widths": (3, 5, 7, 9), "blocks": 3}],
)
def test_configuration_is_read_off_the_weights(shape, residual, bias):
    net = DRUNet(**shape, residual=residual, bias=bias)
    config = infer_config(net.state_dict())
    told = {"sigma": 25} if shape["in_channels"] > shape["out_channels"] else {}
    assert config == {**shape, "residual": residual, "bias": bias, **told}
    assert spec_of(DRUNet(**config).state_dict()) == spec_of(net.state_dict())


def test_a_picture_without_a_noise_map_gets_one():
    torch.manual_seed(0)
    net = DRUNet(**{**SMALL, "in_channels": 4}, sigma=51)
    x = torch.rand(2, 3, 8, 16)
    with torch.inference_mode():
        assert torch.equal(net(x), net(torch.cat([x, torch.full((2, 1, 8, 16), 0.2)], 1)))
        net.sigma = 0
        assert torch.equal(net(x), net(torch.cat([x, torch.zeros(2, 1, 8, 16)], 1)))


@pytest.mark.parametrize("sigma", [-1, 256])
def test_an_impossible_noise_level_is_refused(sigma):
    with pytest.raises(ValueError, match="noise level in units of 1/255, 0 to 255, got"):
        DRUNet(**SMALL, sigma=sigma)


def test_the_residual_form_starts_near_the_identity():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 40)
    with torch.inference_mode():
        difference = DRUNet(**SMALL, residual=True, bias=True)(x) - x
    assert 0 < difference.abs().max() < 0.5


def test_the_start_keeps_the_variance_of_the_features():
    torch.manual_seed(0)
    net = DRUNet(3, 3, (16, 48, 96, 160), 2, residual=True, bias=True)
    scales = []
    net.m_body.register_forward_hook(lambda *call: scales.append(call[2].std()))
    with torch.inference_mode():
        net(torch.randn(2, 3, 64, 64))
    assert 0.5 < scales[0] < 3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_with_a_scale_it_corrects_a_bicubic_enlargement(scale):
    torch.manual_seed(0)
    net = DRUNet(**SMALL, residual=True, bias=True, scale=scale)
    plain = DRUNet(**SMALL, residual=True, bias=True)
    plain.load_state_dict(net.state_dict())
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        assert torch.equal(net(x), plain(enlarge(x, scale)))


def test_a_scale_below_one_is_refused():
    with pytest.raises(ValueError, match="got scale 0"):
        DRUNet(**SMALL, scale=0)


def test_other_than_four_scales_are_refused():
    with pytest.raises(ValueError, match="4 scales"):
        DRUNet(widths=(8, 16, 32))


def test_gradients_reach_every_weight():
    net = DRUNet(**SMALL, residual=True, bias=True)
    net(torch.rand(1, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
