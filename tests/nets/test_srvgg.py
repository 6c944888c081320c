import pytest
import torch
import torch.nn.functional as F

from restorekit.nets.srvgg import SRVGGNet, infer_config
from tests.golden_files import golden, spec_of

GOLDEN = {
    "srvgg_x2_nc16_leaky": {"scale": 2, "prelu": False},
    "srvgg_x4_nc16": {},
    "srvgg_x4_nc32": {"convs": 32},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(SRVGGNet(**GOLDEN[name]))
    with torch.inference_mode():
        file.check({"output": net(file.input())})


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("prelu", [True, False])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_configuration_is_read_off_the_weights(scale, prelu, in_channels):
    config = {"in_channels": in_channels, "scale": scale, "channels": 6, "convs": 11}
    net = SRVGGNet(**config, prelu=prelu)
    inferred = infer_config(dict(sorted(net.state_dict().items())))
    assert inferred == {**config, "prelu": prelu}
    assert spec_of(SRVGGNet(**inferred).state_dict()) == spec_of(net.state_dict())


def test_without_a_last_layer_it_repeats_pixels():
    net = SRVGGNet(channels=4, convs=1, scale=3)
    torch.nn.init.zeros_(net.body[-1].weight)
    torch.nn.init.zeros_(net.body[-1].bias)
    x = torch.rand(1, 3, 4, 5)
    assert torch.equal(net(x), F.interpolate(x, scale_factor=3))


@pytest.mark.parametrize("prelu", [True, False])
def test_gradients_reach_every_weight(prelu):
    torch.manual_seed(0)
    net = SRVGGNet(channels=6, convs=3, prelu=prelu)
    net(torch.rand(1, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
