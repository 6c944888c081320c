from functools import partial

import pytest
import torch

from restorekit.nets.dncnn import (
    IRCNN,
    DnCNN,
    FDnCNN,
    adopt,
    infer_config,
    infer_fdncnn,
    infer_ircnn,
)
from tests.golden_files import golden, spec_of

GOLDEN = {
    "dncnn17_gray_r": partial(DnCNN, 1, layers=17),
    "dncnn17_gray_br": partial(DnCNN, 1, layers=17, norm=True),
    "dncnn20_color_r": partial(DnCNN, 3, layers=20),
    "ircnn_gray": partial(IRCNN, 1),
}
SMALL = [
    (DnCNN, infer_config, {"in_channels": 1, "layers": 5}),
    (DnCNN, infer_config, {"in_channels": 3, "layers": 12}),
    (DnCNN, infer_config, {"in_channels": 3, "layers": 7, "norm": True}),
    (DnCNN, infer_config, {"in_channels": 1, "layers": 4, "norm": True, "bias": False}),
    (FDnCNN, infer_fdncnn, {"in_channels": 1, "layers": 4}),
    (FDnCNN, infer_fdncnn, {"in_channels": 3, "layers": 7}),
    (IRCNN, infer_ircnn, {"in_channels": 3}),
]


@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(GOLDEN[name]())
    with torch.inference_mode():
        file.check({"output": net(file.input())})


def test_a_told_noise_level_agrees_with_the_published_code():
    file = golden("fdncnn_color")
    net = file.load_into(FDnCNN(3))
    x = file.input()
    with torch.inference_mode():
        file.check({"output": net(x[:, :3], x[:, 3:])})


def test_the_form_that_returns_the_noise_is_adopted():
    file = golden("dncnn17_saoyan")
    state = adopt(file.weights())
    net = DnCNN(**infer_config(state)).eval()
    assert net.model[0].bias is None
    assert net.model[3].eps == 1e-5
    net.load_state_dict(state)
    x = file.input()
    with torch.inference_mode():
        file.check({"output": x - net(x)})


@pytest.mark.parametrize(("make", "infer", "config"), SMALL)
def test_configuration_is_read_off_the_weights(make, infer, config):
    net = make(**config, channels=6)
    # The order that safetensors files have.
    inferred = infer(dict(sorted(net.state_dict().items())))
    assert inferred.items() >= {**config, "channels": 6}.items()
    assert spec_of(make(**inferred).state_dict()) == spec_of(net.state_dict())


@pytest.mark.parametrize("make", [FDnCNN, IRCNN])
def test_a_relative_is_not_taken_for_a_dncnn(make):
    with pytest.raises(ValueError, match="relative"):
        infer_config(make(3).state_dict())


def test_the_noise_level_is_the_one_set_last():
    torch.manual_seed(0)
    net = FDnCNN(1, channels=4, layers=3, sigma=25.5)
    x = torch.rand(2, 1, 5, 7)
    first = net(x)
    assert torch.equal(first, net(x, 0.1))
    assert torch.equal(first, net(x, torch.full((2, 1, 1, 1), 0.1)))
    net.sigma = 51
    assert torch.equal(net(x), net(x, 0.2))
    assert not torch.equal(net(x), first)


@pytest.mark.parametrize(("make", "config"), [(make, config) for make, _, config in SMALL])
def test_gradients_reach_every_weight(make, config):
    torch.manual_seed(0)
    # In training, a batch norm takes back what the bias before it adds.
    net = make(**config, channels=6).eval()
    net(torch.rand(1, config["in_channels"], 12, 12)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_the_start_keeps_the_signal():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert 0.3 < DnCNN(3).model(x).std() < 4


def test_a_row_of_one_layer_is_refused():
    with pytest.raises(ValueError, match="at least 2 layers, got 1"):
        DnCNN(layers=1)
