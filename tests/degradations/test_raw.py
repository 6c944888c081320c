import numpy as np
import pytest

from restorekit.degradations.raw import (
    RawNoise,
    demosaic,
    draw_camera,
    mosaic,
    process,
    unprocess,
)


@pytest.fixture
def camera():
    return draw_camera(2.1, 1.7, np.random.default_rng(0))


def raw_noise(**changes):
    values = {"shot": 0.01, "read_excess": 0, "red_gain": 2, "blue_gain": 1.7, "sensor": "rggb"}
    return RawNoise(**(values | changes))


def test_white_stays_white(camera):
    np.testing.assert_allclose(camera.matrix.sum(axis=1), 1, atol=1e-6)
    white = np.ones((2, 2, 3), np.float32)
    np.testing.assert_allclose(process(unprocess(white, camera), camera), white, atol=1e-5)


def test_processing_undoes_unprocessing_below_the_highlights(camera, picture):
    muted = 0.2 + 0.5 * picture  # very saturated colours lie outside of what a camera sees
    np.testing.assert_allclose(process(unprocess(muted, camera), camera), muted, atol=2e-3)


def test_processing_undoes_unprocessing_in_grey(camera, picture):
    grey = picture[..., :1]
    np.testing.assert_allclose(process(unprocess(grey, camera), camera), grey, atol=1e-5)


def test_the_mosaic_is_rggb():
    raw = np.broadcast_to(np.float32([1, 2, 3]), (4, 6, 3))
    np.testing.assert_array_equal(mosaic(raw)[:2, :2, 0], [[1, 2], [2, 3]])
    np.testing.assert_array_equal(mosaic(raw)[2:, 4:, 0], [[1, 2], [2, 3]])


def test_demosaicing_flat_grey_gives_it_back():
    flat = np.full((9, 12, 3), 0.4, np.float32)
    np.testing.assert_allclose(demosaic(mosaic(flat)), flat, atol=1e-6)


def test_demosaicing_keeps_what_the_sensor_saw(picture):
    whole = demosaic(mosaic(picture))
    np.testing.assert_array_equal(mosaic(whole), mosaic(picture))
    assert np.abs(whole - picture)[4:-4, 4:-4].mean() < 0.03


def test_noise_in_the_file_is_what_the_formula_and_the_curve_say(camera):
    grey = np.full((400, 400, 1), 0.5, np.float32)
    noise = raw_noise(shot=1e-4)
    light = unprocess(grey, camera)[0, 0, 0]
    step = np.full((1, 1, 1), light + 1e-3, np.float32)
    slope = (process(step, camera) - process(step - np.float32(2e-3), camera)).item() / 2e-3
    expected = slope**2 * (noise.shot * light + noise.read)
    assert noise.apply(grey, np.random.default_rng(1)).var() == pytest.approx(expected, rel=0.03)


def test_read_noise_goes_with_shot_noise():
    assert raw_noise(shot=0.01).read == pytest.approx(0.01**2.18 * np.exp(1.2))
    assert raw_noise(read_excess=1).read == pytest.approx(np.e * raw_noise().read)


def test_a_mosaic_spreads_the_noise_over_neighbours():
    flat = np.full((200, 200, 3), 0.5, np.float32)
    beside = {}
    for sensor in ("rggb", "three-chip"):
        noise = raw_noise(sensor=sensor).apply(flat, np.random.default_rng(2)) - flat
        red = noise[..., 0] - noise[..., 0].mean()
        beside[sensor] = np.mean(red[:, 1:] * red[:, :-1]) / red.var()
    assert beside["rggb"] > 0.2
    assert abs(beside["three-chip"]) < 0.03
