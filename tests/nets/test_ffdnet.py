import pytest
import torch
import torch.nn.functional as F

from restorekit.nets.dncnn import DnCNN
from restorekit.nets.ffdnet import FFDNet, adopt, infer_config
from tests.golden_files import golden, spec_of

GRAY = {"in_channels": 1, "channels": 64, "layers": 15}
SMALL = {"channels": 6, "layers": 4}


@pytest.mark.parametrize(("name", "config"), [("ffdnet_color", {}), ("ffdnet_gray", GRAY)])
def test_agrees_with_the_published_code(name, config):
    file = golden(name)
    net = file.load_into(FFDNet(**config))
    with torch.inference_mode():
        file.check({"output": net(file.input(), file.input("sigma"))})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("residual", [True, False])
def test_configuration_is_read_off_the_weights(channels, residual):
    net = FFDNet(channels, **SMALL, residual=residual)
    config = infer_config(dict(sorted(net.state_dict().items())))
    assert config.items() >= {"in_channels": channels, "residual": residual, **SMALL}.items()
    assert spec_of(FFDNet(**config).state_dict()) == spec_of(net.state_dict())


def test_a_relative_is_not_taken_for_an_ffdnet():
    with pytest.raises(ValueError, match="relative"):
        infer_config(DnCNN(channels=4, layers=3).state_dict())


@pytest.mark.parametrize("channels", [1, 3])
def test_the_layout_of_the_port_is_adopted(channels):
    """The port puts one noise map for each channel first, and returns the noise."""
    torch.manual_seed(0)
    net = FFDNet(channels, **SMALL, residual=True).eval()
    theirs = torch.nn.Conv2d(5 * channels, 6, 3, padding=1, bias=False)
    port = {f"intermediate_dncnn.itermediate_{k}": v for k, v in renamed(net.state_dict()).items()}
    port["intermediate_dncnn.itermediate_dncnn.0.weight"] = theirs.weight.detach()
    net.load_state_dict(adopt(port))
    x, sigma = torch.rand(2, channels, 8, 10), 0.1
    maps = torch.full((2, channels, 4, 5), sigma)
    with torch.inference_mode():
        y = theirs(torch.cat([maps, F.pixel_unshuffle(x, 2)], 1))
        expected = x - F.pixel_shuffle(net.model[1:](y), 2)
        assert torch.allclose(net(x, sigma), expected, atol=1e-5)
    assert infer_config(adopt(port))["residual"]


def renamed(state):
    return {key.replace("model", "dncnn", 1): value for key, value in state.items()}


def test_the_noise_level_is_the_one_set_last():
    torch.manual_seed(0)
    net = FFDNet(1, **SMALL, sigma=25.5)
    x = torch.rand(2, 1, 5, 7)
    first = net(x)
    assert torch.equal(first, net(x, 0.1))
    net.sigma = 51
    assert torch.equal(net(x), net(x, 0.2))
    assert not torch.equal(net(x), first)
    both = net(x, torch.tensor([0.1, 0.2])[:, None, None, None])
    assert torch.allclose(both[0], first[0], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 6), (7, 9)])
def test_any_size_is_restored(size):
    assert FFDNet(**SMALL)(torch.rand(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("residual", [True, False])
def test_gradients_reach_every_weight(residual):
    torch.manual_seed(0)
    net = FFDNet(**SMALL, residual=residual)
    net(torch.rand(2, 3, 12, 12)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
