from pathlib import Path

import pytest
from PIL import Image as PillowImage

from restorekit.backends.card import Card
from restorekit.errors import DataError, UsageError
from restorekit.training.schedule import complete_recipe, merged

CARD = Card(name="mine", backend="drunet", config={"in_channels": 3, "blocks": 1}, task="denoise")


def pairs(folder, count, side):
    for kind in ("input", "target"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            PillowImage.new("RGB", (side, side)).save(folder / kind / f"{number}.png")
    return {"data": {"pairs": str(folder)}}


def scheduled(said, card=CARD):
    return complete_recipe(said, card, scheduled=True, where="test")


def test_small_data_gets_the_least_steps_and_a_patch_that_fits(tmp_path):
    recipe = scheduled(pairs(tmp_path, 4, 52))
    assert (recipe.name, recipe.task, recipe.net.backend) == ("mine-tuned", "denoise", "drunet")
    assert recipe.net.config["blocks"] == 1
    assert (recipe.data.hold_out, recipe.data.patch) == (1, 48)
    assert (recipe.steps, recipe.validate_every) == (200, 20)
    assert recipe.optim.lr == 1e-4


def test_larger_data_gets_more_steps(tmp_path):
    recipe = scheduled(pairs(tmp_path, 12, 512))
    assert (recipe.data.hold_out, recipe.data.patch) == (2, 128)
    assert recipe.steps == 20 * 10 * 512**2 / (8 * 128**2)


def test_what_was_said_stays_and_the_rest_follows_from_it(tmp_path):
    said = merged(pairs(tmp_path, 12, 512), {"data": {"batch": 2}, "optim": {"lr": 1e-3}})
    recipe = scheduled(said)
    assert recipe.data.batch == 2
    assert recipe.steps == 20 * 10 * 512**2 / (2 * 128**2)
    assert (recipe.optim.lr, recipe.optim.warmup) == (1e-3, 80)
    assert scheduled(merged(said, {"steps": 10})).validate_every == 1


@pytest.mark.parametrize(("epochs", "warmup"), [(3, 0), (40, 2)])
def test_a_schedule_in_epochs_warms_up_in_epochs(tmp_path, epochs, warmup):
    recipe = scheduled(merged(pairs(tmp_path, 12, 64), {"epochs": epochs, "data": {"batch": 5}}))
    assert (recipe.steps, recipe.epochs, recipe.optim.warmup) == (None, epochs, warmup)
    assert recipe.validate_every == max(2 * epochs // 10, 1)


@pytest.mark.parametrize(
    "said",
    [
        {"data": {"batch": 0}},
        {"data": {"patch": "x"}},
        {"data": {"hold_out": "x"}},
        {"steps": "many"},
        {"epochs": "many"},
        {"data": {"pairs": 20.24}},
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_computed_from_it(tmp_path, said):
    with pytest.raises(UsageError, match=r"^test: "):
        scheduled(merged(pairs(tmp_path, 3, 40), said))


def test_a_name_becomes_one_that_a_recipe_may_have(tmp_path):
    card = CARD.model_copy(update={"name": "my model (1)"})
    assert scheduled(pairs(tmp_path, 3, 40), card).name == "my-model-1-tuned"


def test_another_backend_does_not_get_the_card_s_arguments(tmp_path):
    recipe = scheduled(merged(pairs(tmp_path, 3, 40), {"net": {"backend": "sfnet"}}))
    assert recipe.net.config == {}


def test_a_recipe_is_only_completed_with_net_task_and_name(tmp_path):
    said = merged(pairs(tmp_path, 3, 40), {"steps": 7})
    recipe = complete_recipe(said, CARD, scheduled=False, where="test")
    assert (recipe.steps, recipe.data.patch, recipe.optim.lr) == (7, 128, 1e-3)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(UsageError, match="give --data DIR"):
        scheduled({})
    with pytest.raises(DataError, match="one pair is too few"):
        scheduled(pairs(tmp_path / "one", 1, 40))
    with pytest.raises(DataError, match="no pairs found"):
        scheduled({"data": {"pairs": str(tmp_path / "one" / "input")}})
    with pytest.raises(UsageError, match="does not tell its task; add --set task="):
        scheduled(pairs(tmp_path / "two", 2, 40), CARD.model_copy(update={"task": None}))


def test_tables_are_merged_to_any_depth():
    assert merged({"a": {"b": 1, "c": {"d": 2}}}, {"a": {"c": {"e": 3}}, "f": 4}) == {
        "a": {"b": 1, "c": {"d": 2, "e": 3}},
        "f": 4,
    }


def test_a_folder_of_pairs_may_have_a_number_for_a_name(tmp_path, monkeypatch):
    said = pairs(tmp_path / "2024", 3, 40)
    monkeypatch.chdir(tmp_path)
    assert scheduled(merged(said, {"data": {"pairs": 2024}})).data.pairs == Path("2024")
