import pytest
import torch

from restorekit.nets.rrdbnet import RRDBNet, adopt, infer_config
from tests.golden_files import golden

GOLDEN = {
    "rrdbnet_x1_nb3": {"scale": 1, "blocks": 3, "unshuffle": 4},
    "rrdbnet_x2_nb23": {"scale": 2, "unshuffle": 2},
    "rrdbnet_x4_nb3": {"blocks": 3},
    "rrdbnet_x4_nb6": {"blocks": 6},
    "rrdbnet_x4_nb23": {},
}
SMALL = {"channels": 8, "blocks": 2, "growth": 4}
SCALES = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (4, 1), (8, 1)]


@pytest.mark.parametrize("name", GOLDEN)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(RRDBNet(**GOLDEN[name]))
    with torch.inference_mode():
        file.check({"output": net(file.input())})


@pytest.mark.parametrize(
    ("name", "blocks"), [("esrgan_old_arch_x4_nb23", 23), ("esrgan_mid_arch_x4_nb3", 3)]
)
def test_the_layouts_before_are_adopted(name, blocks):
    file = golden(name)
    state = adopt(file.weights())
    config = infer_config(state)
    assert (config["scale"], config["blocks"]) == (4, blocks)
    net = RRDBNet(**config)
    net.load_state_dict(state, assign=True)
    with torch.inference_mode():
        file.check({"output": net(file.input())})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_early_layout_counts_its_doublings(count):
    state = RRDBNet(**SMALL, scale=2**count).state_dict()
    early = {_early(key, count): value for key, value in state.items()}
    assert len(early) == len(state)
    ours = adopt(early)
    assert ours.keys() == state.keys()
    assert all(ours[key] is value for key, value in state.items())


def _early(key, count):
    """Translate a key: activations and enlargements have no weights but count as layers."""
    name, _, kind = key.rpartition(".")
    layers = {"conv_first": 0, "conv_hr": 3 * count + 2, "conv_last": 3 * count + 4}
    layers |= {f"conv_up{index}": 3 * index for index in range(1, count + 1)}
    if name in layers:
        return f"model.{layers[name]}.{kind}"
    if name == "conv_body":
        return f"model.1.sub.{SMALL['blocks']}.{kind}"
    return f"model.1.sub.{name.removeprefix('body.').replace('rdb', 'RDB')}.0.{kind}"


def test_other_layouts_are_left_alone():
    state = RRDBNet(**SMALL).state_dict()
    assert adopt(state) is state


@pytest.mark.parametrize(("scale", "unshuffle"), SCALES)
def test_configuration_is_read_off_the_weights(scale, unshuffle):
    config = {"in_channels": 3, "out_channels": 3, "scale": scale, "unshuffle": unshuffle, **SMALL}
    net = RRDBNet(**config)
    assert infer_config(net.state_dict()) == config
    x = torch.rand(1, 3, 4 * unshuffle, 5 * unshuffle)
    with torch.inference_mode():
        assert net(x).shape == (1, 3, x.shape[2] * scale, x.shape[3] * scale)


@pytest.mark.parametrize(("scale", "unshuffle"), [(3, 1), (2, 3), (0, 1)])
def test_scales_that_are_no_doublings_are_refused(scale, unshuffle):
    with pytest.raises(ValueError, match="power of two"):
        RRDBNet(**SMALL, scale=scale, unshuffle=unshuffle)


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    net = RRDBNet(**SMALL)
    net(torch.rand(1, 3, 6, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
