import pytest
import scipy.ndimage
import torch
from torch.nn import functional as F

from restorekit.nets.guided import GuidedUNet

SMALL = {"widths": (2, 3, 4, 5), "blocks": 1, "side": 64}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return GuidedUNet(**SMALL).eval()


def restoring(net, change):
    """Let the U-Net add what `change` makes of the small picture."""
    seen = []
    net.m_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.m_tail.register_forward_hook(lambda *_: change(seen[-1]))
    return net


def scene(height=96, width=128):
    """A picture with contrast everywhere."""
    torch.manual_seed(1)
    coarse = torch.rand(1, 3, height // 4, width // 4)
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("transmission", [0.9, 0.7, 0.5])
def test_the_haze_of_the_formula_is_taken_away(net, transmission):
    airlight = torch.tensor([0.9, 0.85, 0.8])[:, None, None]
    clear = scene()
    hazy = transmission * clear + (1 - transmission) * airlight
    restoring(net, lambda small: (1 / transmission - 1) * (small - airlight))
    assert (net(hazy) - clear).abs().max() < 0.02


def test_what_the_net_leaves_alone_stays_as_it_is(net):
    picture = scene()
    assert torch.equal(restoring(net, torch.zeros_like)(picture), picture)


def test_flat_parts_are_shifted_and_keep_their_grain(net):
    torch.manual_seed(2)
    grain = 0.004 * torch.randn(1, 3, 256, 256)
    restored = restoring(net, lambda small: torch.full_like(small, -0.3))(0.7 + grain)
    assert torch.allclose(restored, 0.4 + grain, atol=1e-3)


def test_the_change_follows_the_edges_of_the_picture(net):
    picture = torch.full((1, 3, 256, 256), 0.2)
    picture[..., 128:] = 0.8
    restored = restoring(net, lambda small: 0.1 * (small > 0.5))(picture)[0, 0, 128]
    assert restored[100:156] == pytest.approx(
        torch.where(torch.arange(56) < 28, 0.2, 0.9), abs=0.01
    )


def test_the_dark_channels_are_the_least_of_their_windows():
    torch.manual_seed(0)
    net, seen = GuidedUNet(**SMALL, dark=True), []
    net.m_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    picture = torch.rand(1, 3, 48, 64)
    net.overview(picture)
    least = scipy.ndimage.minimum_filter(picture.amin(1)[0].numpy(), 15, mode="nearest")
    assert torch.equal(seen[0][:, :3], picture)
    assert torch.allclose(seen[0][0, 4], torch.from_numpy(least))
    assert (seen[0][0, 6] == picture.min()).all()


@pytest.mark.parametrize(
    ("change", "left"), [(0.0, 0.0), (4.0, 0.2353), (8.0, 4.0), (16.0, 15.0588)]
)
def test_what_changes_little_in_the_whole_picture_changes_less_still(change, left):
    torch.manual_seed(0)
    net = GuidedUNet(**SMALL, shrinkage=8.0)
    picture = scene(256, 256)
    restored = restoring(net, lambda small: torch.full_like(small, change / 255))(picture)
    assert torch.allclose((restored - picture) * 255, torch.tensor(left), atol=0.01)


def test_every_picture_of_a_batch_has_its_own_shrinkage():
    torch.manual_seed(0)
    net = GuidedUNet(**SMALL, shrinkage=8.0)
    small, lines = torch.rand(2, 3, 8, 8), torch.zeros(2, 6, 8, 8)
    lines[:, 3:] = torch.tensor([0.005, 0.2])[:, None, None, None]
    both = zip(small.split(1), lines.split(1), strict=True)
    assert torch.equal(net.shrunk(small, lines), torch.cat([net.shrunk(*one) for one in both]))
    assert torch.equal(GuidedUNet(**SMALL).shrunk(small, lines), lines)


def test_a_shrinkage_below_nothing_is_refused():
    with pytest.raises(ValueError, match="0 or more, not -1"):
        GuidedUNet(**SMALL, shrinkage=-1)
