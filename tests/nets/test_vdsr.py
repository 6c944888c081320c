import pytest
import torch

from restorekit.nets.srcnn import enlarge
from restorekit.nets.vdsr import VDSR, infer_config
from tests.golden_files import spec_of

SMALL = {"channels": 6, "layers": 4}


def test_weights_are_counted_in_the_paper():
    assert sum(p.numel() for p in VDSR().parameters()) == 664_704


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("layers", [2, 13])
def test_configuration_is_read_off_the_weights(in_channels, layers):
    net = VDSR(in_channels, 2, 6, layers)
    config = infer_config(net.state_dict())
    assert config == {"in_channels": in_channels, "scale": 2, "channels": 6, "layers": layers}
    assert spec_of(VDSR(**config).state_dict()) == spec_of(net.state_dict())


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_one_net_enlarges_at_every_scale(scale):
    net = VDSR(3, **SMALL)
    net.scale = scale
    torch.nn.init.zeros_(net.output.weight)
    x = torch.rand(1, 3, 5, 7)
    assert net(x).shape == (1, 3, 5 * scale, 7 * scale)
    assert torch.equal(net(x), enlarge(x, scale))


def test_one_layer_is_refused():
    with pytest.raises(ValueError, match="at least 2 layers, got 1"):
        VDSR(layers=1)


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    net = VDSR(**SMALL)
    net(torch.rand(1, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
