import pytest
import torch
from torch import nn

from restorekit.nets.patchgan import SMALLEST, PatchGAN


def test_weights_are_counted():
    # 64-128-256-512 channels: biases in the first and the last layer alone, two norm parameters.
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    net = PatchGAN()
    assert sum(p.numel() for p in net.parameters()) == kernels + 65 + 2 * (128 + 256 + 512)
    assert kernels + 65 + 2 * (128 + 256 + 512) == 2_765_633


def test_a_score_sees_seventy_pixels():
    net = PatchGAN(width=2)
    for index, layer in enumerate(net.layers):
        if isinstance(layer, nn.InstanceNorm2d):
            net.layers[index] = nn.Identity()
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    net(x)[0, 0, 7, 7].backward()
    rows, columns = x.grad[0].abs().sum(0).nonzero().unbind(1)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


@pytest.mark.parametrize("size", [(SMALLEST, SMALLEST), (64, 64), (37, 50)])
def test_every_patch_has_a_score(size):
    scores = PatchGAN(width=2)(torch.rand(2, 3, *size))
    assert scores.shape == (2, 1, size[0] // 8 - 2, size[1] // 8 - 2)


def test_a_picture_smaller_than_the_smallest_has_none():
    with pytest.raises((RuntimeError, ValueError)):
        PatchGAN(width=2)(torch.rand(1, 3, SMALLEST - 1, SMALLEST - 1))


def test_a_score_does_not_depend_on_the_rest_of_the_batch():
    net, x = PatchGAN(width=4), torch.rand(3, 3, 32, 32)
    apart = torch.cat([net(picture[None]) for picture in x])
    torch.testing.assert_close(net(x), apart)


def test_kernels_are_drawn_as_in_the_paper():
    torch.manual_seed(0)
    last_normed = PatchGAN(width=16).layers[8].weight.detach()
    assert float(last_normed.std()) == pytest.approx(0.02, rel=0.02)
    assert abs(float(last_normed.mean())) < 1e-3


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    net = PatchGAN(width=2)
    net(torch.rand(2, 3, 40, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
