import math
import zlib

import numpy as np
import pytest
import torch

from restorekit.nets.sfnet import FRACTIONS, LocalStatistics, SFNet, infer_config
from tests.golden_files import golden, names, spec_of

LAYOUTS = [torch.contiguous_format, torch.channels_last]

# Of the published code in float64, with the weights and the picture of `vector_net`,
# `vector_picture`: mean, standard deviation and three samples of an output.
SMALL_GLOBAL = [
    (0.34220124, 0.38983038, 0.28832905, -0.18547257, 0.08307201),
    (0.47055286, 0.35233909, 0.48631845, 0.08632866, 0.31527605),
    (0.71530278, 0.35487099, 0.67729570, 0.20012951, 0.75125266),
]
# Full-size output of a 64x64 picture, and of a 96x64 one with the window of the first.
LARGE_GOPRO = [
    (0.67315716, 0.37153734, 0.92069179, 0.08072599, 0.66093940),
    (0.66976181, 0.36987644, 0.92064901, 1.09224912, 0.38529384),
]


def empty(**config):
    with torch.device("meta"):
        return SFNet(**config)


def small_net(num_res=2, dtype=torch.float32):
    """A narrow net in which every branch has a say."""
    torch.manual_seed(1)
    net = SFNet(base=16, num_res=num_res).to(dtype).eval()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 1:
                weight += 0.3 * torch.randn_like(weight)
    return net


def picture(*size, layout=torch.contiguous_format, dtype=torch.float32):
    torch.manual_seed(2)
    return torch.rand(*size, dtype=dtype).contiguous(memory_format=layout)


