import pytest
import torch
import torch.nn.functional as F

from restorekit.nets.nafnet import NAFNet, infer_config, local_statistics
from restorekit.nets.tlc import LocalStatistics
from tests.golden_files import golden, names, spec_of

SMALL = {
    "in_channels": 3,
    "width": 4,
    "encoder_blocks": (1, 2),
    "middle_blocks": 1,
    "decoder_blocks": (2, 1),
}


def published(arguments):
    with torch.device("meta"):
        return NAFNet(
            arguments["img_channel"],
            arguments["width"],
            arguments["enc_blk_nums"],
            arguments["middle_blk_num"],
            arguments["dec_blk_nums"],
        )


def small_net(dtype=torch.float64, **config):
    """A narrow net in which every branch has a say."""
    torch.manual_seed(1)
    net = NAFNet(**SMALL | config).to(dtype).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.2 * torch.randn_like(weight)
    return net


def picture(*size, dtype=torch.float64):
    torch.manual_seed(2)
    return torch.rand(*size, dtype=dtype)


@pytest.mark.parametrize("name", names("nafnet"))
def test_agrees_with_the_published_code(name):
    file = golden(name)
    net = file.load_into(published(file.arguments))
    if "train_size" in file.arguments:
        net.statistics = local_statistics(file.arguments["train_size"][-1])
    x = file.input()
    height, width = x.shape[-2:]
    # The published net pads by itself, with zeros.
    padded = F.pad(x, (0, -width % 16, 0, -height % 16))
    with torch.inference_mode():
        output = net(padded.contiguous(memory_format=torch.channels_last))
    file.check({"output": output[..., :height, :width]})


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        {**SMALL, "in_channels": 1, "width": 2},
        {**SMALL, "encoder_blocks": (2, 2, 4, 8), "decoder_blocks": (2, 2, 2, 2)},
        {**SMALL, "encoder_blocks": (11,), "decoder_blocks": (1,), "middle_blocks": 12},
        {**SMALL, "encoder_blocks": (0, 1), "middle_blocks": 0},
    ],
)
def test_configuration_is_read_off_the_weights(config):
    net = NAFNet(**config)
    assert infer_config(net.state_dict()) == config
    assert spec_of(NAFNet(**config).state_dict()) == spec_of(net.state_dict())


def test_untrained_blocks_pass_the_features_on():
    torch.manual_seed(0)
    net = NAFNet(**SMALL)
    y = torch.rand(1, 4, 8, 8)
    assert torch.equal(net.encoders[0][0](y, None), y)


@pytest.mark.parametrize("statistics", [None, LocalStatistics(8, 12)])
def test_layout_and_batch_change_no_output(statistics):
    net = small_net()
    net.statistics = statistics
    x = picture(2, 3, 16, 24)
    expected = torch.cat([net(one) for one in x.split(1)])
    with torch.inference_mode():
        output = net(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(output, expected, rtol=0, atol=1e-12)


def test_a_window_matters_only_beyond_its_sides():
    net = small_net()
    x = picture(1, 3, 24, 24)
    expected = net(x)
    net.statistics = local_statistics(16)
    assert torch.allclose(net(x), expected, rtol=0, atol=1e-12)
    net.statistics = local_statistics(12)
    assert (net(x) - expected).abs().max() > 1e-4


def test_the_window_is_one_and_a_half_crops():
    assert [local_statistics().window(scale) for scale in (1, 2, 16)] == [
        (384, 384),
        (192, 192),
        (24, 24),
    ]


@pytest.mark.parametrize("statistics", [None, LocalStatistics(8, 8)])
def test_gradients_reach_every_weight(statistics):
    net = small_net(torch.float32).train()
    net.statistics = statistics
    net(picture(2, 3, 16, 16, dtype=torch.float32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    "config",
    [
        {"encoder_blocks": (1, 1)},
        {"encoder_blocks": (), "decoder_blocks": ()},
        {"encoder_blocks": (1,) * 5, "decoder_blocks": (1,) * 5},
    ],
)
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(ValueError, match="one to 4 scales"):
        NAFNet(**{**config, "width": 2})


@pytest.mark.parametrize("size", [(6, 8), (8, 6)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=r"multiples of 4, got"):
        small_net(torch.float32)(torch.zeros(1, 3, *size))
