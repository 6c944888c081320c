import numpy as np
import pytest

from restorekit.degradations.overlay import DrivenSnow, PlasmaFog, Spatter

GREY = np.full((120, 160, 3), 0.5, np.float32)


def test_fog_keeps_the_brightest_within_its_range(textured):
    fog = PlasmaFog(strength=2.0, decay=2.0).apply(textured, np.random.default_rng(0))
    assert 0 <= fog.min() < fog.max() <= textured.max() + 1e-6
    clear = textured * (textured.max() / (textured.max() + 2))
    assert (fog >= clear - 1e-6).all()


def snow(**changed):
    calm = {"level": 0.1, "spread": 0.3, "grain": 2.0, "threshold": 0.5, "motion": 4.0}
    return DrivenSnow(**(calm | {"reach": 10, "angle": 90.0, "whitening": 0.0} | changed))


def test_snow_is_the_same_upside_down():
    fallen = snow().apply(GREY, np.random.default_rng(0)) - GREY
    np.testing.assert_allclose(fallen, fallen[::-1, ::-1], atol=1e-6)
    assert 0.01 < fallen.mean() < 0.5


def test_snow_falls_along_its_angle():
    for angle, along in ((90.0, 0), (0.0, 1)):
        fallen = snow(angle=angle).apply(GREY, np.random.default_rng(0))[..., 0]
        steps = [np.abs(np.diff(fallen, axis=axis)).mean() for axis in (0, 1)]
        assert steps[along] < 0.5 * steps[1 - along]


def test_snow_whitens_with_the_luma_of_the_picture():
    red = np.zeros((4, 4, 3), np.float32)
    red[..., 0] = 0.4
    white = snow(level=0, spread=0, whitening=0.5).apply(red, np.random.default_rng(0))
    luma = 1.5 * 0.299 * 0.4 + 0.5
    np.testing.assert_allclose(white[0, 0], [(0.4 + luma) / 2, luma / 2, luma / 2], rtol=1e-5)


@pytest.mark.parametrize("cover", [0.05, 0.3, 0.6])
def test_spatter_covers_as_much_as_it_says(cover):
    water = Spatter(kind="water", size=2.0, cover=cover, strength=1.0)
    grey = np.full((500, 500, 1), 0.2, np.float32)
    mask = water.traced(grey, np.random.default_rng(0)).maps["mask"]
    # The parts of the relief that face away from the light are black.
    assert 0.4 * cover < np.mean(mask > 0) < 1.1 * cover
    assert mask.max() == 1


def test_mud_hides_and_water_shines():
    for kind, colour in (("mud", [63, 42, 20]), ("water", [175, 238, 238])):
        spatter = Spatter(kind=kind, size=4.0, cover=0.4, strength=1.0)
        traced = spatter.traced(GREY, np.random.default_rng(0))
        most = np.unravel_index(traced.maps["mask"].argmax(), GREY.shape[:2])
        behind = 0.5 if kind == "water" else 0.5 * (1 - traced.maps["mask"].max())
        expected = behind + np.array(colour) / 255 * traced.maps["mask"].max()
        np.testing.assert_allclose(traced.picture[most], expected, atol=1e-5)
        np.testing.assert_array_equal(traced.picture[traced.maps["mask"] == 0], 0.5)
