import pytest
import torch
import torch.nn.functional as F

from restorekit.nets.mimo_unet import Conv, MIMOUNet, infer_config
from tests.golden_files import golden, spec_of

BLOCKS = {"mimo_unet": 8, "mimo_unet_plus": 20}


def empty(**config):
    with torch.device("meta"):
        return MIMOUNet(**config)


def small_net(dtype=torch.float32):
    torch.manual_seed(1)
    return MIMOUNet(base=8, num_res=2).to(dtype).eval()


def picture(*size, dtype=torch.float64):
    torch.manual_seed(2)
    return torch.rand(*size, dtype=dtype)


@pytest.mark.parametrize("name", BLOCKS)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(empty(num_res=BLOCKS[name]))
    with torch.inference_mode():
        outputs = net(file.input())
    file.check({f"output_{scale}": output for scale, output in enumerate(outputs)})


@pytest.mark.parametrize("config", [(4, 1), (8, 11), (32, 8), (32, 20)])
def test_configuration_is_read_off_the_weights(config):
    net = empty(base=config[0], num_res=config[1])
    inferred = infer_config(net.state_dict())
    assert inferred == {"base": config[0], "num_res": config[1]}
    assert spec_of(empty(**inferred).state_dict()) == spec_of(net.state_dict())


def test_a_convolution_of_several_maps_is_one_of_their_concatenation():
    torch.manual_seed(0)
    layer = Conv(9, 5, 1, relu=False).double()
    first, second, third = (picture(2, 3, 8 >> s, 12 >> s) for s in (0, 1, 2))
    size = first.shape[2:]
    maps = [first, F.interpolate(second, size), F.interpolate(third, size)]
    whole = layer(torch.cat(maps, 1))
    assert torch.allclose(layer(first, second, third), whole, rtol=0, atol=1e-13)


def test_layout_and_batch_change_no_output():
    net = small_net(torch.float64)
    x = picture(2, 3, 12, 20)
    kept = x.clone()
    expected = [torch.cat(same) for same in zip(*map(net, x.split(1)), strict=True)]
    with torch.inference_mode():
        outputs = net(x.contiguous(memory_format=torch.channels_last))
    assert all(map(torch.allclose, outputs, expected))
    assert torch.equal(x, kept)
    assert [y.shape[2:] for y in outputs] == [(3, 5), (6, 10), (12, 20)]


def test_gradients_reach_every_weight():
    net = small_net().train()
    outputs = net(picture(2, 3, 16, 24, dtype=torch.float32))
    sum(output.square().mean() for output in outputs).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("config", [{"base": 6}, {"base": 0}, {"num_res": 0}])
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(ValueError, match="multiple of 4 and at least one block"):
        MIMOUNet(**config)


@pytest.mark.parametrize("size", [(6, 8), (8, 6)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 4, got"):
        small_net()(torch.zeros(1, 3, *size))