def vector_net(num_res):
    net = empty(num_res=num_res)
    state = {key: vector_weight(key, value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict(state, assign=True)
    return net.eval().double()


def vector_weight(key, shape):
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    noise = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(tuple(shape))
    if len(shape) == 4:
        noise *= 0.5 / math.sqrt(math.prod(shape[1:]))
    elif key.endswith("running_var"):
        noise = 0.5 + abs(noise)
    else:
        noise = 0.1 * noise + key.endswith(("bn.weight", "main.4.weight"))
    return torch.from_numpy(noise).float()


def vector_picture(height, width):
    i, j = torch.arange(height).double()[:, None], torch.arange(width).double()
    channels = [0.5 + 0.5 * torch.sin(0.1 * i * (c + 1) + 0.17 * j + c) for c in range(3)]
    return torch.stack(channels)[None]


def summary(y):
    samples = (y[0, 0, 0, 0], y[0, 1, y.shape[2] // 2, y.shape[3] // 3], y[0, 2, -1, -1])
    return tuple(map(float, (y.mean(), y.std(correction=0), *samples)))


@pytest.mark.parametrize("name", names("sfnet"))
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(empty())
    phase, data = file.arguments.get("mode", ("train", None))
    if phase == "test" and data in FRACTIONS:
        first = file.input("first" if "first" in file.tensors else "input")
        net.statistics = LocalStatistics(*first.shape[-2:], FRACTIONS[data])
    with torch.inference_mode():
        outputs = net(file.input())
    file.check({f"output_{scale}": output for scale, output in enumerate(outputs)})


def test_agrees_with_the_published_code_in_float64():
    with torch.inference_mode():
        outputs = vector_net(num_res=2)(vector_picture(64, 64))
    for output, expected in zip(outputs, SMALL_GLOBAL, strict=True):
        assert summary(output) == pytest.approx(expected, abs=1e-8)


def test_agrees_with_the_published_code_in_float64_on_a_second_picture():
    net = vector_net(num_res=16)
    net.statistics = LocalStatistics(64, 64, FRACTIONS["GOPRO"])
    with torch.inference_mode():
        for size, expected in zip([(64, 64), (96, 64)], LARGE_GOPRO, strict=True):
            assert summary(net(vector_picture(*size))[-1]) == pytest.approx(expected, abs=1e-8)


def test_full_size_is_that_of_the_paper():
    net = empty()
    assert sum(p.numel() for p in net.parameters()) == 13_271_209
    assert len(net.state_dict()) == 1004


@pytest.mark.parametrize("config", [(16, 1), (16, 3), (32, 2), (48, 1), (32, 16)])
def test_configuration_is_read_off_the_weights(config):
    net = empty(base=config[0], num_res=config[1])
    inferred = infer_config(net.state_dict())
    assert inferred == {"base": config[0], "num_res": config[1]}
    assert spec_of(empty(**inferred).state_dict()) == spec_of(net.state_dict())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("statistics", [None, LocalStatistics(32, 48, 80)])
def test_layout_and_gradients_change_no_output(layout, statistics):
    net = small_net(dtype=torch.float64)
    net.statistics = statistics
    expected = net(picture(2, 3, 32, 48, dtype=torch.float64))
    x = picture(2, 3, 32, 48, layout=layout, dtype=torch.float64)
    kept = x.clone()
    with torch.inference_mode():
        for output, other in zip(net(x), expected, strict=True):
            assert torch.allclose(output, other, rtol=0, atol=1e-12)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("statistics", [None, LocalStatistics(24, 24, 110)])
def test_pictures_of_a_batch_do_not_see_each_other(layout, statistics):
    net = small_net(dtype=torch.float64)
    net.statistics = statistics
    x = picture(3, 3, 24, 32, layout=layout, dtype=torch.float64)
    with torch.inference_mode():
        alone = torch.cat([net(one)[-1] for one in x.split(1)])
        assert torch.allclose(net(x)[-1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("statistics", [None, LocalStatistics(40, 24, 110)])
def test_results_do_not_depend_on_the_order_of_pictures(statistics):
    net = small_net()
    net.statistics = statistics
    sizes = [(24, 24), (40, 32), (16, 56)]
    with torch.inference_mode():
        first = [net(picture(1, 3, *size))[-1] for size in sizes]
        second = [net(picture(1, 3, *size))[-1] for size in reversed(sizes)]
    assert all(map(torch.equal, first, reversed(second)))


def test_a_window_as_large_as_the_picture_is_global():
    net = small_net(dtype=torch.float64)
    x = picture(1, 3, 24, 40, dtype=torch.float64)
    with torch.inference_mode():
        expected = net(x)[-1]
        net.statistics = LocalStatistics(256, 256)
        assert torch.allclose(net(x)[-1], expected, rtol=0, atol=1e-12)
        net.statistics = LocalStatistics(24, 40, 200)
        assert (net(x)[-1] - expected).abs().max() > 1e-3


@pytest.mark.parametrize("statistics", [None, LocalStatistics(16, 24, 110)])
def test_gradients_reach_every_weight(statistics):
    net = small_net().train()
    net.statistics = statistics
    sum(output.square().mean() for output in net(picture(2, 3, 16, 24))).backward()
    # The bias in front of a normalisation cancels, the unused scales are frozen.
    blind = {"SCM1.main.3.main.0.bias", "SCM2.main.3.main.0.bias"}
    unused = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert all("lamb_" in name for name in unused)
    assert len(unused) == 24
    for name, weight in net.named_parameters():
        if name not in blind | unused:
            assert weight.grad is not None, name
            assert weight.grad.any(), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.02), (torch.float16, 0.002)])
@pytest.mark.parametrize("statistics", [None, LocalStatistics(64, 64, 80)])
def test_autocast_costs_little(dtype, tolerance, statistics):
    net = small_net()
    net.statistics = statistics
    x = picture(1, 3, 64, 64)
    with torch.inference_mode():
        expected = net(x)[-1]
        with torch.autocast("cpu", dtype):
            assert (net(x)[-1] - expected).abs().max() < tolerance


@pytest.mark.parametrize("config", [{"base": 24}, {"base": 0}, {"num_res": 0}])
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(ValueError, match="multiple of 16"):
        SFNet(**config)


@pytest.mark.parametrize("size", [(60, 64), (64, 60), (8, 64)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 8 and at least 16"):
        small_net(num_res=1)(torch.zeros(1, 3, *size))
