"""What every degradation of the catalogue has to do."""

from itertools import pairwise

import numpy as np
import pytest

from restorekit.degradations.base import Degradation
from restorekit.degradations.catalog import DEGRADATIONS, find_degradation
from restorekit.degradations.recipe import list_presets
from restorekit.errors import UsageError

HARMLESS = {
    "rain-streaks": {"strength": 0.0},
    "rain-sheet": {"strength": 0.0},
    "raindrops": {"cover": 0.0},
    "depth-defocus": {"radius": 0.0},
    "turbulence": {"strength": 0.0},
    "lens-distortion": {"k1": 0.0},
    "fish-eye": {"view": 0.0},
    "downsampling": {"factor": 1},
    "gaussian-noise": {"sigma": 0.0},
    "correlated-noise": {"sigma": 0.0},
    "poisson-noise": {"photons": 1e9},
    "impulse-noise": {"amount": 0.0},
    "speckle-noise": {"sigma": 0.0},
    "raw-noise": {"shot": 0.0},
    "snow": {"density": 0.0, "veil": 0.0},
    "haze": {"beta": 0.0},
    "driven-snow": {"level": 0.0, "spread": 0.0, "whitening": 0.0},
    "plasma-fog": {"strength": 0.0},
    "spatter": {"cover": 0.0},
    "glass-blur": {"sigma": 0.0, "reach": 0},
    "zoom-blur": {"zoom": 1.0},
    "elastic": {"displacement": 0.0, "corners": 0.0},
    "saturation": {"factor": 1.0, "lift": 0.0},
    "low-light": {"ratio": 1.0, "shot": 0.0, "read": 0.0, "cast": 0.0},
    "motion-blur": {"length": 0.0},
    "camera-shake": {"extent": 0.0},
    "moving-objects": {"length": 0.0},
    "defocus-blur": {"radius": 0.0, "highlights": 1.0},
    "gaussian-blur": {"sigma": 0.0},
    "kernel-blur": {"sigma": 0.0},
    "sinc-filter": {"cutoff": 1.0, "reach": 0},
    "unsharp-mask": {"amount": 0.0},
    "amplified-poisson-noise": {"strength": 0.0},
    "greyscale": {"amount": 0.0},
    "brightness": {"lift": 0.0},
    "low-contrast": {"contrast": 1.0},
    "jpeg": {"quality": 100, "subsampling": "4:4:4"},
    "webp": {"quality": 100},
    "quantise": {"bits": 16},
    "film-scratches": {"strength": 0.0},
    "dust": {"strength": 0.0},
    "colour-fade": dict.fromkeys(("cyan", "magenta", "yellow", "yellowing", "lift"), 0.0),
}
"""The parameters that take the strength out of each, whatever the others."""
LOSSY = {"jpeg": 0.03, "webp": 0.1, "poisson-noise": 1e-3}
"""How far the strength can be taken out where it is more than rounding."""
OPTICS = [
    "motion-blur",
    "camera-shake",
    "moving-objects",
    "defocus-blur",
    "depth-defocus",
    "gaussian-blur",
    "kernel-blur",
    "sinc-filter",
    "unsharp-mask",
    "glass-blur",
    "zoom-blur",
    "turbulence",
    "elastic",
    "lens-distortion",
    "fish-eye",
    "downsampling",
]
"""They move light about and neither make nor swallow any."""
SHAPES = [(1, 1, 3), (1, 1, 1), (1, 50, 1), (37, 2, 3), (2, 3, 3), (33, 47, 1)]

every_degradation = pytest.mark.parametrize("degradation", DEGRADATIONS, ids=lambda d: d.name)


def shrunk(shape, scale):
    return (-(-shape[0] // scale), -(-shape[1] // scale), shape[2])


@every_degradation
def test_it_draws_within_its_own_bounds(degradation):
    for seed in range(50):
        drawn = degradation.sample(np.random.default_rng(seed))
        assert degradation.from_values(drawn.model_dump()) == drawn


@every_degradation
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_takes_pictures_of_any_size_and_channel_count(degradation, shape):
    for seed in range(4):
        drawn = degradation.sample(np.random.default_rng(seed))
        given = np.random.default_rng(seed).random(shape, dtype=np.float32)
        kept = given.copy()
        degraded = drawn.apply(given, np.random.default_rng(seed))
        assert degraded.shape == shrunk(shape, drawn.scale)
        assert degraded.dtype == np.float32
        assert np.isfinite(degraded).all()
        np.testing.assert_array_equal(given, kept)


@every_degradation
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_it_survives_black_and_white(degradation, level):
    for severity in range(1, 6):
        drawn = degradation.at_severity(severity)
        flat = np.full((40, 31, 3), level, np.float32)
        assert np.isfinite(drawn.apply(flat, np.random.default_rng(severity))).all()


@pytest.mark.parametrize("name", OPTICS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (25, 40, 1), (63, 21, 3)], ids=str)
def test_optics_and_sampling_leave_a_constant_picture_alone(name, shape):
    for seed in range(4):
        drawn = find_degradation(name).sample(np.random.default_rng(seed))
        degraded = drawn.apply(np.full(shape, 0.37, np.float32), np.random.default_rng(seed))
        np.testing.assert_allclose(degraded, 0.37, atol=1e-4)


@every_degradation
def test_it_survives_what_a_chain_leaves_outside_of_0_to_1(degradation, picture):
    drawn = degradation.at_severity(3)
    assert np.isfinite(drawn.apply(picture * 2 - 0.5, np.random.default_rng(0))).all()


@every_degradation
def test_the_same_generator_gives_the_same_picture(degradation, picture):
    for seed in range(3):
        drawn = degradation.sample(np.random.default_rng(seed))
        first, second = (drawn.apply(picture, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


@every_degradation
def test_without_strength_it_is_the_picture(degradation, picture):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        harmless = degradation.sample(rng, **HARMLESS[degradation.name])
        tolerance = LOSSY.get(degradation.name, 1e-5)
        np.testing.assert_allclose(harmless.apply(picture, rng), picture, atol=tolerance)


@every_degradation
def test_each_severity_does_more_damage(degradation, textured):
    errors = []
    for severity in range(1, 6):
        drawn = degradation.at_severity(severity)
        seeds = range(3)
        errors.append(
            np.mean([squared_error(drawn, textured, np.random.default_rng(s)) for s in seeds])
        )
    assert all(later > 1.1 * earlier for earlier, later in pairwise(errors))


def squared_error(drawn, reference, rng):
    degraded = np.clip(drawn.apply(reference, rng), 0, 1)
    enlarged = degraded.repeat(drawn.scale, axis=0).repeat(drawn.scale, axis=1)
    height, width = reference.shape[:2]
    return np.mean((enlarged[:height, :width] - reference) ** 2)


@every_degradation
def test_every_parameter_is_bounded_and_has_a_default_range(degradation):
    assert degradation.__doc__ != Degradation.__doc__
    assert set(degradation.ranges) == set(degradation.model_fields)
    for field in degradation.model_fields.values():
        assert field.annotation not in (int, float) or len(field.metadata) == 2


@pytest.mark.parametrize("severity", [0, 6])
def test_a_severity_that_does_not_exist_is_refused(severity):
    with pytest.raises(UsageError, match=f"severities 1 to 5, not {severity}"):
        find_degradation("jpeg").at_severity(severity)


def test_the_names_are_unique_among_degradations_and_presets():
    names = [d.name for d in DEGRADATIONS] + list_presets()
    assert len(set(names)) == len(names)
