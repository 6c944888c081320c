import pytest
import torch
from torch import nn

from restorekit.backends.model import build_net
from restorekit.errors import TrainingError, UnknownNetError
from restorekit.training.transplant import open_weights, transplant, widen

TINY = {"widths": [4, 4, 4, 4], "blocks": 1, "residual": True}


def tiny(**config):
    return build_net("drunet", in_channels=3, **{**TINY, **config})


def test_the_same_net_takes_every_tensor(tmp_path):
    source, net = tiny(), tiny()
    report = transplant(net, source.state_dict(), tmp_path)
    assert report.loaded == len(source.state_dict())
    assert report.reinitialised == report.dropped == ()
    assert all(torch.equal(net.state_dict()[k], v) for k, v in source.state_dict().items())


def test_what_has_another_shape_stays_random_and_is_named(tmp_path):
    net, grey = tiny(), build_net("drunet", **TINY, in_channels=1, out_channels=1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    report = transplant(net, grey.state_dict(), tmp_path)
    assert [line.split(" ")[0] for line in report.reinitialised] == [
        "m_head.weight",
        "m_tail.weight",
    ]
    assert report.reinitialised[0].endswith("(file 4x1x3x3, net 4x3x3x3)")
    assert report.dropped == ()
    after = net.state_dict()
    assert torch.equal(after["m_head.weight"], before["m_head.weight"])
    assert torch.equal(after["m_body.0.res.0.weight"], grey.state_dict()["m_body.0.res.0.weight"])


def test_what_one_of_them_lacks_is_named(tmp_path):
    deeper, net = tiny(blocks=2), tiny()
    assert len(transplant(net, deeper.state_dict(), tmp_path).dropped) > 0
    report = transplant(deeper, net.state_dict(), tmp_path)
    assert report.reinitialised[0].endswith("(not in the file)")


def test_nothing_that_fits_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="none of its 1 tensors fits"):
        transplant(tiny(), {"other.weight": torch.zeros(3)}, tmp_path / "x.pth")


def test_weights_of_no_known_net_are_taken_for_the_named_one(tmp_path):
    state = tiny().state_dict()
    del state["m_tail.weight"]
    torch.save({"params": state}, tmp_path / "cut.pth")
    with pytest.raises(UnknownNetError, match=r"--set net\.backend=NAME"):
        open_weights(tmp_path / "cut.pth", None)
    opened = open_weights(tmp_path / "cut.pth", "drunet")
    assert opened.state.keys() == state.keys()
    assert opened.card.backend == "drunet"


@pytest.mark.parametrize("bias", [False, True])
def test_a_widened_net_computes_the_same_and_uses_its_new_channels_after_a_step(tmp_path, bias):
    narrow, wide = tiny(bias=bias), tiny(bias=bias, widths=[6, 4, 9, 12])
    with torch.no_grad():
        for weight in narrow.parameters():
            weight.normal_(std=0.2)
    picture = torch.rand(2, 3, 16, 24)
    widen(wide, narrow.state_dict(), tmp_path)
    assert torch.allclose(wide(picture), narrow(picture), atol=1e-5)
    wide(picture).square().mean().backward()
    reads_new = wide.m_tail.weight.grad[:, 4:], wide.m_up3[0].weight.grad[9:, :4]
    assert all(grad.abs().max() > 0 for grad in reads_new)


@pytest.mark.parametrize(
    ("wide", "said"),
    [
        ({"widths": [4, 3, 4, 4]}, "m_down1.1.weight"),
        ({"widths": [4, 4, 4, 6], "blocks": 2}, "tensors differ"),
    ],
)
def test_what_is_not_wider_alone_cannot_be_widened(tmp_path, wide, said):
    with pytest.raises(TrainingError, match=said):
        widen(tiny(**wide), tiny().state_dict(), tmp_path / "narrow.safetensors")


def test_layers_that_mix_channels_otherwise_cannot_be_widened(tmp_path):
    narrow, wide = (
        nn.Sequential(nn.Conv2d(3, width, 1), nn.GroupNorm(1, width)) for width in (4, 6)
    )
    with pytest.raises(TrainingError, match=r"at 1\.weight .*plain convolutions"):
        widen(wide, narrow.state_dict(), tmp_path)
