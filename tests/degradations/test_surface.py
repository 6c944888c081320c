import numpy as np
import pytest

from restorekit.degradations.surface import ColourFade, Dust, FilmScratches

GREY = np.full((200, 240, 3), 0.5, np.float32)


def of_severity(cls, severity, **changes):
    return cls.from_values({**cls.at_severity(severity).model_dump(), **changes})


@pytest.mark.parametrize("cls", [FilmScratches, Dust])
@pytest.mark.parametrize(("tone", "lighter", "darker"), [("light", 1, 0), ("dark", 0, 1)])
def test_the_tone_is_light_or_dark(cls, tone, lighter, darker):
    marked = of_severity(cls, 4, tone=tone).apply(GREY, np.random.default_rng(0))
    assert (marked > 0.52).any() == lighter
    assert (marked < 0.48).any() == darker


@pytest.mark.parametrize("cls", [FilmScratches, Dust])
def test_mixed_tones_are_both(cls):
    marked = of_severity(cls, 4, tone="mixed").apply(GREY, np.random.default_rng(0))
    assert (marked > 0.52).any()
    assert (marked < 0.48).any()


@pytest.mark.parametrize("cls", [FilmScratches, Dust])
def test_most_of_the_picture_is_untouched_and_nothing_leaves_the_range(cls, textured):
    marked = of_severity(cls, 3).apply(textured, np.random.default_rng(1))
    assert np.mean(np.abs(marked - textured) > 0.02) < 0.25
    assert marked.min() >= 0
    assert marked.max() <= 1


def test_scratches_run_down_the_film():
    marked = of_severity(FilmScratches, 3).apply(GREY, np.random.default_rng(2))[..., 0]
    assert np.abs(np.diff(marked, axis=1)).sum() > 4 * np.abs(np.diff(marked, axis=0)).sum()


def test_dust_is_as_dense_in_a_large_picture_as_in_a_small_one():
    shares = []
    for side in (150, 500):
        grey = np.full((side, side, 1), 0.5, np.float32)
        drawn = [of_severity(Dust, 4).apply(grey, np.random.default_rng(s)) for s in range(4)]
        shares.append(np.mean(np.array(drawn) > 0.55))
    assert shares[0] == pytest.approx(shares[1], rel=0.25)


def test_a_bleached_dye_lets_its_light_through():
    fade = ColourFade(cyan=0.5, magenta=0, yellow=0, yellowing=0, lift=0)
    faded = fade.apply(GREY, None)[0, 0]
    np.testing.assert_allclose(faded, [0.5**0.5, 0.5, 0.5], atol=1e-6)


def test_old_paper_is_yellow_and_old_black_is_grey():
    fade = ColourFade(cyan=0, magenta=0, yellow=0, yellowing=0.3, lift=0.1)
    white, black = (fade.apply(np.full((1, 1, 3), v, np.float32), None)[0, 0] for v in (1, 0))
    assert white[0] > white[1] > white[2]
    assert black.min() > 0.05
