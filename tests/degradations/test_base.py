"""What `traced` promises of every degradation."""

import numpy as np
import pytest

from restorekit.degradations.catalog import DEGRADATIONS, find_degradation
from restorekit.errors import UsageError

TOLD = {
    "motion-blur": {"kernel"},
    "camera-shake": {"kernel"},
    "defocus-blur": {"kernel"},
    "gaussian-blur": {"kernel"},
    "kernel-blur": {"kernel"},
    "sinc-filter": {"kernel"},
    "haze": {"depth"},
    "depth-defocus": {"depth"},
    "rain-streaks": {"mask"},
    "rain-sheet": {"mask"},
    "raindrops": {"mask"},
    "snow": {"mask"},
    "spatter": {"mask"},
    "film-scratches": {"mask"},
    "dust": {"mask"},
    "moving-objects": {"mask"},
    "impulse-noise": {"mask"},
    "lens-distortion": {"map", "mask"},
    "fish-eye": {"map", "mask"},
}
HIDERS = [name for name, told in TOLD.items() if told == {"mask"}]
CONVOLUTIONS = [name for name, told in TOLD.items() if told == {"kernel"}]
WITH_DEPTH = ["haze", "depth-defocus"]

every_degradation = pytest.mark.parametrize("degradation", DEGRADATIONS, ids=lambda d: d.name)


@every_degradation
@pytest.mark.parametrize("shape", [(61, 83, 3), (1, 1, 3), (2, 31, 1)], ids=str)
def test_tracing_changes_no_byte_and_tells_what_is_known(degradation, shape):
    picture = np.random.default_rng(1).random(shape, dtype=np.float32)
    for seed in range(3):
        drawn = degradation.sample(np.random.default_rng(seed))
        told = drawn.traced(picture, np.random.default_rng(seed))
        np.testing.assert_array_equal(
            told.picture, drawn.apply(picture, np.random.default_rng(seed))
        )
        assert set(told.maps) == TOLD.get(degradation.name, set())
        for name, told_map in told.maps.items():
            check(name, told_map, shape)


def check(name, told, shape):
    assert told.dtype == np.float32
    assert np.isfinite(told).all()
    if name == "kernel":
        assert told.shape[0] % 2 == told.shape[1] % 2 == 1
    else:
        assert told.shape[:2] == shape[:2]
    if name == "mask":
        assert told.ndim == 2
        assert told.min() >= 0
        assert told.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_a_traced_kernel_is_the_one_that_blurred(name, seed):
    point = np.zeros((201, 201, 1), np.float32)
    point[100, 100] = 1
    plain = {"space": "display", "highlights": 1.0}
    fields = find_degradation(name).model_fields
    written = {key: value for key, value in plain.items() if key in fields}
    drawn = find_degradation(name).sample(np.random.default_rng(seed), **written)
    told = drawn.traced(point, np.random.default_rng(seed))
    kernel = told.maps["kernel"]
    height, width = kernel.shape
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.sum(axis=0) @ (np.arange(width) - width // 2) == pytest.approx(0, abs=5e-3)
    assert kernel.sum(axis=1) @ (np.arange(height) - height // 2) == pytest.approx(0, abs=5e-3)
    rows, columns = (slice(100 - side // 2, 101 + side // 2) for side in (height, width))
    np.testing.assert_allclose(told.picture[rows, columns, 0], kernel, atol=1e-6)


@pytest.mark.parametrize("name", HIDERS)
def test_outside_of_the_mask_the_picture_is_unharmed(name, textured):
    drawn = find_degradation(name).at_severity(1)
    told = drawn.traced(textured, np.random.default_rng(2))
    free = told.maps["mask"] < 1e-6
    assert 0.001 < told.maps["mask"].astype(bool).mean() < 0.9
    np.testing.assert_allclose(told.picture[free], textured[free], atol=1e-5)
    assert np.abs(told.picture - textured)[~free].max() > 0.05


@pytest.mark.parametrize("name", WITH_DEPTH)
def test_a_given_depth_is_used(name, textured):
    drawn = find_degradation(name).at_severity(4)
    assert drawn.takes_depth
    halves = np.full(textured.shape[:2], 0.2, np.float32)
    halves[:, 120:] = 1.0
    told = drawn.traced(textured, np.random.default_rng(0), halves)
    np.testing.assert_array_equal(told.maps["depth"], halves)
    near, far = (np.abs(told.picture - textured)[:, half] for half in (np.s_[:80], np.s_[160:]))
    assert far.mean() > 2 * near.mean()


@pytest.mark.parametrize("name", WITH_DEPTH)
def test_a_traced_depth_gives_the_same_picture_again(name, textured):
    drawn = find_degradation(name).at_severity(3)
    guessed = drawn.traced(textured, np.random.default_rng(0))
    again = drawn.traced(textured, np.random.default_rng(1), guessed.maps["depth"])
    np.testing.assert_array_equal(again.picture, guessed.picture)


@pytest.mark.parametrize("name", WITH_DEPTH)
@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (np.ones((3, 4), np.float32), "depth map is 4 x 3 and the picture 83 x 61"),
        (np.full((61, 83), -1, np.float32), "values below 0"),
        (np.full((61, 83), np.nan, np.float32), "infinite or missing"),
    ],
)
def test_a_depth_that_does_not_fit_is_refused(name, depth, said, picture):
    drawn = find_degradation(name).at_severity(3)
    with pytest.raises(UsageError, match=said):
        drawn.traced(picture, np.random.default_rng(0), depth)
