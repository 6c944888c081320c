import os
from pathlib import Path

import pytest
import torch

from restorekit.nets.prenet import PReNet, infer_config
from tests.golden_files import golden, spec_of

DATA = Path(os.environ.get("RESTOREKIT_TEST_DATA", "no data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="RESTOREKIT_TEST_DATA names no folder")

PUBLISHED = {
    "Rain100H__PReNet6__net_latest": (True, False),
    "Rain100L__PReNet6__net_latest": (True, False),
    "Rain100L__PRN6_r__net_latest": (False, True),
    "real__PReNet1": (True, False),
}


@pytest.mark.parametrize(("name", "recursive"), [("prenet_6", False), ("prenet_r_6", True)])
@pytest.mark.parametrize("gradients", [False, True])
def test_agrees_with_the_published_code(name, recursive, gradients):
    file = golden(name)
    net = file.load_into(PReNet(recursive=recursive))
    with torch.set_grad_enabled(gradients):
        outputs = net(file.input())
    assert len(outputs) == 6
    file.check(
        {"output": outputs[-1], "output_iter0": outputs[0], "output_iter2": outputs[2]},
    )


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("channels", [8, 32])
def test_configuration_is_read_off_the_weights(recurrent, recursive, channels):
    net = PReNet(recurrent=recurrent, recursive=recursive, channels=channels)
    config = infer_config(net.state_dict())
    again = PReNet(**config)
    assert spec_of(again.state_dict()) == spec_of(net.state_dict())
    assert (again.recurrent, config["recursive"]) == (recurrent, recursive)
    assert again.stages == 6


def test_parameters_are_counted_in_the_paper():
    assert sum(p.numel() for p in PReNet().parameters()) == 168_963
    assert sum(p.numel() for p in PReNet(recursive=True).parameters()) == 94_979


@pytest.mark.parametrize("late", [False, True])
def test_each_stage_is_an_estimate_and_later_ones_change_none(late):
    torch.manual_seed(0)
    short, long = PReNet(2, late=late, channels=8), PReNet(4, late=late, channels=8)
    long.load_state_dict(short.state_dict())
    x = torch.rand(1, 3, 7, 9)
    estimates = long(x)
    assert [e.shape for e in estimates] == [x.shape] * 4
    assert all(map(torch.equal, short(x), estimates[:2]))


@pytest.mark.parametrize("config", [{}, {"recurrent": False}, {"late": True}])
def test_gradients_reach_every_weight(config):
    torch.manual_seed(0)
    net = PReNet(stages=2, channels=8, **config)
    net(torch.rand(1, 3, 8, 8))[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_only_the_late_form_lets_go_of_the_rainy_picture():
    early, late = PReNet(channels=8), PReNet(late=True, channels=8)
    for net in (early, late):
        torch.nn.init.zeros_(net.conv[0].weight)
        torch.nn.init.zeros_(net.conv[0].bias)
    x = torch.rand(1, 3, 5, 5)
    assert torch.equal(early(x)[-1], x)
    assert not late(x)[-1].any()


@pytest.mark.parametrize("config", [{"stages": 0}, {"late": True, "recurrent": False}])
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(ValueError, match="PReNet needs"):
        PReNet(**config)


@pytest.mark.data
@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_load(name):
    path = Path(DATA, "weights", "PReNet", f"{name}.pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    config = infer_config(state)
    assert (config["recurrent"], config["recursive"]) == PUBLISHED[name]
    PReNet(**config).load_state_dict(state)


@pytest.mark.data
@needs_data
def test_weights_for_real_rain_are_of_the_late_form():
    cv2 = pytest.importorskip("cv2")

    def read(kind):
        pixels = cv2.imread(str(DATA / "paired" / "Rain100L" / kind / "1.webp"))[:128, :160, ::-1]
        return torch.from_numpy(pixels / 255.0).permute(2, 0, 1)[None].float()

    def distance(**config):
        net = PReNet(**config)
        net.load_state_dict(state)
        with torch.inference_mode():
            return (net(read("input"))[-1] - read("target")).square().mean()

    path = DATA / "weights" / "PReNet" / "real__PReNet1.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert distance(stages=4, late=True) < distance(stages=6) / 4
