import pytest
import torch
import torch.nn.functional as F

from restorekit.inference.memory import measure
from restorekit.nets import restormer
from restorekit.nets.restormer import Attention, FeedForward, Norm, Restormer, infer_config
from restorekit.nets.tlc import LocalStatistics
from tests.golden_files import golden, names, spec_of

SMALL = {
    "in_channels": 3,
    "out_channels": 3,
    "width": 4,
    "blocks": (1, 2, 1, 1),
    "refinement": 1,
    "heads": (1, 2, 2, 4),
    "expansion": 2.66,
    "bias": False,
    "biased": True,
    "dual_pixel": False,
}
DUAL = {"in_channels": 6, "dual_pixel": True}


def empty(**config):
    with torch.device("meta"):
        return Restormer(**config)


def shaken(module):
    """Give every weight a say, in float64."""
    torch.manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.2 * torch.randn_like(weight)
    return module


def small_net(**config):
    return shaken(Restormer(**SMALL | config))


def picture(*size):
    torch.manual_seed(2)
    return torch.rand(*size, dtype=torch.float64)


def gathered(x, pieces):
    sums = torch.zeros_like(x)
    for box, piece in pieces:
        sums[..., *box] += piece
    return sums


def literal_attention(layer, x):
    """The formula of the paper for the whole of `x`, from the depthwise convolution on."""
    heads = len(layer.temperature)
    q, k, v = (part.unflatten(1, (heads, -1)).flatten(3) for part in x.chunk(3, 1))
    likeness = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * layer.temperature
    y = likeness.softmax(-1) @ v
    return y.flatten(1, 2).unflatten(2, x.shape[2:])


@pytest.mark.parametrize("name", names("restormer"))
def test_agrees_with_the_published_code(name):
    file = golden(name)
    theirs = file.arguments
    net = empty(
        in_channels=theirs["inp_channels"],
        out_channels=theirs["out_channels"],
        biased=theirs["LayerNorm_type"] == "WithBias",
        dual_pixel=theirs["dual_pixel_task"],
    )
    file.load_into(net)
    with torch.inference_mode():
        file.check({"output": net(file.input())})


@pytest.mark.parametrize(
    ("config", "parameters", "tensors"),
    [
        ({}, 26_126_644, 494),
        ({"biased": False}, 26_111_668, 406),
        ({"biased": False, "in_channels": 1, "out_channels": 1}, 26_109_076, 406),
        (DUAL, 26_132_548, 495),
        ({"blocks": (2, 4, 4, 6)}, 19_938_836, 340),
    ],
)
def test_parameters_are_those_of_the_published_forms(config, parameters, tensors):
    state = empty(**config).state_dict()
    assert (sum(value.numel() for value in state.values()), len(state)) == (parameters, tensors)


@pytest.mark.parametrize(
    "config",
    [
        {},
        DUAL,
        {"in_channels": 1, "out_channels": 1, "biased": False},
        {"bias": True, "expansion": 2},
        {"bias": True, "biased": False, "blocks": (2, 3, 4, 11), "refinement": 4},
        {"width": 48, "heads": (1, 2, 4, 8), "expansion": 3.0},
    ],
)
def test_configuration_is_read_off_the_weights(config):
    net = empty(**SMALL | config)
    inferred = infer_config(net.state_dict())
    expected = SMALL | config
    # Few channels tell 2.66 from no shorter factor.
    factor = inferred.pop("expansion")
    assert inferred == {key: value for key, value in expected.items() if key != "expansion"}
    assert spec_of(empty(**inferred, expansion=factor).state_dict()) == spec_of(net.state_dict())


def test_the_published_expansion_is_read_off_the_weights():
    assert infer_config(empty().state_dict())["expansion"] == 2.66


def test_a_factor_that_no_net_has_is_refused():
    state = empty(**SMALL).state_dict()
    state["latent.0.ffn.project_out.weight"] = torch.zeros(32, 7, 1, 1)
    with pytest.raises(ValueError, match="no factor leads"):
        infer_config(state)


