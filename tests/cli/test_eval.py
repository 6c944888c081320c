import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from restorekit.backends import hub
from restorekit.backends.card import Card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net
from restorekit.cli.eval import evaluate
from restorekit.errors import UnknownNameError, UsageError
from restorekit.media.image import read_image, write_image
from restorekit.types import Image

CONFIG = {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True, "bias": True}
ROW = "derain-s"

app = typer.Typer()
app.command()(evaluate)


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded deraining model that returns its input."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    state = build_net("drunet", **CONFIG).state_dict()
    state["m_tail.weight"].zero_()
    state["m_tail.bias"].zero_()
    card = Card(name=ROW, backend="drunet", config=CONFIG, task="derain")
    write_checkpoint(folder / f"{ROW}.safetensors", state, card)
    monkeypatch.setattr(hub, "weights_folder", lambda: folder)
    return folder


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A Rain100L of two pairs, 10 levels too bright, below a root."""
    root = tmp_path / "sets"
    rng = np.random.default_rng(0)
    for k in (1, 2):
        reference = rng.integers(60, 180, (24, 32, 3), dtype=np.uint8)
        for kind, pixels in (("target", reference), ("input", reference + np.uint8(10))):
            (root / "Rain100L" / kind).mkdir(parents=True, exist_ok=True)
            write_image(root / "Rain100L" / kind / f"{k}.png", Image(pixels))
    return root


def run(*arguments: object, code: int = 0, columns: int = 200) -> Result:
    given = [*map(str, arguments), "--device", "cpu"]
    result = CliRunner().invoke(app, given, env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def row(output: str, model: str) -> list[str]:
    line = next(line for line in output.splitlines() if line.startswith(f"{model} "))
    return line.split()


def test_a_known_set_is_measured_in_its_own_protocol_by_the_model_of_its_task(data_root):
    output = run("--dataset", "Rain100L", "--data-root", data_root).output
    degraded, restored = row(output, "degraded"), row(output, ROW)
    assert degraded[1:3] == restored[1:3] == ["rain-y-matlab", "2"]
    # 10 levels in all colours are 10 * 219 / 255 levels of MATLAB's Y.
    assert float(degraded[3]) == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)), abs=0.3)
    assert restored[3:5] == degraded[3:5]
    assert "Rain100L, 2 of 100 pairs; protocol rain-y-matlab" in output


def test_a_folder_needs_a_model_or_a_task(data_root):
    folder = data_root / "Rain100L"
    with pytest.raises(UsageError, match="say what to measure"):
        run("--dataset", folder)
    output = run("--dataset", folder, "--task", "derain").output
    assert row(output, ROW)[1:4] == ["rgb", "2", f"{20 * math.log10(25.5):.2f}"]


def test_several_models_are_rows_of_one_table(data_root, weights):
    other = weights.parent / "other.safetensors"
    other.write_bytes((weights / f"{ROW}.safetensors").read_bytes())
    arguments = ("--dataset", "rain100l", "--data-root", data_root)
    output = run(*arguments, "--model", ROW, "--model", other).output
    assert row(output, ROW)[3:5] == row(output, "other")[3:5]


def test_numbers_are_whole_on_a_narrow_screen(data_root, weights):
    long = weights.parent / "a-checkpoint-with-a-very-long-name.safetensors"
    long.write_bytes((weights / f"{ROW}.safetensors").read_bytes())
    arguments = ("--dataset", "Rain100L", "--data-root", data_root, "--model", long)
    output = run(*arguments, columns=70).output
    assert "[dB]" in output
    assert "…" not in output
    number = row(output, "degraded")[3]
    assert output.count(number) >= 2


def test_protocol_and_metrics_are_chosen(data_root):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    output = run(*arguments, "--protocol", "rgb-float", "--metrics", "mae, psnr").output
    assert row(output, "degraded")[1:5] == ["rgb-float", "2", f"{10 / 255:.4f}", "28.13"]
    with pytest.raises(UnknownNameError, match="unknown protocol 'rbg'"):
        run(*arguments, "--protocol", "rbg")
    with pytest.raises(UnknownNameError, match="unknown metric 'vmaf'"):
        run(*arguments, "--metrics", "psnr,vmaf")


def test_noise_is_added_to_clean_pictures(data_root):
    clean = ("--dataset", data_root / "Rain100L" / "target", "--task", "derain")
    first = row(run(*clean, "--noise", "sigma=25").output, "degraded")
    again = row(run(*clean, "--noise", "sigma=25", "--seed", "0").output, "degraded")
    other = row(run(*clean, "--noise", "sigma=25", "--seed", "1").output, "degraded")
    assert first[1] == "rgb-sigma25"
    assert first == again
    assert other[1] == "rgb-sigma25-seed1"
    assert other[4] != first[4]
    with pytest.raises(UsageError, match="write --noise sigma=25"):
        run(*clean, "--noise", "25")


def test_published_noise_is_a_protocol(data_root):
    clean = ("--dataset", data_root / "Rain100L" / "target", "--task", "derain")
    output = run(*clean, "--protocol", "awgn-sigma50").output
    assert row(output, "degraded")[1] == "awgn-sigma50"
    assert "RandomState(0) restarted for each picture" in " ".join(output.split())


def test_json_ends_with_the_result(data_root):
    output = run("--dataset", "Rain100L", "--data-root", data_root, "--json").output
    lines = [json.loads(line) for line in output.splitlines()]
    measured = ["Started", "PairMeasured", "PairMeasured", "Finished", "Evaluated"]
    assert [line["event"] for line in lines] == measured
    assert lines[-1]["results"][0]["model"] == ROW
    assert lines[-1]["results"][0]["protocol"] == "rain-y-matlab"
    assert lines[-1]["results"][0]["mean"]["psnr"] == lines[-1]["degraded"]["mean"]["psnr"]


def test_pictures_and_report_are_written(data_root, tmp_path):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    report, saved = tmp_path / "report.md", tmp_path / "saved"
    run(*arguments, "--save", saved, "--report", report)
    assert report.read_text().count("rain-y-matlab") >= 3
    degraded = read_image(data_root / "Rain100L" / "input" / "2.png")
    assert np.array_equal(read_image(saved / ROW / "2.png").pixels, degraded.pixels)


def test_a_report_of_another_kind_is_refused_before_anything_is_measured(data_root, tmp_path):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    with pytest.raises(UsageError, match="a report is one of"):
        run(*arguments, "--report", tmp_path / "report.html")


def test_a_damaged_picture_gives_exit_code_1_and_the_rest_is_measured(data_root, tmp_path):
    damaged = data_root / "Rain100L" / "input" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:1500])
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    result = run(*arguments, "--report", tmp_path / "report.json", code=1)
    assert str(damaged) in result.output
    assert "Rain100L, 1 of 100 pairs" in result.output
    failed = json.loads((tmp_path / "report.json").read_text())["results"][0]["failed"]
    assert [Path(each["file"]).name for each in failed] == ["2.png"]
