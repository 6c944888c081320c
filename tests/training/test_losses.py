import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from restorekit.errors import CheckpointError
from restorekit.metrics import full_reference
from restorekit.training import losses
from restorekit.training.losses import DIFFERENCES, build_losses, fft_l1

CPU = torch.device("cpu")


def pictures(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(*shape, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5), (1, 1), (4, 1), (3, 2)])
def test_fft_loss_equals_the_whole_spectrum(size):
    a, b = pictures(2, 3, *size)
    spectrum = torch.fft.fft2(a) - torch.fft.fft2(b)
    literal = torch.stack([spectrum.real, spectrum.imag]).abs().mean()
    torch.testing.assert_close(fft_l1(a, b), literal)


def test_edge_loss_equals_scipys_sobel():
    a, b = pictures(1, 3, 9, 12)
    difference = (a - b).numpy()
    slopes = [
        np.stack([ndimage.sobel(plane, axis=axis, mode="mirror") / 8 for plane in difference[0]])
        for axis in (0, 1)
    ]
    assert float(losses.edge(a, b)) == pytest.approx(np.abs(slopes).mean())


def test_colour_loss_is_the_square_of_scipys_gaussian():
    a, b = pictures(1, 3, 30, 41)
    blurred = ndimage.gaussian_filter(
        (a - b).numpy(), sigma=3, radius=10, axes=(2, 3), mode="nearest"
    )
    assert float(losses.colour(a, b)) == pytest.approx(np.square(blurred).mean())


def test_harm_is_what_scipys_gaussian_finds_grown_of_the_squared_error():
    restored, reference, degraded = pictures(3, 3, 30, 41)[0].split(1)
    errors = [(x - reference).square().mean(1, keepdim=True) for x in (restored, degraded)]
    grown = ndimage.gaussian_filter(
        (errors[0] - errors[1]).numpy(), sigma=3, radius=10, axes=(2, 3), mode="nearest"
    )
    expected = np.maximum(grown, 0).mean()
    assert float(losses.harm(restored, reference, degraded)) == pytest.approx(expected)


def test_what_comes_out_nearer_or_as_it_came_is_no_harm():
    degraded, reference = pictures(1, 3, 20, 24)
    assert losses.harm(degraded, reference, degraded) == 0
    assert losses.harm(0.5 * (degraded + reference), reference, degraded) == 0
    assert losses.harm(degraded, reference, reference) > 0


def test_harm_beside_squares_makes_less_of_uncertain_damage():
    """The damage is 1 in every fourth picture: squares alone take a quarter off, with harm less."""
    degraded = torch.ones(4, 1, 24, 24)
    reference = torch.tensor([0.0, 1, 1, 1])[:, None, None, None].expand_as(degraded)
    least = {}
    for weight in (0.0, 2.0):
        taken = torch.linspace(0, 1, 101)
        total = [
            losses.mse(degraded - t, reference)
            + weight * losses.harm(degraded - t, reference, degraded)
            for t in taken
        ]
        least[weight] = float(taken[int(torch.stack(total).argmin())])
    assert least[0.0] == pytest.approx(0.25)
    assert least[2.0] == pytest.approx(0.25 / (1 + 2 * 0.75), abs=0.01)


def test_harm_compares_with_both_views_and_with_another_size():
    degraded, reference = (x.float() for x in pictures(1, 3, 20, 24))
    views = torch.cat([degraded + 0.1, degraded - 0.1], 1)
    alone = losses.harm(reference * 0, reference, degraded)
    torch.testing.assert_close(losses.harm(reference * 0, reference, views), alone)
    small = torch.full((1, 3, 10, 12), 0.5)
    large = torch.full((1, 3, 20, 24), 0.5)
    torch.testing.assert_close(
        losses.harm(reference * 0, reference, small), losses.harm(reference * 0, reference, large)
    )


def test_the_similarities_are_one_minus_the_metrics():
    a, b = pictures(2, 3, 20, 24)
    assert float(losses.ssim(a, b)) == pytest.approx(1 - float(full_reference.ssim(a, b).mean()))
    a, b = pictures(1, 3, 176, 176)
    a = 0.9 * a + 0.1 * b
    expected = 1 - float(full_reference.ms_ssim(a, b).mean())
    assert float(losses.ms_ssim(a, b)) == pytest.approx(expected)


