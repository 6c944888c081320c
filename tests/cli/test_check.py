import json

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.app import app
from restorekit.media.image import write_image
from restorekit.types import Image


@pytest.fixture
def options(tmp_path):
    for number in range(3):
        samples = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"{number}.png", Image(samples))
    changes = [
        f"data.photos={tmp_path / 'photos'}",
        *("data.patch=16", "data.hold_out=1", "data.batch=2", "data.workers=0", "steps=9"),
        *("net.config.widths=[4,4,4,4]", "net.config.blocks=1"),
    ]
    settings = [option for change in changes for option in ("--set", change)]
    return ["train", "denoise-s-first", *settings, "-o", str(tmp_path / "run"), "--device", "cpu"]


def test_train_can_only_check(options, tmp_path):
    result = CliRunner().invoke(app, [*options, "--check"])
    assert result.exit_code == 0, result.output
    assert "9 of them" in result.output
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["check.png"]


def test_the_name_of_a_folder_is_no_markup(options, tmp_path):
    options[options.index(str(tmp_path / "run"))] = str(tmp_path / "run [b]")
    result = CliRunner().invoke(app, [*options, "--check"], env={"COLUMNS": "300"})
    assert f"{tmp_path / 'run [b]' / 'check.png'}" in result.output


def test_the_report_is_the_last_line_of_json(options):
    lines = CliRunner().invoke(app, [*options, "--check", "--json"]).output.splitlines()
    assert json.loads(lines[0])["event"] == "Started"
    report = json.loads(lines[-1])
    assert report["steps"] == 9
    assert report["splits"][0]["psnr"] is None


def test_pictures_smaller_than_the_patch_are_named(options, tmp_path):
    write_image(tmp_path / "photos" / "0.png", Image(np.zeros((8, 40, 3), np.uint8)))
    result = CliRunner().invoke(app, [*options, "--check"])
    assert result.exit_code == 1
    assert "40x8 is smaller than the 16-pixel patch" in " ".join(result.output.split())
    assert "1 of 2 to train and 0 of 1 to validation cannot be used" in result.output
