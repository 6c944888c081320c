import json
import os
import signal

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.backends.checkpoint import read_checkpoint
from restorekit.cli.app import app
from restorekit.cli.train import show_run
from restorekit.events import Event, StepDone, Validated
from restorekit.media.image import write_image
from restorekit.training.config import list_recipes
from restorekit.types import Image


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.fixture
def settings(tmp_path):
    """What turns the shipped recipe into one of a second."""
    for number in range(3):
        samples = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", Image(samples))
    changes = [
        f"data.photos={tmp_path / 'photos'}",
        *("data.patch=16", "data.hold_out=1", "data.batch=2", "data.workers=0"),
        *("net.config.widths=[4,4,4,4]", "net.config.blocks=1", "steps=4", "validate_every=2"),
    ]
    return [option for change in changes for option in ("--set", change)]


def test_a_shipped_recipe_trains_a_checkpoint(settings, tmp_path):
    result = run("denoise-s-first", *settings, "-o", tmp_path / "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    card = read_checkpoint(tmp_path / "run" / "denoise-s-first.safetensors").card
    assert card.task == "denoise"
    assert card.config["widths"] == (4, 4, 4, 4)


def test_events_are_json_lines(settings, tmp_path):
    result = run("denoise-s-first", *settings, "-o", tmp_path / "run", "--json", "--device", "cpu")
    names = [json.loads(line)["event"] for line in result.output.splitlines()]
    assert names[0] == "Started"
    assert names.count("StepDone") == 4
    assert names[-1] == "Finished"


def test_resume_after_the_end_has_nothing_to_do(settings, tmp_path):
    options = ["denoise-s-first", *settings, "-o", tmp_path / "run", "--device", "cpu"]
    assert run(*options).exit_code == 0
    assert run(*options).exit_code == 1
    assert run(*options, "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a recipe"),
        (["denoise-s-first"], "--set data.photos=DIR"),
        (["denoise-z"], "did you mean denoise-s"),
        (["denoise-s-first", "--set", "stesp=3"], "did you mean steps"),
        (["denoise-s-first", "--set", "data.photos=/nowhere"], "/nowhere does not exist"),
        (["denoise-s-first", "--set", "net.backend=drunnet", "--set", "data.photos=."], "drunet"),
        (["denoise-s-first", "--set", "data.photos=.", "--device", "tpu"], "device"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", Image(np.zeros((9, 9, 3), np.uint8)))
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "runs").exists()


def test_the_schema_is_json():
    schema = json.loads(run("--schema").output)
    assert "losses" in schema["properties"]


def test_the_list_names_every_recipe():
    output = run("--list").output
    assert all(name in output for name in list_recipes())


def test_a_signal_in_a_step_waits_for_all_that_the_step_tells(capsys):
    told = []

    def events():
        for number in (1, 2):
            told.append(number)
            os.kill(os.getpid(), signal.SIGTERM)
            yield StepDone(number, 2, {"l1": 0.5}, 1e-3, 0.1, ())
            yield Validated(number, {"psnr": 30.0}, is_best=True)
            yield Event()

    with pytest.raises(KeyboardInterrupt):
        show_run(events(), as_json=True)
    assert told == [1]
    assert '"Validated"' in capsys.readouterr().out