def test_psnr_loss_is_minus_the_mean_of_the_pictures_psnr():
    a, b = pictures(2, 3, 8, 8)
    a[0] = b[0] + 0.1
    expected = -float(full_reference.psnr(a, b).mean())
    assert float(losses.psnr(a, b)) == pytest.approx(expected, rel=1e-4)


def test_charbonnier_is_its_epsilon_for_equal_pictures():
    a, b = pictures(1, 3, 8, 8)
    assert float(losses.charbonnier(a, a)) == pytest.approx(1e-3)
    assert float(losses.charbonnier(a, b)) == pytest.approx(float(losses.l1(a, b)), rel=1e-3)


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_every_loss_falls_on_the_way_to_the_reference(name):
    size = 176 if name == "ms_ssim" else 16
    a, b = (x.float() for x in pictures(1, 3, size, size))
    a = (0.5 * a + 0.5 * b).requires_grad_()
    loss = DIFFERENCES[name](a, b)
    (gradient,) = torch.autograd.grad(loss, a)
    assert torch.isfinite(gradient).all()
    nearer = DIFFERENCES[name]((0.5 * a + 0.5 * b).detach(), b)
    assert float(nearer) < float(loss.detach())
    assert float((gradient * (a - b).detach()).sum()) > 0


def test_weights_scale_each_loss():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    built = build_losses({"l1": 2.0, "fft": 0.1}, None, CPU)
    torch.testing.assert_close(built["l1"](a, b, b), 2 * (a - b).abs().mean())
    torch.testing.assert_close(built["fft"](a, b, b), 0.1 * fft_l1(a, b))


def vgg16(widths=(16, 16, 16, 16, 16)):
    """A state dict laid out as torchvision's vgg16, of few channels."""
    state, place, inner = {}, 0, 3
    for width, count in zip(widths, (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            convolution = nn.Conv2d(inner, width, 3, padding=1)
            state[f"features.{place}.weight"] = convolution.weight.detach()
            state[f"features.{place}.bias"] = convolution.bias.detach()
            place, inner = place + 2, width
        place += 1
    return state | {"classifier.0.weight": torch.zeros(2, 2)}


def test_the_perceptual_loss_compares_features_behind_the_fourth_pooling(tmp_path):
    torch.manual_seed(0)
    state = vgg16()
    torch.save(state, tmp_path / "vgg.pth")
    loss = build_losses({"perceptual": 0.5}, tmp_path / "vgg.pth", CPU)["perceptual"]
    net, place = nn.Sequential(), 0
    for count in (2, 2, 3, 3):
        for _ in range(count):
            net.append(nn.Conv2d(*state[f"features.{place}.weight"].shape[1::-1], 3, padding=1))
            net[-1].load_state_dict(
                {key: state[f"features.{place}.{key}"] for key in ("weight", "bias")}
            )
            net.append(nn.ReLU())
            place += 2
        net.append(nn.MaxPool2d(2))
        place += 1
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    a, b = (x.float().requires_grad_() for x in pictures(1, 3, 32, 32))
    expected = 0.5 * (net((a - mean) / std) - net((b - mean) / std)).abs().mean()
    torch.testing.assert_close(loss(a, b, a), expected)
    loss(a, b, a).backward()
    assert a.grad.abs().sum() > 0
    assert b.grad is None


@pytest.mark.parametrize("content", [b"no weights", {"layer.weight": torch.zeros(1)}])
def test_a_file_without_a_vgg_is_named(tmp_path, content):
    path = tmp_path / "vgg.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"vgg\.pth"):
        build_losses({"perceptual": 1.0}, path, CPU)


def test_equal_pictures_lose_nothing():
    x = torch.rand(1, 3, 16, 16)
    for name in ("l1", "mse", "edge", "colour", "fft"):
        assert DIFFERENCES[name](x, x) == 0
    assert math.isclose(float(losses.ssim(x, x)), 0, abs_tol=1e-6)
