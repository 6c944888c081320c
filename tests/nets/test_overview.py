import pytest
import torch
from torch.nn import functional as F

from restorekit.nets.exposure import ExposureUNet
from restorekit.nets.guided import GuidedUNet

TINY = {"widths": (2, 3, 4, 5), "blocks": 1}
NETS = [GuidedUNet, ExposureUNet]


def test_planes_are_interpolated_between_the_centres_of_pixels():
    planes = torch.rand(2, 6, 24, 16)
    spread = GuidedUNet.spread(planes, (60, 50))
    assert torch.allclose(spread, F.interpolate(planes, (60, 50), mode="bilinear"), atol=1e-5)


def test_a_part_is_cut_out_of_the_whole():
    planes = torch.rand(1, 6, 24, 16)
    whole = GuidedUNet.spread(planes, (100, 80))
    part = GuidedUNet.spread(planes, (30, 40), (0.5, 0.8), (0.125, 0.625))
    assert torch.allclose(part, whole[..., 50:80, 10:50], atol=1e-5)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("size", "small"),
    [((30, 50), (32, 48)), ((640, 320), (64, 32)), ((1, 1), (8, 8)), ((20, 2000), (8, 64))],
)
def test_the_small_picture_keeps_the_proportions(net, size, small):
    assert net(**TINY, side=64).reduced_size(*size) == small


@pytest.mark.parametrize("net", NETS)
def test_too_small_a_side_is_refused(net):
    with pytest.raises(ValueError, match="8 pixels a side or more, not 4"):
        net(**TINY, side=4)
