import hashlib
import re
import tomllib
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from restorekit.degradations.base import to_samples
from restorekit.degradations.catalog import find_degradation
from restorekit.degradations.recipe import (
    apply_chain,
    generator,
    list_presets,
    load_recipe,
    make_reference,
    scale_of,
    trace_chain,
)
from restorekit.errors import UnknownNameError, UsageError

GUIDE = Path(__file__).parents[2] / "docs" / "degrading.md"


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_loads_and_runs(name, picture):
    recipe = load_recipe(name)
    assert recipe.description
    for copy in range(4):
        chain = recipe.draw(0, "a.png", copy)
        scale = scale_of(chain)
        degraded = apply_chain(picture, chain, 0, "a.png", copy)
        assert degraded.shape == (ceil(61 / scale), ceil(83 / scale), 3)
        assert np.isfinite(degraded).all()


LIKE = [name for name in list_presets() if name.endswith("-like") and not load_recipe(name).frames]


@pytest.mark.parametrize("name", LIKE)
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


@pytest.mark.parametrize(
    ("name", "copy", "digest"),
    [
        ("rain-varied", 0, "de2bff2b923f5bcc"),
        ("rain-varied", 1, "e6f5cd831e3d022e"),
        ("denoise-blind", 0, "e68d8f3febc771e1"),
        ("denoise-blind", 1, "4deebbeb3393c8a0"),
        ("rain100h-like", 0, "9983601babe926ce"),
        ("scratches", 1, "d371953dfeb9886d"),
    ],
)
def test_what_presets_make_is_pinned(name, copy, digest):
    # Embedded models were trained with the first two, and the manifests of users hold the others.
    picture = np.random.default_rng(3).integers(0, 256, (48, 64, 3)).astype(np.float32)
    chain = load_recipe(name).draw(7, "a.png", copy)
    degraded = apply_chain(picture / np.float32(255), chain, 7, "a.png", copy)
    samples = to_samples(degraded, np.uint8)
    assert hashlib.sha256(samples.tobytes()).hexdigest()[:16] == digest


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
        ([{"op": "jpeg", "quality": "50..101"}], "quality = 101"),
        ([{"op": "jpeg", "quality": [50, 0]}], "quality = 0"),
        ([{"op": "jpeg", "subsampling": "4:2"}], "subsampling = '4:2'"),
        ([{"op": "jpeg", "probabilty": 0.5}], "did you mean probability"),
        ([{"probability": 0.5}], "one of the keys op, one_of, shuffled and steps"),
        ([{}], "this one has none"),
        ([{"op": "jpeg", "one_of": []}], "has op and one_of"),
        ([{"one_of": []}], "one_of"),
        ([{"one_of": [{"op": "jpeg"}], "wieght": 2}], "did you mean weight"),
        ([{"shuffled": [{"op": "jpeg", "qualty": 3}]}], "did you mean quality"),
        ([{"op": "jpeg", "weight": 2}], "weight has a meaning only inside of a one_of"),
        ([{"one_of": [{"op": "jpeg", "ordered": True}]}], "ordered has a meaning only inside"),
        ([{"op": "jpeg", "probability": 2}], "probability"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(steps, said):
    with pytest.raises(UsageError, match=said):
        load_recipe({"steps": steps})


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ('["haze:3"]', r"a table, such as \{ op = .* not 'haze:3'"),
        ('[{ one_of = ["haze"] }]', "a table, such as .* not 'haze'"),
        ('{ op = "haze" }', "steps: Input should be a valid list"),
        ('[{ one_of = [{ op = "jpeg", weight = inf }, { op = "haze" }] }]', r"finite .*got inf"),
    ],
)
def test_steps_of_a_wrong_form_are_named_with_their_file(tmp_path, steps, said):
    path = tmp_path / "mine.toml"
    path.write_text(f"steps = {steps}\n")
    with pytest.raises(UsageError, match=rf"mine\.toml: .*{said}"):
        load_recipe(path)


def test_unknown_keys_of_a_recipe_are_errors():
    with pytest.raises(UsageError, match="unknown key 'step'; did you mean steps"):
        load_recipe({"steps": [], "step": 1})


@pytest.mark.parametrize("count", [[], [4], [1, 3]])
def test_frames_are_averaged_around_a_middle_one(count):
    with pytest.raises(UsageError, match="count"):
        load_recipe({"frames": {"count": count}})


def test_a_recipe_that_says_nothing_is_refused():
    with pytest.raises(UsageError, match=r"needs \[\[steps\]\]"):
        load_recipe({"version": 1})


def test_a_degradation_at_a_severity_is_a_recipe():
    ((_, drawn),) = load_recipe("haze:3").draw(0)
    assert drawn == find_degradation("haze").at_severity(3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("haze:9", "severities 1 to 5, not 9"),
        ("haze:x", "ends in a severity"),
        ("hase:3", "did you mean haze"),
    ],
)
def test_a_severity_that_does_not_exist_is_refused(name, said):
    with pytest.raises(UsageError, match=said):
        load_recipe(name)


