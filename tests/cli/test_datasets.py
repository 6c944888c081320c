import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import restorekit
from restorekit.cli.datasets import app
from restorekit.errors import DataError, UnknownNameError
from tests.data.trees import plant


def run(*arguments, code=0, columns=200):
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def test_list_is_a_table_in_the_order_of_the_tasks():
    lines = run("list").splitlines()
    assert lines[0].split() == ["name", "task", "pictures", "protocol", "content"]
    names = [line.split()[0] for line in lines[1:]]
    assert names.index("Rain100L") < names.index("SOTS-Indoor") < names.index("CBSD68")
    gopro = next(line for line in lines if line.startswith("GoPro "))
    assert gopro.split()[1:5] == ["deblur", "1,111", "test", "gopro-matlab"]


def test_list_of_a_task():
    rows = json.loads(run("list", "--task", "raindrop", "--json"))
    assert [row["name"] for row in rows] == ["DeRaindrop", "DeRaindrop-b"]
    assert rows[0]["pictures"] == 58
    assert "no data set for dejpeg is known" in run("list", "--task", "dejpeg")


def test_a_set_is_one_line_on_a_narrow_screen():
    lines = run("list", columns=80).splitlines()
    assert len(lines) == 1 + len(restorekit.list_datasets())
    line = next(line for line in lines if line.startswith("SOTS-Outdoor"))
    assert line.split()[:5] == ["SOTS-Outdoor", "dehaze", "500", "test", "sots-outdoor-rgb"]
    assert line.rstrip().endswith("…")


def test_show_says_where_to_get_it_and_how_it_must_lie():
    text = run("show", "gopro")
    for fact in (
        "https://seungjunnah.github.io/Datasets/gopro",
        "CC BY 4.0",
        "test 1,111, train 2,103",
        "1280x720",
        "{split}/{sequence}/blur/{name} with {split}/{sequence}/sharp/{name}  (authors)",
        "SFNet, FSNet, ConvIR, test is called valid",
        "train only, in train/GoPro",
        "not on 'blur_gamma'",
    ):
        assert fact in text


def test_show_tells_the_kinds_of_sets_apart():
    assert "x2, x3, x4" in run("show", "Set5")
    assert "made as MATLAB's bicubic makes them" in run("show", "Set5")
    assert "the protocol adds the noise" in run("show", "CBSD68")
    assert "kept back" in run("show", "DND")
    assert "paired by name" in run("show", "folder")
    assert "none stated" in run("show", "HIDE")


def test_show_as_json():
    facts = json.loads(run("show", "RealBlur-J", "--json"))
    assert facts["layouts"][0]["list_file"] == "RealBlur_J_{split}_list.txt"
    assert facts["counts"] == {"train": 3758}


def test_check_of_a_whole_set(tmp_path):
    plant(tmp_path / "Set5", *(f"{n}.png" for n in ("baby", "bird", "butterfly", "head", "woman")))
    assert run("check", "set5", "--data-root", tmp_path) == (
        f"ok: Set5 (test), 5 of 5 pictures in {tmp_path / 'Set5'}; layout: references alone\n"
    )


def test_check_names_every_file_and_fails(tmp_path):
    plant(tmp_path / "Rain100L", "input/1.png", "input/2.png", "target/1.png")
    (tmp_path / "Rain100L" / "target" / "1.png").write_bytes(b"x")
    lines = run("check", "Rain100L", "--data-root", tmp_path, code=1).splitlines()
    assert lines[0] == "missing: 2"
    assert f"without a reference: {tmp_path}/Rain100L/input/2.png (needs target/2)" in lines
    assert any(line.startswith(f"that cannot be read: {tmp_path}/Rain") for line in lines)
    assert lines[-1].startswith(
        "NOT COMPLETE: Rain100L (test), 1 of 100 pictures, 2 problems, 99 missing in"
    )


def test_check_as_json(tmp_path):
    plant(tmp_path / "Rain100L", "input/1.png", "input/2.png", "target/1.png")
    report = json.loads(run("check", "Rain100L", "--data-root", tmp_path, "--json", code=1))
    assert (report["ok"], report["pairs"], report["expected"]) == (False, 1, 100)
    assert report["findings"] == [
        {
            "problem": "without a reference",
            "file": str(tmp_path / "Rain100L/input/2.png"),
            "details": "needs target/2",
        }
    ]
    assert report["missing"][0] == "2"


def test_check_of_a_split_and_a_scale(tmp_path):
    plant(tmp_path / "DIV2K", "DIV2K_train_HR/0001.png", size=(12, 12))
    plant(tmp_path / "DIV2K", "DIV2K_train_LR_bicubic/X2/0001x2.png", size=(6, 5))
    options = ("--data-root", tmp_path, "--split", "train", "--scale", 2)
    text = run("check", "DIV2K", *options, code=1)
    assert "of another size" in text
    assert "6x5 and 12x12 at scale 2" in text
    assert "1 of 800 pictures" in text


def test_names_and_places_that_are_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean Rain100"):
        run("show", "Rain100")
    with pytest.raises(DataError, match="HIDE is not in"):
        run("check", "HIDE", "--data-root", tmp_path)


def test_the_command_reports_an_error_in_one_line(tmp_path):
    arguments = ["datasets", "check", "HIDE", "--data-root", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "restorekit", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    lines = [x for x in result.stderr.splitlines() if not x.startswith("import time:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: HIDE is not in")
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert not imported & {"torch", "scipy", "skimage"}


def test_names_in_the_public_interface():
    assert "DeRaindrop" in restorekit.list_datasets()
    assert restorekit.list_datasets("raindrop") == ["DeRaindrop", "DeRaindrop-b"]
    with pytest.raises(UnknownNameError, match="unknown task"):
        restorekit.list_datasets("deraining")
