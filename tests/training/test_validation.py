import numpy as np
import pytest
import torch
from torch import nn

from restorekit.media.image import read_image
from restorekit.metrics import full_reference
from restorekit.training.validation import SHOWN_SIDE, hold

CPU = torch.device("cpu")


class Held:
    """Held-out examples: flat references, degraded by what is added."""

    def __init__(self, sides, added=0.1):
        self._sides, self._added = sides, added

    def held_out(self, _seed):
        for height, width in self._sides:
            rng = np.random.default_rng(height)
            reference = rng.uniform(0.2, 0.8, (height, width, 3)).astype(np.float32)
            yield reference + np.float32(self._added), reference


class Halves(nn.Module):
    """Takes half of what is above the reference's mean; several outputs as in backends."""

    def __init__(self, outputs):
        super().__init__()
        self._outputs = outputs

    def forward(self, x):
        assert x.shape[-1] % 8 == x.shape[-2] % 8 == 0
        return self._outputs(x - 0.05)


@pytest.mark.parametrize(("error", "counts"), [(0.0, 50.0), (1e-4, 50.0), (0.01, 40.0)])
def test_psnr_is_the_mean_over_crops_and_bounded(error, counts):
    class Mixed:
        def held_out(self, seed):
            for wrong in (error, 0.1):
                reference = np.full((16, 16, 3), 0.5, np.float32)
                yield reference + np.float32(wrong), reference

    values = hold(nn.Identity(), Mixed(), 0, CPU, "drunet").values()
    assert values["psnr"] == values["degraded_psnr"] == pytest.approx((counts + 20) / 2, abs=1e-3)


def test_psnr_and_ssim_are_means():
    values = hold(Halves(lambda y: y), Held([(16, 24), (13, 17)]), 0, CPU, "drunet").values()
    assert values["psnr"] == pytest.approx(-20 * np.log10(0.05), abs=1e-3)
    assert values["degraded_psnr"] == pytest.approx(20, abs=1e-3)
    similar = []
    for degraded, reference in Held([(16, 24), (13, 17)]).held_out(0):
        a, b = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (degraded, reference))
        similar.append(float(full_reference.ssim(a, b)))
    assert values["degraded_ssim"] == pytest.approx(np.mean(similar), abs=1e-6)
    assert values["ssim"] > values["degraded_ssim"]


@pytest.mark.parametrize(
    ("backend", "outputs"),
    [
        ("sfnet", lambda y: [y[..., ::4, ::4], y[..., ::2, ::2], y]),
        ("deepdeblur", lambda y: [y, y[..., ::2, ::2], y[..., ::4, ::4]]),
    ],
)
def test_of_several_scales_the_full_one_counts(backend, outputs):
    values = hold(Halves(outputs), Held([(16, 16)]), 0, CPU, backend).values()
    assert values["psnr"] == pytest.approx(-20 * np.log10(0.05), abs=1e-3)


def test_crops_too_small_for_ssim_have_none():
    values = hold(Halves(lambda y: y), Held([(8, 8)]), 0, CPU, "drunet").values()
    assert set(values) == {"psnr", "degraded_psnr"}


def test_the_picture_shows_degraded_restored_and_reference_side_by_side(tmp_path):
    held = hold(Halves(lambda y: y), Held([(200, 16)] + [(16, 24)] * 5), 0, CPU, "drunet")
    held.draw(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels.shape == (SHOWN_SIDE + 3 * 16, 3 * 24, 3)
    degraded, restored, reference = (
        pixels[SHOWN_SIDE : SHOWN_SIDE + 16, at : at + 24] / 255 for at in (0, 24, 48)
    )
    np.testing.assert_allclose(degraded - reference, 0.1, atol=0.005)
    np.testing.assert_allclose(restored - reference, 0.05, atol=0.005)
    assert (pixels[:SHOWN_SIDE, 48:] == 0).all()
