import json

import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.events import Started, StepDone, Validated
from restorekit.media.image import read_image
from restorekit.training.sinks import logged


def show(*arguments):
    return CliRunner().invoke(app, ["runs", "show", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path):
    recipe = {"name": "tiny", "task": "derain", "net": {"backend": "sfnet"}, "steps": 8}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    events = [
        Started("train tiny", 8),
        *(StepDone(step, 8, {"l1": 1 / step}, 1e-3, 0.5, 4) for step in range(1, 5)),
        Validated(4, {"psnr": 31.25, "degraded_psnr": 25.0}, True),
    ]
    list(logged((event for event in events), tmp_path, ["l1"]))
    return tmp_path


def test_figures_and_a_picture(folder):
    result = show(folder)
    assert result.exit_code == 0, result.output
    for text in ("tiny", "derain", "sfnet", "31.2500", "best"):
        assert text in result.output
    assert read_image(folder / "plot.png").width == 1200


def test_the_picture_goes_where_it_is_wanted(folder, tmp_path):
    assert show(folder, "--plot", tmp_path / "else" / "p.png").exit_code == 0
    assert (tmp_path / "else" / "p.png").exists()
    assert not (folder / "plot.png").exists()


def test_names_are_no_markup(folder, tmp_path):
    recipe = json.loads((folder / "recipe.json").read_text()) | {"name": "tiny [bold]"}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    result = show(folder, "--plot", tmp_path / "[red]" / "p[.png")
    assert result.exit_code == 0, result.output
    assert "tiny [bold]" in result.output
    assert "drawn:" in result.output
    assert "[red]/p[.png" in result.output


def test_json_has_the_same_figures_and_draws_nothing(folder):
    figures = json.loads(show(folder, "--json").output)
    assert (figures["steps"], figures["steps of the recipe"]) == (4, 8)
    assert figures["best"]["psnr"] == 31.25
    assert len(figures["validations"]) == 1
    assert not (folder / "plot.png").exists()


def test_a_run_without_a_step_yet_is_shown(folder):
    log = folder / "log.csv"
    log.write_text(log.read_text().splitlines()[0] + "\n")
    result = show(folder)
    assert result.exit_code == 0
    assert "no validation yet" in result.output


def test_a_folder_without_a_run_is_an_error(tmp_path):
    result = show(tmp_path)
    assert result.exit_code == 2
    assert "holds no run" in result.output
