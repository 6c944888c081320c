import json
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from restorekit.errors import DataError, UnknownNameError, UsageError
from restorekit.metrics.full_reference import SSIM_VARIANTS
from restorekit.metrics.protocols import (
    METRICS,
    PROTOCOLS,
    Noise,
    get_protocol,
    measure,
    prepare,
    with_metrics,
    with_noise,
)


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    reference = torch.randint(0, 256, (1, 3, 30, 34), generator=generator) / 255
    restored = (reference + 0.05 * torch.randn(reference.shape, generator=generator)).clamp(0, 1)
    return restored, reference


def test_the_table_is_consistent():
    for key, protocol in PROTOCOLS.items():
        assert key == protocol.id
        assert protocol.description
        assert protocol.source
        assert protocol.ssim in SSIM_VARIANTS
        assert set(protocol.metrics) <= set(METRICS)


@pytest.mark.parametrize("protocol_id", PROTOCOLS)
def test_every_protocol_tells_better_from_worse(pair, protocol_id):
    restored, reference = pair
    worse = 0.5 * restored + 0.5 * restored.flip(3)
    protocol = get_protocol(protocol_id)
    values = measure(restored, reference, protocol)
    bad = measure(worse, reference, protocol)
    assert values["psnr"] > bad["psnr"] + 3
    assert values["ssim"] > bad["ssim"] + 0.1


def test_rgb_rounds_to_eight_bits_and_rgb_float_does_not(pair):
    from skimage.metrics import peak_signal_noise_ratio

    restored, reference = pair
    levels = np.floor(restored.double().numpy() * 255 + 0.5)
    expected = peak_signal_noise_ratio(reference.double().numpy() * 255, levels, data_range=255)
    assert measure(restored, reference, get_protocol("rgb"))["psnr"] == pytest.approx(expected)
    exact = peak_signal_noise_ratio(
        reference.double().numpy(), restored.double().numpy(), data_range=1
    )
    measured = measure(restored, reference, get_protocol("rgb-float"))["psnr"]
    assert measured == pytest.approx(exact)
    assert measured != pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("protocol_id", ["rgb", "rgb-float"])
def test_values_outside_the_range_are_clipped(protocol_id):
    restored = torch.tensor([-1.0, 0.0, 1.0, 3.0]).view(1, 1, 2, 2)
    prepared = prepare(restored, get_protocol(protocol_id))
    assert prepared.flatten().tolist() == [0, 0, 1, 1]


def test_truncation_keeps_every_eight_bit_level():
    levels = torch.arange(256).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    protocol = get_protocol("prenet-y")
    exact = prepare(levels.double() / 255, replace(protocol, quantise="none"))
    assert torch.equal(prepare(levels / 255, protocol), exact)
    assert torch.equal(prepare((levels + 0.9).clamp(max=255) / 255, protocol), exact)


def test_raindrop_protocol_is_opencv_and_scikit_image(pair):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    restored, reference = pair

    def grey(x: Tensor) -> np.ndarray:
        pixels = np.uint8(255 * x[0].permute(1, 2, 0).numpy())[:28, :32]
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[:, :, 0]

    a, b = grey(restored), grey(reference)
    values = measure(restored, reference, get_protocol("raindrop-y"))
    assert values["psnr"] == pytest.approx(peak_signal_noise_ratio(b, a), abs=0.01)
    assert values["ssim"] == pytest.approx(structural_similarity(b, a), abs=1e-3)


def test_a_picture_inside_the_left_out_border_is_refused():
    small = torch.zeros(1, 3, 8, 20)
    with pytest.raises(DataError, match="20x8 pixels has nothing left inside the border of 4"):
        measure(small, small, get_protocol("srgan-y-crop4"))


def test_grey_pictures_are_measured(pair):
    restored, reference = (x[:, :1] for x in pair)
    values = measure(restored, reference, get_protocol("rain-y-matlab"))
    three = measure(
        restored.expand(-1, 3, -1, -1),
        reference.expand(-1, 3, -1, -1),
        get_protocol("rain-y-matlab"),
    )
    assert values == three


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean rain-y-matlab"):
        get_protocol("rain-y-matlb")
    with pytest.raises(UnknownNameError, match="unknown metric 'pnsr'"):
        with_metrics(get_protocol("rgb"), ["pnsr"])


