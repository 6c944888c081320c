import pytest
import torch

from restorekit.training.losses import fft_l1, l1, weighted


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5), (1, 1), (4, 1), (3, 2)])
def test_fft_loss_equals_the_whole_spectrum(size):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, 3, *size, generator=generator, dtype=torch.float64) for _ in range(2))
    spectrum = torch.fft.fft2(a) - torch.fft.fft2(b)
    literal = torch.stack([spectrum.real, spectrum.imag]).abs().mean()
    torch.testing.assert_close(fft_l1(a, b), literal)


def test_equal_pictures_lose_nothing():
    x = torch.rand(1, 3, 8, 8)
    assert l1(x, x) == fft_l1(x, x) == 0


def test_weights_scale_each_loss():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    losses = weighted({"l1": 2.0, "fft": 0.1}, a, b)
    torch.testing.assert_close(losses["l1"], 2 * (a - b).abs().mean())
    torch.testing.assert_close(losses["fft"], 0.1 * fft_l1(a, b))
