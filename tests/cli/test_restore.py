import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.cli.app import app
from restorekit.cli.restore import parse_tile
from restorekit.errors import UsageError
from restorekit.media.image import read_image, write_image
from restorekit.types import Image

CONFIG = {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True, "bias": True}


@pytest.fixture
def checkpoint(tmp_path):
    """A derain model that makes every picture darker by 10 levels."""
    net = build_net("drunet", **CONFIG)
    tail = net.get_submodule("m_tail")
    torch.nn.init.zeros_(tail.weight)
    torch.nn.init.constant_(tail.bias, -10 / 255)
    card = Card(name="darker", backend="drunet", config=CONFIG, task="derain")
    path = tmp_path / "darker.safetensors"
    write_checkpoint(path, net.state_dict(), card)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "photo.png"
    samples = np.random.default_rng(1).integers(10, 256, (300, 280, 3), dtype=np.uint8)
    write_image(path, Image(samples))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["restore", *map(str, arguments)])


def test_a_photo_is_restored_beside_itself(photo, checkpoint):
    result = run(photo, "--model", checkpoint)
    restored = photo.with_name("photo_restored.png")
    assert result.exit_code == 0, result.output
    assert f"{photo} -> {restored}  280 x 300" in result.output
    difference = read_image(photo).pixels.astype(int) - read_image(restored).pixels
    assert np.unique(difference).tolist() == [10]


def test_the_scale_is_asked_of_the_model(photo, checkpoint, tmp_path):
    result = run(photo, "-o", tmp_path / "out.png", "--model", "bicubic-x2", "--scale", 2)
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "out.png").pixels.shape == (600, 560, 3)
    result = run(photo, "--model", checkpoint, "--scale", 2)
    assert result.exit_code == 2
    assert "darker has scale 1, not 2" in result.output


def test_every_option_reaches_the_work(photo, checkpoint, tmp_path):
    out = tmp_path / "out.jpg"
    options = ["--tile", 64, "--overlap", 8, "--strength", 0.5, "--ensemble", "--compare"]
    options += ["--precision", "float32", "--device", "cpu", "--quality", 100, "--json"]
    result = run(photo, "-o", out, "--model", checkpoint, "--task", "derain", *options)
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.output.splitlines()]
    assert events[0] == {"event": "Started", "what": "darker on cpu", "total": 1, "done": 0}
    assert events[2] == {"event": "TileDone", "done": 1, "total": 30}
    assert events[-2]["details"]["compare"] == str(tmp_path / "photo_compare.jpg")
    assert (tmp_path / "photo_compare.jpg").exists()
    difference = read_image(photo).pixels.astype(float) - read_image(out).pixels
    assert difference.mean() == pytest.approx(5, abs=0.5)


def test_a_method_without_weights_takes_its_settings(photo, tmp_path):
    run(photo, "-o", tmp_path / "a.png", "--model", "median", "--set", "radius=2")
    options = ["--task", "denoise", "--model", "median", "--set", "radius=1"]
    result = run(photo, "-o", tmp_path / "b.png", *options)
    assert result.exit_code == 0, result.output
    wide, narrow = (read_image(tmp_path / name).pixels for name in ("a.png", "b.png"))
    assert wide.std() < narrow.std() < read_image(photo).pixels.std()
    run(photo, "-o", tmp_path / "large.png", "--model", "nearest-x2")
    assert np.array_equal(
        read_image(tmp_path / "large.png").pixels[::2, 1::2], read_image(photo).pixels
    )


def test_a_folder_with_a_bad_file_ends_with_exit_code_1(photo, checkpoint, tmp_path):
    (photo.parent / "empty.jpg").touch()
    below = photo.parent / "below" / "other.png"
    write_image(below, read_image(photo))
    result = run(photo.parent, "-r", "-o", tmp_path / "out", "--model", checkpoint)
    assert result.exit_code == 1
    assert "failed: " in result.stderr
    assert "empty.jpg" in result.stderr
    assert "2 done, 1 failed" in result.stdout
    assert (tmp_path / "out/below/other.png").exists()


