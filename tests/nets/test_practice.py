import pytest
import torch

from restorekit.nets.practice import PracticeNet, infer_config
from tests.golden_files import spec_of

PLAIN: dict[str, bool] = {}
SKIP = {"skip": True}
NORM = {"skip": True, "norm": True}
FORMS = [(layers, form) for layers in (4, 5, 12) for form in (PLAIN, SKIP, NORM)]


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(PLAIN, 114_307), (SKIP, 114_307), (NORM, 114_819), ({**NORM, "layers": 4}, 77_763)],
)
def test_parameters_are_those_of_the_exercise(config, parameters):
    assert sum(p.numel() for p in PracticeNet(**config).parameters()) == parameters


@pytest.mark.parametrize(("layers", "form"), FORMS)
def test_configuration_is_read_off_the_weights(layers, form):
    net = PracticeNet(1, 6, layers, **form)
    config = infer_config(dict(sorted(net.state_dict().items())))
    expected = {"in_channels": 1, "channels": 6, "layers": layers, "skip": False, "norm": False}
    assert config == {**expected, **form}
    assert spec_of(PracticeNet(**config).state_dict()) == spec_of(net.state_dict())


@pytest.mark.parametrize("layers", [2, 5])
def test_a_pixel_sees_as_far_as_there_are_layers(layers):
    net = PracticeNet(1, 6, layers)
    x = torch.rand(1, 1, 31, 31, requires_grad=True)
    net(x)[0, 0, 15, 15].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero()
    assert (rows.min(), rows.max()) == (15 - layers, 15 + layers)


def test_only_the_skip_starts_from_the_noisy_picture():
    x = torch.rand(1, 3, 6, 7)
    for skip, expected in ((True, x), (False, torch.zeros_like(x))):
        net = PracticeNet(channels=4, skip=skip)
        torch.nn.init.zeros_(net.stack[-1].weight)
        assert torch.equal(net(x), expected)


@pytest.mark.parametrize("form", [PLAIN, SKIP, NORM])
def test_gradients_reach_every_weight(form):
    torch.manual_seed(0)
    # In training, a batch norm takes back what the bias before it adds.
    net = PracticeNet(channels=6, **form).eval()
    net(torch.rand(1, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_one_layer_is_refused():
    with pytest.raises(ValueError, match="at least 2 layers, got 1"):
        PracticeNet(layers=1)
