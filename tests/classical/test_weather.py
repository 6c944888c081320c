import numpy as np
import pytest
import torch

from restorekit.classical import weather
from tests.classical.running import psnr, run

AIR = 0.9


@pytest.fixture
def hazy(photo):
    """Haze that thins from the top, where only the air is left, to the bottom."""
    through = np.linspace(0, 0.9, len(photo), dtype=np.float32)[:, None, None]
    return photo * through + AIR * (1 - through)


def test_haze_is_taken_out(photo, hazy):
    restored = run(weather.dark_channel, hazy)
    lower = slice(len(photo) // 2, None)
    assert psnr(restored[lower], photo[lower]) > psnr(hazy[lower], photo[lower]) + 4


def test_the_air_is_measured_where_haze_is_thickest(hazy):
    assert weather._air(hazy, 3) == pytest.approx(AIR, abs=0.02)


def test_no_amount_changes_nothing(hazy):
    assert run(weather.dark_channel, hazy, amount=0) == pytest.approx(hazy, abs=1e-5)


def test_thin_bright_streaks_fade_and_nothing_gets_brighter_there(photo):
    rng = np.random.default_rng(0)
    rain = np.zeros(photo.shape[:2], np.float32)
    for row, column in zip(rng.integers(0, 84, 60), rng.integers(0, 112, 60), strict=True):
        rain[row : row + 12, column] = 0.4
    degraded = np.clip(photo + rain[..., None], 0, 1)
    restored = run(weather.guided_filter, degraded)
    assert psnr(restored, photo) > psnr(degraded, photo) + 1.5
    assert restored[rain > 0].mean() < degraded[rain > 0].mean() - 0.05


@pytest.mark.parametrize("method", [weather.dark_channel, weather.guided_filter])
@pytest.mark.parametrize("size", [(1, 1), (3, 17)])
def test_small_grey_pictures(method, size):
    restored = method()(torch.rand(1, 1, *size))
    assert restored.shape == (1, 1, *size)
    assert torch.isfinite(restored).all()
