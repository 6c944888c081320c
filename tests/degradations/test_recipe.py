from math import ceil, prod

import numpy as np
import pytest

from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.recipe import apply_chain, generator, list_presets, load_recipe
from restorekit.errors import UnknownNameError, UsageError


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_loads_and_runs(name, picture):
    recipe = load_recipe(name)
    assert recipe.description
    for copy in range(4):
        chain = recipe.draw(0, "a.png", copy)
        scale = prod(degradation.scale for _, degradation in chain)
        degraded = apply_chain(picture, chain, 0, "a.png", copy)
        assert degraded.shape == (ceil(61 / scale), ceil(83 / scale), 3)
        assert np.isfinite(degraded).all()


@pytest.mark.parametrize("name", [name for name in list_presets() if name.endswith("-like")])
def test_a_preset_like_a_data_set_always_degrades(name, textured):
    recipe = load_recipe(name)
    for copy in range(10):
        degraded = apply_chain(textured, recipe.draw(0, copy), 0, copy)
        assert np.mean((degraded - textured) ** 2) > 1e-4


def test_the_cifar_preset_has_20_db():
    grey = np.full((100, 100, 3), 0.5, np.float32)
    noisy = apply_chain(grey, load_recipe("cifar-noise").draw(0), 0)
    assert -10 * np.log10(np.mean((noisy - grey) ** 2)) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_classical_presets_reduce_by_their_factor(factor, textured):
    reduced = apply_chain(textured, load_recipe(f"classical-x{factor}").draw(0), 0)
    assert reduced.shape == (192 // factor, 240 // factor, 3)


def test_the_same_names_give_the_same_picture(picture):
    recipe = load_recipe("rain-varied")
    first, second = (
        apply_chain(picture, recipe.draw(7, "a.png", 0), 7, "a.png", 0) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_seed_path_and_copy_each_change_the_draw():
    recipe = load_recipe("denoise-blind")
    sigmas = {
        recipe.draw(*key)[0][1].sigma
        for key in [(0, "a.png", 0), (1, "a.png", 0), (0, "b.png", 0), (0, "a.png", 1)]
    }
    assert len(sigmas) == 4


def test_the_generator_is_pinned():
    # The manifests of users depend on these numbers.
    assert generator(7, "a.png", 0).integers(0, 2**32, 3).tolist() == [
        1516009479,
        3101219689,
        21447432,
    ]


def test_probability_leaves_steps_out():
    recipe = load_recipe({"steps": [{"op": "gaussian-noise", "probability": 0.25, "sigma": 1.0}]})
    used = [bool(recipe.draw(0, number)) for number in range(1000)]
    assert np.mean(used) == pytest.approx(0.25, abs=0.04)


def test_the_description_does_not_change_the_hash():
    steps = [{"op": "jpeg", "quality": 30}]
    assert (
        load_recipe({"steps": steps}).sha256
        == load_recipe({"steps": steps, "description": "x"}).sha256
    )
    assert load_recipe({"steps": steps}).sha256 != load_recipe({"steps": []}).sha256


def test_a_recipe_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('version = 1\n[[steps]]\nop = "jpeg"\nquality = "20..40"\n')
    quality = load_recipe(path).draw(0, "a")[0][1].quality
    assert 20 <= quality <= 40


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"op": "gausian-noise"}], "did you mean gaussian-noise"),
        ([{"op": "jpeg", "qualty": 3}], "did you mean quality"),
        ([{"op": "jpeg", "quality": 300}], "quality = 300"),
        ([{"op": "jpeg", "quality": "90..20"}], "empty"),
        ([{"op": "jpeg", "probability": 2}], "probability"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(steps, said):
    with pytest.raises(UsageError, match=said):
        load_recipe({"steps": steps})


def test_unknown_keys_of_a_recipe_are_errors():
    with pytest.raises(UsageError, match="sedd"):
        load_recipe({"steps": [], "sedd": 1})


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UnknownNameError, match="rain-varied"):
        load_recipe("rain-varid")


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("version = = 1")
    with pytest.raises(UsageError, match=r"broken\.toml: not a TOML file"):
        load_recipe(path)


def test_an_unknown_degradation_is_refused():
    with pytest.raises(UnknownNameError):
        find_degradation("hail")
