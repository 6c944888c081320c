import numpy as np
import pytest

from restorekit.degradations.catalog import DEGRADATIONS
from restorekit.degradations.preview import TILE, preview
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Image


@pytest.fixture
def photo(textured):
    samples = (textured * 255).astype(np.uint8)
    return Image(np.tile(samples, (3, 3, 1)))


def tiles(sheet):
    """Cut the sheet into its six tiles, titles left out."""
    half = sheet.pixels.shape[0] // 2
    rows = [sheet.pixels[:half], sheet.pixels[half:]]
    step = (sheet.pixels.shape[1] - TILE[0]) // 2
    return [row[-TILE[1] :, n * step : n * step + TILE[0]] for row in rows for n in range(3)]


def distances(sheet):
    reference, *degraded = (tile.astype(float) for tile in tiles(sheet))
    return [np.mean((tile - reference) ** 2) for tile in degraded]


def test_the_severities_of_a_degradation_grow(photo):
    sheet = preview("gaussian-noise", photo)
    assert sheet.pixels.dtype == np.uint8
    assert sheet.pixels.shape[1] == 3 * TILE[0] + 8
    found = distances(sheet)
    assert found == sorted(found)
    assert found[0] == pytest.approx(5**2, rel=0.1)


@pytest.mark.parametrize("name", ["old-photo", "realesrgan-x4", "haze:4", "imagenet-c:contrast:2"])
def test_a_recipe_is_shown_in_five_draws(photo, name):
    assert all(distance > 5 for distance in distances(preview(name, photo)))
    if name == "old-photo":
        assert len(set(distances(preview(name, photo)))) == 5


@pytest.mark.parametrize("name", [degradation.name for degradation in DEGRADATIONS])
def test_every_degradation_has_a_sheet_of_any_picture(name):
    rng = np.random.default_rng(0)
    for shape in ((33, 51, 1), (300, 40, 3)):
        sheet = preview(name, Image(rng.integers(0, 255, shape, dtype=np.uint8)))
        assert sheet.pixels.shape[2] == 3


def test_the_seed_changes_the_sheet(photo):
    first, again, other = (preview("shake", photo, seed=seed).pixels for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_one_picture_cannot_show_is_refused(photo):
    with pytest.raises(UsageError, match="averages the frames"):
        preview("gopro-like", photo)
    with pytest.raises(UnknownNameError, match="old-photo"):
        preview("old-foto", photo)
    with pytest.raises(UsageError, match="too small to be reduced 2 times"):
        preview("downsampling", Image(np.zeros((1, 1, 3), np.uint8)))
