import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from restorekit.errors import CheckpointError, DataError, UnknownNameError, UsageError
from restorekit.metrics.perceptual import BACKBONES, DISTS_CHANNELS, dists, lpips
from restorekit.metrics.protocols import get_protocol, measure, unavailable, with_metrics
from restorekit.metrics.weights import VARIABLE
from tests.golden_files import golden

NETS = list(BACKBONES)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without any weights of metrics; returns the folder where they would be."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(4)
    reference = torch.rand(1, 3, 48, 40, generator=generator)
    return (reference + 0.1 * torch.randn(reference.shape, generator=generator)), reference


def write_backbone(path, net):
    # Torchvision's files end with a classifier, which is of no use here.
    save_file({**golden(f"lpips_{net}").weights(), "classifier.1.weight": torch.ones(2, 2)}, path)
    return path


def write_heads(path, net):
    state = golden(f"lpips_{net}").tensors.items()
    torch.save({key: value for key, value in state if key.startswith("lin")}, path)
    return path


@pytest.fixture
def files(tmp_path):
    """Give the two files that LPIPS with a net needs."""
    return lambda net: (
        write_backbone(tmp_path / f"backbone-{net}", net),
        write_heads(tmp_path / f"heads-{net}", net),
    )


@pytest.mark.parametrize("net", NETS)
def test_lpips_agrees_with_the_published_code(files, net):
    file = golden(f"lpips_{net}")
    distance = lpips(file.input("input_a"), file.input("input_b"), net, *files(net))
    expected = file.tensors["distance"]
    assert (distance - expected).abs().max() <= file.about["suggested_atol"]["distance"]


def test_the_linear_weights_weigh(pair, files, tmp_path):
    backbone, heads = files("alex")
    zeros = {f"lin{k}.model.1.weight": torch.zeros(1, 1, 1, 1) for k in range(5)}
    save_file(zeros, tmp_path / "zeros")
    assert lpips(*pair, backbone=backbone, heads=heads).item() > 0
    assert lpips(*pair, backbone=backbone, heads=tmp_path / "zeros").item() == 0


@pytest.mark.parametrize("net", NETS)
def test_lpips_is_a_distance(files, pair, net):
    given = files(net)
    there, back = lpips(*pair, net, *given), lpips(*reversed(pair), net, *given)
    assert there.shape == (1,)
    assert there.item() == pytest.approx(back.item(), rel=1e-6)
    assert there.item() > lpips(0.5 * pair[0] + 0.5 * pair[1], pair[1], net, *given).item() > 0
    assert lpips(pair[0], pair[0], net, *given).item() == 0


@pytest.mark.parametrize("net", NETS)
def test_the_least_size_is_known(files, net):
    given = files(net)
    least = BACKBONES[net].minimum
    x = torch.rand(1, 3, least, least)
    assert lpips(x, 1 - x, net, *given).isfinite()
    with pytest.raises(DataError, match=f"needs at least {least} pixels"):
        lpips(x[..., 1:], x[..., 1:], net, *given)


def test_a_grey_picture_counts_as_three_equal_channels(files, pair):
    given = files("alex")
    grey = [x[:, :1] for x in pair]
    three = [x.expand(-1, 3, -1, -1) for x in grey]
    assert lpips(*grey, "alex", *given) == lpips(*three, "alex", *given)


def test_weights_of_another_net_are_refused(files, pair):
    backbone, heads = files("squeeze")
    with pytest.raises(CheckpointError, match="not torchvision's weights of this net"):
        lpips(*pair, "alex", backbone, heads)
    with pytest.raises(CheckpointError, match=r"linear weights of LPIPS \(squeeze\): lin0"):
        lpips(*pair, "squeeze", backbone, backbone)
    with pytest.raises(CheckpointError, match="alpha and beta of 1475 numbers"):
        dists(*pair, backbone, backbone)