@pytest.mark.parametrize("biased", [True, False])
def test_normalisation_is_over_the_channels_of_a_pixel(biased):
    norm, x = shaken(Norm(5, biased)), 3 + picture(2, 5, 3, 4)
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    expected = (x - mean if biased else x) / (variance + 1e-5).sqrt()
    expected = expected * norm.body.weight[:, None, None]
    if biased:
        expected = expected + norm.body.bias[:, None, None]
    assert torch.allclose(norm(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("strip", [1, 40, 10**6])
def test_attention_is_the_formula_in_strips_of_any_height(monkeypatch, bias, strip):
    monkeypatch.setattr(restormer, "STRIP_PIXELS", strip)
    layer, x = shaken(Attention(6, 3, bias)), picture(2, 6, 9, 11)
    with torch.inference_mode():
        wide = layer.qkv_dwconv(layer.qkv(x))
        expected = layer.project_out(literal_attention(layer, wide))
        assert torch.allclose(gathered(x, layer(x, None)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("strip", [7, 10**6])
@pytest.mark.parametrize("bias", [True, False])
def test_local_attention_averages_windows_that_overlap(monkeypatch, bias, strip):
    monkeypatch.setattr(restormer, "STRIP_PIXELS", strip)
    layer, x = shaken(Attention(4, 2, bias)), picture(2, 4, 10, 7)
    # Three windows of four rows for ten, two of five columns for seven.
    rows, columns = [slice(0, 4), slice(3, 7), slice(6, 10)], [slice(0, 5), slice(2, 7)]
    with torch.inference_mode():
        wide = layer.qkv_dwconv(layer.qkv(x))
        sums, covers = torch.zeros_like(x), torch.zeros_like(x)
        for row in rows:
            for column in columns:
                sums[..., row, column] += literal_attention(layer, wide[..., row, column])
                covers[..., row, column] += 1
        expected = layer.project_out(sums / covers)
        assert torch.allclose(gathered(x, layer(x, (4, 5))), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("strip", [1, 40, 10**6])
def test_the_gated_layer_is_the_formula_in_strips_of_any_height(monkeypatch, bias, strip):
    monkeypatch.setattr(restormer, "STRIP_PIXELS", strip)
    layer, x = shaken(FeedForward(4, 7, bias)), picture(2, 4, 9, 11)
    with torch.inference_mode():
        gate, y = layer.dwconv(layer.project_in(x)).chunk(2, 1)
        expected = layer.project_out(F.gelu(gate) * y)
        assert torch.allclose(gathered(x, layer(x)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", [{}, DUAL, {"biased": False, "bias": True}])
@pytest.mark.parametrize("statistics", [None, LocalStatistics(16, 24)])
def test_layout_gradients_strips_and_batch_change_no_output(monkeypatch, config, statistics):
    net = small_net(**config)
    net.statistics = statistics
    x = picture(2, (SMALL | config)["in_channels"], 24, 32)
    kept = x.clone()
    expected = torch.cat([net(one) for one in x.split(1)])
    monkeypatch.setattr(restormer, "STRIP_PIXELS", 100)
    for layout in (torch.contiguous_format, torch.channels_last):
        with torch.inference_mode():
            output = net(x.contiguous(memory_format=layout))
        assert torch.allclose(output, expected, rtol=0, atol=1e-11)
    assert torch.equal(x, kept)


def test_a_large_picture_needs_little_more_than_its_features(monkeypatch):
    """The finest scale has 96 features of 4 bytes; its gates, made at once, would be 510 more."""
    net = Restormer(blocks=(1, 1, 1, 1), refinement=1).eval()
    monkeypatch.setattr(restormer, "STRIP_PIXELS", 1 << 30)
    whole = measure(net, 3).per_pixel
    monkeypatch.setattr(restormer, "STRIP_PIXELS", 512)
    in_strips = measure(net, 3).per_pixel
    assert in_strips < 4 * 96 * 4 < whole / 3


def test_a_window_matters_only_beyond_its_sides():
    net = small_net()
    x = picture(1, 3, 32, 40)
    expected = net(x)
    net.statistics = LocalStatistics(32, 40)
    assert torch.equal(net(x), expected)
    net.statistics = LocalStatistics(32, 32)
    assert (net(x) - expected).abs().max() > 1e-4


def test_channels_of_zeros_do_no_harm():
    layer = shaken(Attention(4, 2, False))
    x = torch.zeros(1, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    y = gathered(x, layer(x, None))
    y.sum().backward()
    assert not y.any()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("config", [{}, DUAL, {"biased": False, "bias": True}])
@pytest.mark.parametrize("statistics", [None, LocalStatistics(16, 16)])
def test_gradients_reach_every_weight(config, statistics):
    net = small_net(**config).train()
    net.statistics = statistics
    net(picture(2, (SMALL | config)["in_channels"], 24, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"blocks": (1, 1, 1)}, "4 numbers of blocks and heads"),
        ({"heads": (1, 2, 4, 5)}, "an even width of which heads"),
        ({"heads": (0, 1, 1, 1)}, "an even width of which heads"),
        ({"width": 3}, "an even width of which heads"),
        ({"in_channels": 6}, "6 channels in and 3 out"),
    ],
)
def test_an_impossible_configuration_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        Restormer(**SMALL | config)


@pytest.mark.parametrize("size", [(12, 16), (16, 12)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 8, got"):
        small_net()(torch.zeros(1, 3, *size))