def test_a_second_run_needs_an_answer_about_what_exists(photo, checkpoint):
    first = run(photo, "--model", checkpoint, "--compare")
    assert first.exit_code == 0
    refused = run(photo, "--model", checkpoint)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert "--skip-existing" in refused.stderr
    assert run(photo, "--model", checkpoint, "--overwrite").exit_code == 0
    skipped = run(photo.parent, "--model", checkpoint, "--skip-existing", "--compare")
    assert "0 done, 1 skipped" in skipped.stdout


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(photo, checkpoint):
    result = run(photo, "--model", checkpoint, "--dry-run")
    restored = photo.with_name("photo_restored.png")
    assert result.stdout == f"{photo} -> {restored}\n"
    lines = run(photo, "--model", checkpoint, "--dry-run", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"event": "Planned", "source": str(photo), "destination": str(restored)}
    ]
    assert not restored.exists()


def test_a_dry_run_says_what_would_be_skipped_and_compared(photo, tmp_path):
    other = photo.with_name("other.png")
    write_image(other, read_image(photo))
    command = [photo, other, "-o", f"{tmp_path / 'out'}/", "--model", "median", "--skip-existing"]
    run(photo, *command[2:])
    done, new = tmp_path / "out" / "photo.png", tmp_path / "out" / "other.png"
    skipped = f"skipped {photo}: {done} is already there\n"
    assert run(*command, "--dry-run").stdout == f"{skipped}{other} -> {new}\n"
    compare = [tmp_path / "out" / f"{name}_compare.jpg" for name in ("photo", "other")]
    said = f"{photo} -> {compare[0]}\n{other} -> {new}, {compare[1]}\n"
    assert run(*command, "--dry-run", "--compare").stdout == said
    lines = run(*command, "--dry-run", "--compare", "--json").stdout.splitlines()
    assert json.loads(lines[1])["compare"] == str(compare[1])
    first, second = run(*command, "--dry-run", "--json").stdout.splitlines()
    assert (json.loads(first)["event"], json.loads(second)["event"]) == ("FileSkipped", "Planned")


def test_earlier_outputs_that_are_named_are_skipped_with_a_reason(photo):
    names = [photo.with_name(f"photo{ending}") for ending in ("_compare.jpg", "_restored.png")]
    for path in names:
        write_image(path, read_image(photo))
    command = ["--model", "median", "--overwrite"]
    for options in ([], ["--dry-run"]):
        said = run(photo, *names, *command, *options).stdout
        assert all(f"skipped {path}: has the name of what" in said for path in names)
    assert "1 done, 2 skipped" in run(photo, *names, *command).stdout
    assert "skipped" not in run(photo.parent, *command).stdout
    assert "1 done" in run(names[1], *command).stdout


def test_a_name_that_is_no_text_is_escaped(photo):
    bad = photo.parent / os.fsdecode(b"bad\xff.png")
    bad.write_bytes(photo.read_bytes())
    program = [sys.executable, "-m", "restorekit", "restore", photo, bad, "--model", "median"]
    for option in ("--dry-run", "--json", "--overwrite", "--skip-existing"):
        result = subprocess.run([*program, option], capture_output=True, check=True)
        assert b"bad\\udcff_restored.png" in result.stdout
    assert (photo.parent / os.fsdecode(b"bad\xff_restored.png")).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "derain"),
        (["--model", "CHECKPOINT", "--task", "dehaze"], "derain"),
        (["--model", "CHECKPOINT", "--tile", "big"], "auto, a number of pixels, or 0"),
        (["--model", "CHECKPOINT", "--overwrite", "--skip-existing"], "exclude each other"),
        (["--model", "CHECKPOINT", "--strength", "2"], "equal to 1"),
        (["--model", "no-such-model"], "no-such-model"),
        (["--task", "unrain"], "derain"),
        (["--model", "CHECKPOINT", "-o", "out.gif"], ".gif"),
        (["--model", "CHECKPOINT", "--device", "abacus"], "abacus"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_accepted(photo, checkpoint, options, message):
    options = [str(checkpoint) if option == "CHECKPOINT" else option for option in options]
    result = run(photo, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.png"]


def test_a_missing_picture_is_named(checkpoint, tmp_path):
    result = run(tmp_path / "missing.jpg", "--model", checkpoint)
    assert result.exit_code == 2
    assert "missing.jpg does not exist" in result.stderr


@pytest.mark.parametrize(("text", "side"), [("auto", "auto"), ("0", 0), ("512", 512)])
def test_tile_sizes(text, side):
    assert parse_tile(text) == side


@pytest.mark.parametrize("text", ["-1", "1.5", "", "512px"])
def test_other_tile_sizes_are_refused(text):
    with pytest.raises(UsageError, match="--tile"):
        parse_tile(text)


def test_the_command_is_declared_without_torch():
    code = "import sys, restorekit.cli.restore; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
