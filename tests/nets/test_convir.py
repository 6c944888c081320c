import pytest
import torch

from restorekit.nets.convir import ConvIR, Filter, infer_config
from tests.golden_files import golden, spec_of

RAIN = (3, 7, 9)
CONFIGS = {
    "convir_derain": {"num_res": 16, "dilations": RAIN},
    "convir_s_its": {"num_res": 4},
    "convir_s_desnow": {"num_res": 4},
}


def empty(**config):
    with torch.device("meta"):
        return ConvIR(**config)


@pytest.mark.parametrize("name", CONFIGS)
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(empty(**CONFIGS[name]))
    with torch.inference_mode():
        outputs = net(file.input())
    file.check({f"output_{scale}": output for scale, output in enumerate(outputs)})


@pytest.mark.parametrize(("num_res", "millions"), [(4, 5.53), (8, 8.63), (16, 14.83)])
def test_configuration_is_read_off_the_weights(num_res, millions):
    net = empty(num_res=num_res)
    inferred = infer_config(net.state_dict())
    assert inferred == {"base": 32, "num_res": num_res, "dilations": (7, 9, 11)}
    assert spec_of(empty(**inferred).state_dict()) == spec_of(net.state_dict())
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_the_low_pass_is_a_dilated_convolution(axes):
    torch.manual_seed(0)
    layer = Filter(16, axes, reach=2)
    x = torch.rand(2, 16, 7, 9)
    taps = torch.rand(2, 8 * 3 ** len(axes), 1, 1)
    size = [3 if axis in axes else 1 for axis in (-2, -1)]
    kernels = taps.view(16, 1, *size).repeat_interleave(2, 0)
    margins = [2 * (axis in axes) for axis in (-1, -1, -2, -2)]
    wide = torch.nn.functional.pad(x, margins, mode="reflect").flatten(0, 1)[None]
    expected = torch.nn.functional.conv2d(wide, kernels, groups=32, dilation=2).view_as(x)
    assert torch.allclose(layer._low_pass(x, taps), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_res": 0}, "at least one block a stage"),
        ({"base": 12}, "a base that is a multiple of 8"),
        ({"dilations": (1, 2)}, "needs 3 dilations"),
        ({"dilations": (0, 1, 2)}, "needs 3 dilations"),
    ],
)
def test_an_impossible_configuration_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        ConvIR(**config)


def test_its_means_have_no_window_to_be_told():
    assert not hasattr(ConvIR(base=8, num_res=1), "statistics")


@pytest.mark.parametrize(("dilations", "least"), [((7, 9, 11), 256), (RAIN, 128), ((1, 1, 1), 64)])
def test_the_least_size_follows_from_the_dilations(dilations, least):
    net = ConvIR(base=16, num_res=1, dilations=dilations)
    for size in [(least, least - 32), (least + 8, least)]:
        with pytest.raises(ValueError, match=f"multiples of 32 and at least {least}"):
            net(torch.zeros(1, 3, *size))
