import numpy as np
import pytest

from restorekit.degradations.weather import RainSheet, RainStreaks, streak

RAIN = {
    "layers": 2,
    "density": 0.002,
    "length": 20,
    "width": 1.5,
    "angle": 80,
    "spread": 2,
    "taper": 0.3,
    "strength": 0.6,
    "blend": "screen",
}


def rain(**changes):
    return RainStreaks(**(RAIN | changes))


def test_a_streak_is_centred_and_has_peak_one():
    drawn = streak(length=21, width=2, angle=70, taper=0.2)
    assert drawn.shape[0] % 2 == drawn.shape[1] % 2 == 1
    assert drawn.max() == pytest.approx(1)
    np.testing.assert_allclose(drawn, drawn[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize(("angle", "is_tall"), [(90, True), (0, False)])
def test_a_streak_follows_its_angle(angle, is_tall):
    height, width = streak(length=30, width=1, angle=angle, taper=0).shape
    assert (height > width) == is_tall


def test_a_streak_leans_as_its_angle_says():
    drawn = streak(length=30, width=1, angle=45, taper=0)
    rows, columns = np.nonzero(drawn > 0.5)
    assert np.corrcoef(rows, columns)[0, 1] < -0.9  # up to the right


def test_a_tapered_streak_is_dimmer_towards_its_ends():
    middle = [streak(31, 1.5, 90, taper)[:, 3] for taper in (0.0, 1.0)]
    assert middle[1][5] < middle[0][5]


@pytest.mark.parametrize("change", [{"density": 0}, {"strength": 0}])
@pytest.mark.parametrize("blend", ["screen", "add", "veil"])
def test_no_rain_is_the_picture(picture, change, blend):
    dry = rain(blend=blend, **change).apply(picture, np.random.default_rng(0))
    np.testing.assert_array_equal(dry, picture)


@pytest.mark.parametrize("blend", ["screen", "add"])
def test_rain_only_brightens(picture, blend):
    wet = rain(blend=blend).apply(picture, np.random.default_rng(0))
    assert (wet >= picture - 1e-6).all()
    assert (wet > picture + 0.05).any()


def test_the_veil_pulls_towards_one_light(picture):
    wet = rain(blend="veil", density=0.02).apply(picture, np.random.default_rng(0))
    assert wet.std() < picture.std()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 1), (37, 2, 3)])
def test_any_size_and_channel_count(shape):
    wet = rain().apply(np.full(shape, 0.2, np.float32), np.random.default_rng(0))
    assert wet.shape == shape
    assert wet.dtype == np.float32
    assert np.isfinite(wet).all()


def test_stronger_rain_does_more_damage(picture):
    errors = [
        np.mean((rain(strength=s).apply(picture, np.random.default_rng(5)) - picture) ** 2)
        for s in (0.1, 0.3, 0.6, 0.9)
    ]
    assert errors == sorted(errors)


def test_rain_reaches_every_part_of_the_picture():
    wet = rain(density=0.01).apply(np.zeros((200, 200, 1), np.float32), np.random.default_rng(1))
    quarters = [wet[:60, :60], wet[:60, -60:], wet[-60:, :60], wet[-60:, -60:]]
    means = [quarter.mean() for quarter in quarters]
    assert min(means) > 0.6 * max(means)


def test_in_light_rain_is_brighter_over_the_dark():
    dark = np.full((150, 150, 3), 0.02, np.float32)
    display, linear = (
        rain(space=space).apply(dark, np.random.default_rng(2)) for space in ("display", "linear")
    )
    assert linear.mean() > display.mean() + 0.01
    assert linear.max() <= 1 + 1e-5


def test_parameters_stored_before_there_was_a_choice_of_space_mean_display_values():
    assert RainStreaks.from_values(RAIN).space == "display"


def sheet(**changes):
    return RainSheet.from_values(RainSheet.at_severity(3).model_dump() | changes)


@pytest.mark.parametrize("cover", [0.05, 0.2, 0.5])
def test_a_sheet_covers_as_much_as_it_says(cover):
    black = np.zeros((200, 300, 3), np.float32)
    shares = [
        sheet(cover=cover).traced(black, np.random.default_rng(seed)).maps["mask"] > 0
        for seed in range(6)
    ]
    assert np.mean(shares) == pytest.approx(cover, rel=0.15)


@pytest.mark.parametrize("angle", [30.0, 90.0, 120.0])
def test_a_sheet_falls_along_its_angle(angle):
    black = np.zeros((160, 160, 1), np.float32)
    rain = sheet(angle=angle).apply(black, np.random.default_rng(0))[..., 0]
    rows, columns = np.gradient(rain)
    # The eigenvector of the structure tensor that changes most lies across the fall.
    tensor = [[(columns**2).sum(), (columns * rows).sum()], [0, (rows**2).sum()]]
    across = np.linalg.eigh(tensor, UPLO="U")[1][:, 1]
    fall = np.rad2deg(np.arctan2(across[0], across[1])) % 180
    assert fall == pytest.approx(angle, abs=8)  # gradients of pixels favour the axes


def test_a_sheet_has_streaks_of_many_strengths():
    black = np.zeros((200, 200, 1), np.float32)
    rain = sheet(strength=0.5).apply(black, np.random.default_rng(1))
    shown = rain[rain > 0]
    faint, middle, strong = np.quantile(shown, [0.2, 0.5, 0.95])
    assert 0 < faint < 0.5 * middle
    assert strong > 2 * middle


@pytest.mark.parametrize("blend", ["screen", "add", "veil"])
def test_a_sheet_only_adds_light_to_the_dark(blend):
    dark = np.full((64, 64, 3), 0.2, np.float32)
    assert (sheet(blend=blend).apply(dark, np.random.default_rng(0)) >= dark - 1e-6).all()
