from pathlib import Path

import pytest

from restorekit.errors import UnknownNameError, UsageError
from restorekit.training.config import (
    TrainingRecipe,
    json_schema,
    list_recipes,
    load_recipe,
    parse_override,
    parse_recipe,
)


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_valid(name):
    recipe = load_recipe(name, {})
    assert recipe.name == name
    assert recipe.description


def test_overrides_reach_into_tables():
    recipe = load_recipe(
        "denoise-s-first", {"optim.lr": 0.5, "data.photos": "somewhere", "steps": 3}
    )
    assert recipe.optim.lr == 0.5
    assert recipe.data.photos.name == "somewhere"
    assert recipe.steps == 3


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("steps=10", ("steps", 10)),
        ("optim.lr=1e-4", ("optim.lr", 1e-4)),
        ("data.photos=my photos", ("data.photos", "my photos")),
        ("losses={l1 = 1.0}", ("losses", {"l1": 1.0})),
        ("half=false", ("half", False)),
    ],
)
def test_set_reads_toml_values_and_bare_strings(written, read):
    assert parse_override(written) == read


def test_a_folder_may_have_a_number_for_a_name(content):
    content["data"]["photos"] = parse_override("data.photos=2024")[1]
    assert parse_recipe(content, "tiny").data.photos == Path("2024")


@pytest.mark.parametrize("written", ["steps", "=3", ""])
def test_set_without_a_key_and_a_value_is_refused(written):
    with pytest.raises(UsageError, match="key=value"):
        parse_override(written)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optim.weight_decya", 1, "did you mean weight_decay"),
        ("stesp", 1, "did you mean steps"),
        ("steps", 0, "greater than or equal to 1"),
        ("losses", {"ms-ssim": 1.0}, r"losses\.ms-ssim: .*did you mean ms_ssim"),
        ("task", "derian", r"\(got 'derian'\); did you mean derain"),
        ("optim.kind", "adamv", "did you mean adam"),
        ("lr", 1e-3, r"unknown key 'lr'; did you mean optim\.lr\?"),
        ("data", 5, r"data: is a table of keys \(got 5\)"),
        ("data.pairs", "x", "not both photos and pairs$"),
        ("steps.more", 1, "is a value, not a table"),
        ("version", 2, "recipe of version 2, and this restorekit reads version 1"),
        ("data.stages", [{"until": 2, "patch": 8, "bath": 3}], "did you mean batch"),
        (
            "data.stages",
            [{"until": u, "patch": 8, "batch": 1} for u in (5, 3)],
            "follow one another",
        ),
        ("optim.groups", [{"match": "*", "lr_scael": 3}], "did you mean lr_scale"),
        ("optim.schedule", "restarts", "needs periods"),
        ("optim.milestones", [5, 3], "must rise"),
        ("losses", {"perceptual": 1.0}, "features = FILE"),
        ("losses", {}, "losses"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, content, key, value, said):
    path = tmp_path / "mine.toml"
    path.write_text(
        'version = 1\nname = "x"\ntask = "denoise"\nsteps = 5\n'
        '[net]\nbackend = "drunet"\n[data]\nphotos = "p"\n'
    )
    with pytest.raises(UsageError, match=said) as error:
        load_recipe(path, {key: value})
    assert key.split(".")[0] in str(error.value)


def test_the_hash_is_of_what_decides_the_result(content):
    recipe = parse_recipe(content, "tiny")
    elsewhere = content | {"data": content["data"] | {"photos": "/other"}, "description": "words"}
    assert parse_recipe(elsewhere, "tiny").sha256 == recipe.sha256
    assert parse_recipe(content | {"seed": 1}, "tiny").sha256 != recipe.sha256


def test_a_key_at_its_default_does_not_change_the_hash(content):
    recipe = parse_recipe(content, "tiny")
    assert parse_recipe(content | {"half": True, "keep": 1}, "tiny").sha256 == recipe.sha256


def test_the_schema_describes_every_key():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(TrainingRecipe.model_fields)
    data = schema["$defs"]["DataRecipe"]["properties"]
    assert data["batch"]["minimum"] == 1
    assert data["symmetries"]["enum"] == ["square", "flips", "mirror", "none"]


@pytest.mark.parametrize(("text", "said"), [("{", "not a JSON file"), ("[]", "is no recipe")])
def test_a_json_file_that_is_no_recipe_is_named(tmp_path, text, said):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"recipe\.json: .*{said}"):
        load_recipe(path, {})


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UnknownNameError, match="derain-s"):
        load_recipe("derain", {})


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"broken\.toml: not a TOML file"):
        load_recipe(path, {})