def test_metrics_can_be_chosen(pair):
    protocol = with_metrics(get_protocol("rgb"), ["mae", "psnr", "mae"])
    values = measure(*pair, protocol)
    assert list(values) == ["mae", "psnr"]
    levels = [np.floor(x.double().numpy() * 255 + 0.5) / 255 for x in pair]
    assert values["mae"] == pytest.approx(np.abs(levels[0] - levels[1]).mean())


def test_published_noise_restarts_for_each_picture():
    clean = torch.full((1, 3, 20, 30), 0.5)
    noise = get_protocol("awgn-sigma25").noise
    assert noise is not None
    noisy = noise.add(clean, "a")
    expected = np.random.RandomState(0).normal(0, 25 / 255, (20, 30, 3)) + 0.5
    assert noisy.dtype == torch.float32
    np.testing.assert_allclose(noisy[0].permute(1, 2, 0).numpy(), expected, atol=1e-7)
    assert torch.equal(noisy, noise.add(clean, "b"))


def test_noise_is_not_clipped():
    noisy = Noise(50).add(torch.zeros(1, 3, 40, 40), "a")
    assert noisy.min() < -0.2
    assert noisy.std().item() == pytest.approx(50 / 255, rel=0.03)


def test_noise_by_name_depends_on_name_and_seed_only():
    clean = torch.zeros(1, 3, 16, 16)
    first = Noise(25, 1, by_name=True).add(clean, "a")
    assert torch.equal(first, Noise(25, 1, by_name=True).add(clean, "a"))
    assert not torch.equal(first, Noise(25, 1, by_name=True).add(clean, "b"))
    assert not torch.equal(first, Noise(25, 2, by_name=True).add(clean, "a"))


def test_noise_shows_in_the_id_of_a_derived_protocol():
    assert with_noise(get_protocol("rgb"), 25).id == "rgb-sigma25"
    assert with_noise(get_protocol("rgb-float"), 7.5, 3).id == "rgb-float-sigma7.5-seed3"
    with pytest.raises(UsageError, match="more than 0"):
        with_noise(get_protocol("rgb"), 0)
    with pytest.raises(UsageError, match="adds noise already"):
        with_noise(get_protocol("awgn-sigma15"), 25)


def test_names_are_never_given_to_two_things():
    described = {(p.description, p.source) for p in PROTOCOLS.values()}
    assert len(described) == len(PROTOCOLS)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_super_resolution_leaves_out_a_border_as_wide_as_the_scale(scale):
    protocol = get_protocol(f"srgan-y-crop{scale}")
    assert (protocol.scale, protocol.crop_border) == (scale, scale)
    reference = torch.full((1, 3, 32, 32), 0.5)
    restored = torch.zeros_like(reference)
    inner = slice(scale, 32 - scale)
    restored[..., inner, inner] = 0.5
    assert measure(restored, reference, protocol)["psnr"] == float("inf")
    restored[..., scale, scale] = 0
    assert measure(restored, reference, protocol)["psnr"] < 60


def test_published_protocols_run_the_whole_picture_with_global_statistics():
    own = {"rgb", "rgb-float"}
    for protocol in PROTOCOLS.values():
        tiled = {"snowformer-rgb": 256}.get(protocol.id, 0)
        assert protocol.tile == (None if protocol.id in own else tiled)
        assert protocol.statistics == ("usual" if protocol.id in own else "global")


def test_windows_name_backends_that_average_over_pictures():
    from restorekit.backends.registry import default_registry

    for protocol in PROTOCOLS.values():
        for window in protocol.windows:
            assert default_registry().get(window.backend).capabilities.global_statistics


def test_a_protocol_is_plain_data():
    for protocol in PROTOCOLS.values():
        assert json.loads(json.dumps(asdict(protocol)))["id"] == protocol.id


def test_colour_is_measured_in_rgb_whatever_the_space(pair):
    restored, reference = pair
    names = ["delta_e", "edge_psnr"]
    y = measure(restored, reference, with_metrics(get_protocol("rain-y-matlab"), names))
    rgb = measure(restored, reference, with_metrics(get_protocol("rgb"), names))
    assert y == rgb
    assert y["delta_e"] > 1
