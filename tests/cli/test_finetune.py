import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from restorekit.backends.card import Card, read_card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.cli.app import app
from restorekit.media.image import write_image
from restorekit.types import Image
from tests.training.processes import start

TINY = {"in_channels": 3, "widths": (4, 4, 4, 4), "blocks": 1, "residual": True}
SHORT = ["--set", "steps=2", "--set", "data.batch=1", "--set", "data.workers=0"]


def run(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def pairs(tmp_path):
    for number in range(3):
        samples = np.random.default_rng(number).integers(0, 200, (32, 32, 3), dtype=np.uint8)
        write_image(tmp_path / "pairs" / "input" / f"{number}.png", Image(samples))
        write_image(tmp_path / "pairs" / "target" / f"{number}.png", Image(samples + np.uint8(9)))
    return tmp_path / "pairs"


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "first.safetensors"
    card = Card(name="first", backend="drunet", config=TINY, task="denoise")
    write_checkpoint(path, build_net("drunet", **TINY).state_dict(), card)
    return path


def test_two_options_are_enough(model, pairs, tmp_path):
    result = run("--from", model, "--data", pairs, "-o", tmp_path / "out", *SHORT)
    assert result.exit_code == 0, result.output
    assert "tensors of the file loaded" in result.output
    assert "before tuning" in result.output
    card = read_card(tmp_path / "out" / "first-tuned.safetensors")
    assert "fine-tuned from first" in card.source
    assert len(card.measured) == 2


def test_tensors_that_stay_random_are_listed(model, pairs, tmp_path):
    deeper = ["--set", "net.config.blocks=2"]
    result = run("--from", model, "--data", pairs, "-o", tmp_path / "out", *SHORT, *deeper)
    assert result.exit_code == 0, result.output
    assert "tensors of the net stay random:" in result.output
    assert "(not in the file)" in result.output
    assert "more" in result.output


def test_frozen_parameters_are_named_by_pattern(model, pairs, tmp_path):
    options = ["--from", model, "--data", pairs, "-o", tmp_path / "out", *SHORT]
    assert run(*options, "--freeze", "m_head*", "--freeze", "m_down*").exit_code == 0
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["net"]["freeze"] == ["m_head*", "m_down*"]
    wrong = run(*options[:4], "-o", tmp_path / "two", *SHORT, "--freeze", "heed*")
    assert wrong.exit_code == 2
    assert "heed*" in wrong.output
    assert not (tmp_path / "two").exists()


def test_check_reports_and_trains_nothing(model, pairs, tmp_path):
    options = ["--from", model, "--data", pairs, "-o", tmp_path / "out", *SHORT, "--check"]
    result = run(*options)
    assert result.exit_code == 0, result.output
    for text in ("train", "validation", "32x32", "check.png", "a step", "the whole run"):
        assert text in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["check.png"]
    report = json.loads(run(*options, "--json").output.splitlines()[-1])
    assert [split["pictures"] for split in report["splits"]] == [2, 1]
    assert report["seconds"] > 0


def test_check_names_bad_files_and_fails(model, pairs, tmp_path):
    (pairs / "target" / "1.png").unlink()
    result = run("--from", model, "--data", pairs, "-o", tmp_path / "out", *SHORT, "--check")
    assert result.exit_code == 1
    assert "without a reference" in result.output


def test_ctrl_c_saves_and_resume_needs_the_folder_alone(model, pairs, tmp_path):
    command = ["finetune", "--from", model, "--data", pairs, "-o", tmp_path / "out"]
    options = [*SHORT[2:], "--set", "steps=3000", "--device", "cpu"]
    process = start(command + options, tmp_path / "said")
    log = tmp_path / "out" / "log.csv"
    deadline = time.monotonic() + 90
    while not (log.exists() and log.read_text().count("\n") > 5) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130, (tmp_path / "said").read_text()
    reached = torch.load(tmp_path / "out" / "state.pt", weights_only=True)["step"]
    assert reached > 3
    result = run("--resume", "-o", tmp_path / "out", "--from", model)
    assert result.exit_code == 2
    assert "takes the run's folder alone" in result.output
    recipe = tmp_path / "out" / "recipe.json"
    assert json.loads(recipe.read_text())["steps"] == 3000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the model to start from"),
        (["--from", "denoise-z"], "did you mean denoise-s"),
        (["--from", "denoise-s"], "give --data DIR"),
        (["--from", "denoise-s", "--data", "/nowhere"], "/nowhere"),
        (["--from", "denoise-s", "--data", "."], "no pairs found"),
        (["--from", "denoise-s", "--data", ".", "--set", "stesp=1"], "did you mean steps"),
        (["--from", "denoise-s", "--set", "net=3"], "give --data DIR"),
        (["--resume"], "-o DIR --resume"),
        (["--resume", "-o", "out", "--check"], "takes the run's folder alone"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "runs").exists()


def test_unknown_keys_are_refused(model, pairs, tmp_path):
    result = run("--from", model, "--data", pairs, "--set", "stesp=1")
    assert result.exit_code == 2
    assert "did you mean steps" in result.output
