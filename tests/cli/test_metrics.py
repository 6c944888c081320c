import json

import numpy as np
import pytest
from typer.testing import CliRunner

from restorekit.cli.metrics import app
from restorekit.errors import DataError, PictureError, UsageError
from restorekit.media.image import write_image
from restorekit.metrics.no_reference import niqe
from restorekit.metrics.protocols import METRICS, PROTOCOLS
from restorekit.metrics.weights import VARIABLE
from restorekit.ops.pixels import to_tensor
from restorekit.types import Image


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    for variable in (VARIABLE, "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


def run(*arguments, columns=160):
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_says_what_is_missing():
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert [*rows] == [*METRICS]
    assert rows["psnr"] == {
        "name": "psnr",
        "label": "PSNR [dB]",
        "better": "higher",
        "missing": "",
    }
    assert rows["lpips_vgg"]["better"] == "lower"
    assert "vgg16-397923af.pth" in rows["lpips_vgg"]["missing"]
    assert "lpips_squeeze" in run("list", columns=60)


def test_protocols_are_listed_with_what_they_do():
    table = run("protocols")
    assert all(protocol in table for protocol in PROTOCOLS)
    rows = {row["id"]: row for row in json.loads(run("protocols", "--json"))}
    assert [*rows] == [*PROTOCOLS]
    assert rows["rain-y-matlab"]["space"] == "y-matlab"


def noise(folder, count):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for k in range(count):
        pixels = rng.integers(0, 256, (192, 480, 3), dtype=np.uint8)
        write_image(folder / f"{k}.png", Image(pixels))
    return to_tensor(pixels)


def test_a_model_of_niqe_is_fitted_and_found(tmp_path):
    picture = noise(tmp_path / "pristine", 4)
    output = tmp_path / VARIABLE / "niqe.safetensors"
    output.parent.mkdir()
    printed = run("fit-niqe", tmp_path / "pristine", "-o", output)
    assert printed.strip() == f"{output}: fitted to 4 pictures"
    assert niqe(picture).item() > 0
    with pytest.raises(UsageError, match="add --overwrite"):
        run("fit-niqe", tmp_path / "pristine", "-o", output)
    run("fit-niqe", tmp_path / "pristine", "-o", output, "--overwrite")


def test_too_few_pictures_leave_no_file(tmp_path):
    noise(tmp_path / "pristine", 1)
    with pytest.raises(DataError, match="too few for a model of NIQE"):
        run("fit-niqe", tmp_path / "pristine", "-o", tmp_path / "niqe.safetensors")
    assert not (tmp_path / "niqe.safetensors").exists()


def test_a_picture_that_is_too_small_is_named(tmp_path):
    noise(tmp_path / "pristine", 2)
    small = tmp_path / "pristine" / "small.png"
    write_image(small, Image(np.zeros((95, 200, 3), np.uint8)))
    with pytest.raises(PictureError, match=r"small\.png has 200x95 pixels, .* leave it out"):
        run("fit-niqe", tmp_path / "pristine", "-o", tmp_path / "niqe.safetensors")