def test_without_weights_there_is_no_number(nowhere, pair):
    with pytest.raises(UsageError, match=r"AlexNet's weights not found .*alexnet-owt-7be5be79"):
        lpips(*pair)
    with pytest.raises(UsageError, match="the weights of DISTS not found"):
        dists(*pair)
    with pytest.raises(UnknownNameError, match="did you mean alex"):
        lpips(*pair, "alexnet")


def test_a_protocol_says_which_numbers_are_not_available(nowhere, pair):
    protocol = get_protocol("dpdd")
    assert [*unavailable(protocol)] == ["lpips_alex"]
    values = measure(*pair, protocol)
    assert np.isnan(values["lpips_alex"])
    assert values["psnr"] > 15
    with pytest.raises(UsageError, match="lpips_alex: AlexNet's weights not found"):
        with_metrics(protocol, ["psnr", "lpips_alex"])
    write_backbone(nowhere / "alexnet-owt-7be5be79.safetensors", "alex")
    assert "linear weights of LPIPS (alex) not found" in unavailable(protocol)["lpips_alex"]
    write_heads(nowhere / "alex.pth", "alex")
    assert unavailable(protocol) == {}
    clipped = [x.double().clamp(0, 1) for x in pair]
    assert measure(*pair, protocol)["lpips_alex"] == lpips(*clipped).item()
    assert with_metrics(protocol, ["lpips_alex"]).metrics == ("lpips_alex",)


def test_torchs_own_cache_is_searched(nowhere, tmp_path, pair):
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(golden("lpips_vgg").weights(), folder / "vgg16-397923af.pth")
    write_heads(nowhere / "vgg.pth", "vgg")
    assert lpips(*pair, "vgg").item() > 0


@pytest.fixture
def dists_files(tmp_path):
    generator = torch.Generator().manual_seed(2)
    total = sum(DISTS_CHANNELS)
    weights = {k: torch.rand(1, total, 1, 1, generator=generator) for k in ("alpha", "beta")}
    torch.save(weights, tmp_path / "dists.pt")
    return tmp_path / "dists.pt", write_backbone(tmp_path / "vgg16.safetensors", "vgg"), weights


def test_dists_is_the_formula_of_the_paper(dists_files, pair):
    """Written out stage by stage, channel by channel, as in equations 2 to 7."""
    file, backbone, weights = dists_files
    state = golden("lpips_vgg").weights()
    a, b = (stages(x, state) for x in pair)
    alpha, beta = (weights[k].flatten().double() for k in ("alpha", "beta"))
    channel, similarity = 0, 0.0
    for fa, fb in zip(a, b, strict=True):
        for x, y in zip(fa[0].double(), fb[0].double(), strict=True):
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            texture = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
            variances = x.var(correction=0) + y.var(correction=0)
            structure = (2 * covariance + 1e-6) / (variances + 1e-6)
            similarity += alpha[channel] * texture + beta[channel] * structure
            channel += 1
    expected = 1 - similarity / (alpha.sum() + beta.sum())
    assert dists(*pair, file, backbone).item() == pytest.approx(expected.item(), abs=1e-5)


def stages(x, state):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    maps, y = [x], (x - mean) / deviation
    hanning = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    for numbers in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
        if numbers[0]:
            kernel = hanning.expand(y.shape[1], 1, 3, 3)
            y = F.conv2d(y**2, kernel, stride=2, padding=1, groups=y.shape[1]) + 1e-12
            y = y.sqrt()
        for k in numbers:
            weight, bias = state[f"features.{k}.weight"], state[f"features.{k}.bias"]
            y = F.relu(F.conv2d(y, weight, bias, padding=1))
        maps.append(y)
    return maps


def test_dists_is_a_distance(dists_files, pair):
    file, backbone, _ = dists_files
    assert dists(pair[0], pair[0], file, backbone).item() == pytest.approx(0, abs=1e-6)
    far = dists(*pair, file, backbone).item()
    assert far > dists(0.3 * pair[0] + 0.7 * pair[1], pair[1], file, backbone).item() > 0
