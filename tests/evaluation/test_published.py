import pytest

from restorekit.data.catalog import DATASETS
from restorekit.evaluation.published import all_published, published
from restorekit.metrics.protocols import METRICS, PROTOCOLS

# Sets of studies that nobody else has.
COMPRESSED = {f"classic5-q{quality}" for quality in (10, 20, 30, 40)}
"""Made of clean pictures by `degrade`; the name of their folder is that of the set."""
NOT_IN_THE_CATALOGUE = {"DeFlow study", "UFR-GAN study", *COMPRESSED}

PLAUSIBLE = {
    "psnr": (10, 52),
    "ssim": (0.3, 1),
    "ms_ssim": (0.9, 1),
    "mae": (0.01, 0.1),
    "lpips_alex": (0.1, 0.7),
}


def test_every_number_has_a_protocol_a_metric_and_a_source():
    assert len(all_published()) > 700
    for number in all_published():
        assert number.protocol in PROTOCOLS, number
        assert number.metric in METRICS, number
        assert number.source, number
        least, most = PLAUSIBLE[number.metric]
        assert least < number.value < most, number


def test_every_set_is_one_of_the_catalogue():
    assert {number.dataset for number in all_published()} - {*DATASETS} == NOT_IN_THE_CATALOGUE


def test_no_number_is_there_twice():
    rows = [
        (n.dataset, n.part, n.method, n.protocol, n.metric, n.source, n.trained_on, n.note)
        for n in all_published()
    ]
    assert len(rows) == len({*rows})


def test_a_set_is_looked_up_with_metric_and_protocol():
    assert published("no such set") == ()
    (number,) = published("Rain100L", "psnr", "prenet-y")
    assert (number.method, number.value, number.paper) == ("PReNet", 37.48, "Ren et al., CVPR 2019")
    assert number.checked
    assert {n.protocol for n in published("Rain100L")} == {"rain-y-matlab", "prenet-y", "rgb"}
    assert all(n.metric == "ssim" for n in published("GoPro", "ssim"))


@pytest.mark.parametrize(
    ("dataset", "protocol", "method", "metric", "value"),
    [
        ("GoPro", "gopro-matlab", "SFNet", "psnr", 33.27),
        ("HIDE", "hide-matlab", "DeblurGAN-v2", "ssim", 0.875),
        ("Test1200", "rain-y-matlab", "MAXIM-2S", "psnr", 32.37),
        ("O-HAZE", "haze-rgb", "SFNet after fine-tuning", "ssim", 0.9078),
        ("Snow100K", "snow-rgb", "SFNet", "psnr", 33.79),
        ("AIM-RWSR", "rwsr-lpips", "DeFlow + ESRGAN", "lpips_alex", 0.349),
        ("NTIRE20-RWSR", "rwsr-lpips", "DeFlow + ESRGAN", "psnr", 25.87),
        ("CBSD68", "awgn-sigma50", "FFDNet", "psnr", 27.96),
        ("Urban100", "awgn-sigma15", "CBM3D", "psnr", 33.93),
    ],
)
def test_values_stand_in_the_right_columns(dataset, protocol, method, metric, value):
    numbers = [n for n in published(dataset, metric, protocol) if n.method == method]
    assert value in [n.value for n in numbers]


def test_the_mean_of_the_five_rain_sets_is_the_mean_of_their_numbers():
    sets = ("Test100", "Rain100H", "Rain100L", "Test2800", "Test1200")
    for mean in published("Rain13K", protocol="rain-y-matlab"):
        parts = [
            n.value
            for name in sets
            for n in published(name, mean.metric, "rain-y-matlab")
            if (n.method, n.source) == (mean.method, mean.source)
        ]
        assert len(parts) == len(sets)
        assert sum(parts) / len(sets) == pytest.approx(mean.value, abs=0.011), mean
