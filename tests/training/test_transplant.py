import pytest
import torch

from restorekit.backends.model import build_net
from restorekit.errors import TrainingError, UnknownNetError
from restorekit.training.transplant import open_weights, transplant

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
