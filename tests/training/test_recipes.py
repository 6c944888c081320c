"""The recipes that ship, against what papers and codes say, and one small step of each."""

import math
import tomllib

import pytest
import torch

from restorekit.backends.card import read_card
from restorekit.backends.hub import embedded
from restorekit.errors import UsageError
from restorekit.events import StepDone, Validated
from restorekit.training.config import RECIPES, list_recipes, load_recipe, parse_recipe
from restorekit.training.loop import run_training
from restorekit.training.optim import Length, learning_rate

SMALL = {
    "sfnet": {"base": 16, "num_res": 1},
    "restormer": {"width": 8, "blocks": [1, 1, 1, 1], "refinement": 1},
    "deepdeblur": {"blocks": 1, "width": 4},
    "practice": {"channels": 4},
    "drunet": {"widths": [4, 4, 4, 4], "blocks": 1},
    "guided": {"widths": [4, 4, 4, 4], "blocks": 1, "side": 16},
    "exposure": {"widths": [4, 4, 4, 4], "blocks": 1, "look": [4, 4, 4, 4], "side": 16},
}


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_takes_a_small_step(name, photos, tmp_path):
    content = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    assert content["name"] == name
    assert content["description"]
    net = content["net"]
    net["config"] = net.get("config", {}) | SMALL[net["backend"]]
    net.pop("start", None)
    scale = net["config"].get("scale", 1)
    content["data"] |= {
        "photos": str(photos),
        "degradation": f"classical-x{scale}" if scale > 1 else "denoise-blind",
        "hold_out": 1,
        "patch": 32 // scale,
        "batch": 2,
        "workers": 0,
        "validation_patch": 32,
        "stages": [s | {"patch": 16, "batch": 2} for s in content["data"].get("stages", [])],
    }
    content["data"].pop("dataset", None)
    content.pop("epochs", None)
    recipe = parse_recipe(content | {"steps": 1}, name)
    events = list(run_training(recipe, tmp_path / "run", resume=False, device=torch.device("cpu")))
    (step,) = (event for event in events if isinstance(event, StepDone))
    assert all(math.isfinite(loss) for loss in step.losses.values())
    assert any(isinstance(event, Validated) for event in events)


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "warmup"),
    [
        ("sfnet-dehaze-indoor", 300, 4, 3),
        ("sfnet-dehaze-outdoor", 30, 8, 1),
        ("sfnet-desnow", 800, 4, 3),
        ("sfnet-deblur", 3000, 4, 3),
        ("sfnet-derain", 300, 4, 3),
    ],
)
def test_sfnet_is_trained_as_its_code_does(name, epochs, batch, warmup):
    recipe = load_recipe(name, {})
    optim = recipe.optim
    assert (recipe.epochs, recipe.data.batch, optim.warmup) == (epochs, batch, warmup)
    assert (recipe.data.patch, recipe.data.symmetries, recipe.ema) == (256, "mirror", 0)
    assert (optim.kind, optim.betas, optim.weight_decay) == ("adam", (0.9, 0.999), 0)
    assert (optim.clip_by, optim.clip, optim.schedule) == ("norm", 0.01, "cosine")
    assert recipe.losses == {"l1": 1.0, "fft": 0.1}
    assert recipe.net.config == {}
    first = learning_rate(warmup * 10 + 1, Length(epochs * 10, 10), optim)
    last = learning_rate(epochs * 10, Length(epochs * 10, 10), optim)
    assert (first, last) == (1e-4, pytest.approx(1e-6, abs=3e-7))


@pytest.mark.parametrize("name", [n for n in list_recipes() if n.startswith("restormer")])
def test_restormer_grows_its_crops_as_the_paper_does(name):
    recipe = load_recipe(name, {})
    stages = [(s.until, s.patch, s.batch) for s in recipe.data.stages]
    assert stages == [
        (92_000, 128, 64),
        (156_000, 160, 40),
        (204_000, 192, 32),
        (240_000, 256, 16),
        (276_000, 320, 8),
    ]
    assert (recipe.steps, recipe.data.patch, recipe.data.batch) == (300_000, 384, 8)
    optim = recipe.optim
    assert (optim.kind, optim.weight_decay, optim.clip) == ("adamw", 1e-4, 0.01)
    assert (recipe.data.mixup > 0) == ("denoise" in name)
    rates = [learning_rate(s, Length(300_000), optim) for s in (1, 92_000, 196_000, 300_000)]
    assert rates == pytest.approx([3e-4, 3e-4, (3e-4 + 1e-6) / 2, 1e-6])


@pytest.mark.parametrize("name", ["deepdeblur-gopro", "deepdeblur-gopro-transposed"])
def test_deepdeblur_halves_its_rate_from_epoch_400_on(name):
    recipe = load_recipe(name, {})
    length = Length(1000 * 1051, 1051)
    seen = [learning_rate(epoch * 1051, length, recipe.optim) for epoch in (1, 400, 401, 901, 1000)]
    assert seen == [5e-5, 5e-5, 2.5e-5, 5e-5 / 64, 5e-5 / 64]
    assert (recipe.epochs, recipe.data.batch, recipe.data.patch) == (1000, 2, 256)
    assert (recipe.optim.clip_by, recipe.optim.clip, recipe.optim.kind) == ("value", 0.5, "adam")
    assert (recipe.losses, recipe.scales, recipe.data.symmetries) == (
        {"mse": 1.0},
        "bicubic",
        "flips",
    )
    config = recipe.net.config
    assert (config["blocks"], config["peak"], config["pyramid"]) == (9, 1, "bicubic")
    assert config["shuffle"] is not name.endswith("transposed")


@pytest.mark.parametrize(
    ("number", "skip", "norm"), [(1, False, False), (2, True, False), (3, True, True)]
)
def test_the_cifar_models_see_noise_of_a_tenth(number, skip, norm):
    recipe = load_recipe(f"denoise-cifar-model{number}", {})
    assert recipe.net.config == {"skip": skip, "norm": norm}
    assert recipe.data.degradation == {"steps": [{"op": "gaussian-noise", "sigma": 25.5}]}
    assert (recipe.epochs, recipe.data.batch, recipe.losses) == (100, 32, {"mse": 1.0})


def test_setting_steps_takes_the_place_of_epochs():
    assert load_recipe("sfnet-derain", {"steps": 5}).epochs is None
    with pytest.raises(UsageError, match="give steps or epochs"):
        parse_recipe(
            {"name": "x", "task": "denoise", "net": {"backend": "drunet"}, "data": {}}, "x"
        )


@pytest.mark.parametrize("path", embedded(), ids=lambda path: path.stem)
def test_an_embedded_model_was_trained_by_the_recipe_that_ships(path):
    training = read_card(path).training
    assert load_recipe(training.recipe, {}).sha256 == training.recipe_sha256
