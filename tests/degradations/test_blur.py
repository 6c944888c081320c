import numpy as np
import pytest

from restorekit.degradations.blur import CameraShake, DefocusBlur, GaussianBlur, MotionBlur
from restorekit.degradations.light import to_linear

BLURS = [MotionBlur, CameraShake, DefocusBlur, GaussianBlur]


def blur(cls, severity, **changes):
    return cls.from_values({**cls.at_severity(severity).model_dump(), **changes})


@pytest.mark.parametrize("cls", BLURS)
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_blur_keeps_the_mean(cls, severity):
    scene = np.full((160, 170, 3), 0.3, np.float32)
    scene[60:90, 70:100] = np.random.default_rng(0).random((30, 30, 3))
    blurred = blur(cls, severity, space="display").apply(scene, np.random.default_rng(1))
    assert blurred.mean(axis=(0, 1)) == pytest.approx(scene.mean(axis=(0, 1)), abs=1e-5)


@pytest.mark.parametrize("cls", BLURS)
def test_blur_in_light_keeps_the_light(cls, textured):
    blurred = blur(cls, 2, space="linear").apply(textured, np.random.default_rng(1))
    assert to_linear(blurred).mean() == pytest.approx(to_linear(textured).mean(), abs=1e-3)


@pytest.mark.parametrize("cls", [DefocusBlur, GaussianBlur])
def test_symmetric_blur_keeps_the_mean_of_any_picture(cls, textured):
    blurred = blur(cls, 5, space="display").apply(textured, np.random.default_rng(1))
    assert blurred.mean() == pytest.approx(textured.mean(), abs=1e-4)


@pytest.mark.parametrize("cls", BLURS)
def test_the_border_does_not_darken(cls):
    flat = np.full((20, 90, 3), 0.7, np.float32)
    blurred = blur(cls, 5).apply(flat, np.random.default_rng(2))
    np.testing.assert_allclose(blurred, flat, atol=1e-5)


@pytest.mark.parametrize("cls", BLURS)
def test_blur_does_not_shift_the_picture(cls):
    point = np.zeros((121, 121, 1), np.float32)
    point[60, 60] = 1
    spread = blur(cls, 4, space="display").apply(point, np.random.default_rng(3))[..., 0]
    places = np.arange(121) - 60
    assert spread.sum(axis=0) @ places == pytest.approx(0, abs=0.01)
    assert spread.sum(axis=1) @ places == pytest.approx(0, abs=0.01)


def test_shakes_differ():
    point = np.zeros((61, 61, 1), np.float32)
    point[30, 30] = 1
    first, second = (
        blur(CameraShake, 3).apply(point, np.random.default_rng(seed)) for seed in (0, 1)
    )
    assert np.abs(first - second).max() > 0.05


def test_a_short_exposure_blurs_less(textured):
    errors = [
        np.mean(
            (blur(CameraShake, 5, exposure=e).apply(textured, np.random.default_rng(4)) - textured)
            ** 2
        )
        for e in (0.01, 0.1, 0.3)
    ]
    assert errors == sorted(errors)


def test_bright_lights_become_bright_discs():
    night = np.full((41, 41, 3), 0.05, np.float32)
    night[20, 20] = 1
    dim, bright = (
        blur(DefocusBlur, 3, highlights=h).apply(night, np.random.default_rng(0))
        for h in (1.0, 8.0)
    )
    assert bright[20, 20, 0] > 2 * dim[20, 20, 0]
    assert bright.max() <= 1