@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        ([], 1),
        ([{"op": "downsampling", "factor": 2}, {"op": "downsampling", "factor": 3}], 6),
        ([{"op": "resize", "factor": 0.37}, {"op": "resize", "divisor": 4}], 4),
        ([{"op": "downsampling", "factor": 2}, {"op": "resize", "factor": 2.0}], 1),
    ],
)
def test_the_scale_is_that_of_the_whole_chain(steps, scale):
    chain = load_recipe({"steps": steps}).draw(0)
    assert scale_of(chain) == scale
    degraded = apply_chain(np.ones((24, 36, 3), np.float32), chain, 0)
    assert degraded.shape == (24 // scale, 36 // scale, 3)


@pytest.mark.parametrize("factor", [0.37, 2.0])
def test_a_chain_that_ends_at_an_odd_size_is_refused(factor):
    chain = load_recipe({"steps": [{"op": "resize", "factor": factor}]}).draw(0)
    with pytest.raises(UsageError, match="makes no pair"):
        scale_of(chain)


def test_a_given_depth_is_used_and_shrinks_with_the_picture():
    steps = [
        {"op": "resize", "factor": 0.5, "kernel": "area"},
        {"op": "haze", "beta": 1.0, "airlight": 1.0, "tint": 0.0, "patchiness": 0.0},
        {"op": "resize", "divisor": 1, "kernel": "nearest"},
    ]
    depth = np.repeat(np.array([[0.0, 2.0]], np.float32), 10, axis=1).repeat(20, axis=0)
    black = np.zeros((20, 20, 3), np.float32)
    chain = load_recipe({"steps": steps}).draw(0)
    traced = trace_chain(black, chain, 0, depth=depth)
    np.testing.assert_allclose(traced.picture[:, :8], 0, atol=1e-6)
    np.testing.assert_allclose(traced.picture[:, 12:], 1 - np.exp(-2), atol=1e-6)
    ((kind, used),) = traced.maps
    assert (kind, used.shape) == ("depth", (10, 10))


SHARPENED = [{"op": "unsharp-mask", "amount": 2.0, "sigma": 2.0, "threshold": 0.0}]


@pytest.mark.parametrize("factor", [2, 4])
def test_real_esrgan_trains_towards_a_sharpened_reference(factor):
    ((place, mask),) = load_recipe(f"realesrgan-x{factor}").draw_reference(0, "a.png", 1)
    assert place == "reference.0"
    assert mask.model_dump() == {"amount": 0.5, "sigma": 8.0, "threshold": 10.0}


def test_a_reference_is_made_before_the_steps_and_clipped(textured):
    recipe = load_recipe({"reference": SHARPENED, "steps": []})
    sharp = make_reference(textured, recipe.draw_reference(0), 0)
    assert (sharp.min(), sharp.max()) == (0, 1)
    assert sharp.std() > 1.1 * textured.std()
    as_it_is = make_reference(textured, load_recipe({"steps": []}).draw_reference(0), 0)
    assert as_it_is is textured


def test_what_a_reference_draws_leaves_the_steps_alone():
    steps = [{"op": "gaussian-noise"}]
    noise = [
        load_recipe({"steps": steps, "reference": reference}).draw(3, "a.png", 0)
        for reference in ([], [{"op": "gaussian-noise"}])
    ]
    assert noise[0] == noise[1]
    recipe = load_recipe({"steps": steps, "reference": steps})
    ((_, first),), ((_, second),) = recipe.draw(0), recipe.draw_reference(0)
    assert first.sigma != second.sigma


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"frames": {"count": [3]}}, r"with \[frames\] none is"),
        ({"reference": [{"op": "downsampling", "factor": 2}]}, "changes the size of the picture"),
        ({"reference": [{"op": "jpeg", "weight": 2}]}, "only inside of a one_of"),
        ({"reference": [{"op": "unsharp-mesk"}]}, "did you mean unsharp-mask"),
        ({"referense": SHARPENED}, "did you mean reference"),
    ],
)
def test_a_wrong_reference_says_what_is_wrong(other, said):
    with pytest.raises(UsageError, match=said):
        load_recipe({"steps": [], "reference": SHARPENED} | other)


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


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide does not come with the package")
def test_the_recipes_of_the_guide_can_be_drawn():
    written = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    recipes = [load_recipe(tomllib.loads(text)) for text in written]
    assert scale_of(recipes[0].draw(0)) == 1
    ((_, sharpened),) = recipes[1].draw_reference(0)
    assert sharpened.name == "unsharp-mask"
    assert recipes[2].frames == load_recipe("gopro-like").frames
