import json
import math
import os
import signal
import subprocess
import sys
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


def write_pairs(folder: Path, count: int) -> None:
    """Pairs whose degraded pictures are 10 levels too bright."""
    rng = np.random.default_rng(0)
    for k in range(1, count + 1):
        reference = rng.integers(60, 180, (24, 32, 3), dtype=np.uint8)
        for kind, pixels in (("target", reference), ("input", reference + np.uint8(10))):
            write_image(folder / kind / f"{k}.png", Image(pixels))


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A Rain100L of two pairs below a root."""
    write_pairs(tmp_path / "sets" / "Rain100L", 2)
    return tmp_path / "sets"


def run(*arguments: object, code: int = 0, columns: int = 200) -> Result:
    given = [*map(str, arguments), "--device", "cpu"]
    result = CliRunner().invoke(app, given, env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def row(output: str, model: str) -> dict[str, str]:
    """A model's row of the first table that has one, by the words of the headings above it."""
    lines = output.splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith(f"{model} "))
    cells = lines[place].replace(" of ", "/").replace(", ", ",").split()
    names = ("model", "protocol", "pairs", "first", "interval", "second")
    return dict(zip(names, cells, strict=False))


def test_a_known_set_is_measured_in_its_own_protocol_by_the_model_of_its_task(data_root):
    output = run("--dataset", "Rain100L", "--data-root", data_root).output
    degraded, restored = row(output, "degraded"), row(output, ROW)
    assert degraded["protocol"] == restored["protocol"] == "rain-y-matlab"
    assert degraded["pairs"] == restored["pairs"] == "2/100"
    # 10 levels in all colours are 10 * 219 / 255 levels of MATLAB's Y.
    expected = 20 * math.log10(255 / (10 * 219 / 255))
    assert float(degraded["first"]) == pytest.approx(expected, abs=0.3)
    assert restored["first"] == degraded["first"]
    assert "Rain100L, 2 of 100 pairs; protocol rain-y-matlab" in output
    assert "Published on Rain100L in rain-y-matlab" in output


def test_a_part_of_a_set_is_said_before_anything_is_measured(data_root):
    result = run("--dataset", "Rain100L", "--data-root", data_root)
    assert result.stderr.startswith("warning: Rain100L: 2 of 100 pairs are here")


def test_a_folder_needs_a_model_or_a_task(data_root):
    folder = data_root / "Rain100L"
    with pytest.raises(UsageError, match="say what to measure"):
        run("--dataset", folder)
    output = run("--dataset", folder, "--task", "derain").output
    assert row(output, ROW)["protocol"] == "rgb"
    assert row(output, ROW)["first"] == f"{20 * math.log10(25.5):.2f}"


def test_one_of_three_is_measured(data_root):
    with pytest.raises(UsageError, match="--dataset, --pairs or --compare, one of them"):
        run()
    with pytest.raises(UsageError, match="one of them"):
        run("--dataset", "Rain100L", "--compare", "a.json", "b.json")


def test_several_models_and_sets_are_measured_in_one_command(data_root, weights):
    other = weights.parent / "other.safetensors"
    other.write_bytes((weights / f"{ROW}.safetensors").read_bytes())
    write_pairs(data_root / "mine", 1)
    sets = ("--dataset", "rain100l", "--dataset", data_root / "mine", "--data-root", data_root)
    output = run(*sets, "--model", ROW, "--model", other).output
    assert row(output, ROW)["first"] == row(output, "other")["first"]
    *_, heading, first, second, third, caption, _ = output.splitlines()
    assert heading.split("  ")[-1] == "mine, PSNR [dB]"
    assert [line.split()[0] for line in (first, second, third)] == ["degraded", ROW, "other"]
    assert "mine: 1 pair, protocol rgb" in caption


def test_numbers_are_whole_on_a_narrow_screen(data_root, weights):
    long = weights.parent / "a-checkpoint-with-a-very-long-name.safetensors"
    long.write_bytes((weights / f"{ROW}.safetensors").read_bytes())
    arguments = ("--dataset", "Rain100L", "--data-root", data_root, "--model", long)
    output = run(*arguments, columns=70).output
    assert "[dB]" in output
    assert "…" not in output
    assert "Intervals and memory are left out on this narrow screen" in output
    number = next(line for line in output.splitlines() if line.startswith("degraded ")).split()[5]
    assert output.count(number) >= 2


def test_protocol_and_metrics_are_chosen(data_root):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    output = run(*arguments, "--protocol", "rgb-float", "--metrics", "mae, psnr").output
    degraded = row(output, "degraded")
    assert (degraded["protocol"], degraded["first"]) == ("rgb-float", f"{10 / 255:.4f}")
    assert degraded["second"] == "28.13"
    with pytest.raises(UnknownNameError, match="unknown protocol 'rbg'"):
        run(*arguments, "--protocol", "rbg")
    with pytest.raises(UnknownNameError, match="unknown metric 'vmaf'"):
        run(*arguments, "--metrics", "psnr,vmaf")


def test_noise_is_added_to_clean_pictures(data_root):
    clean = ("--dataset", data_root / "Rain100L" / "target", "--task", "derain")
    first = row(run(*clean, "--noise", "sigma=25").output, "degraded")
    again = row(run(*clean, "--noise", "sigma=25", "--seed", "0").output, "degraded")
    other = row(run(*clean, "--noise", "sigma=25", "--seed", "1").output, "degraded")
    assert first["protocol"] == "rgb-sigma25"
    assert first == again
    assert other["protocol"] == "rgb-sigma25-seed1"
    assert other["second"] != first["second"]
    with pytest.raises(UsageError, match="write --noise sigma=25"):
        run(*clean, "--noise", "25")


def test_published_noise_is_a_protocol(data_root):
    clean = ("--dataset", data_root / "Rain100L" / "target", "--task", "derain")
    output = run(*clean, "--protocol", "awgn-sigma50").output
    assert row(output, "degraded")["protocol"] == "awgn-sigma50"
    assert "RandomState(0) restarted for each picture" in " ".join(output.split())


def test_baselines_are_further_rows(data_root):
    arguments = ("--dataset", data_root / "Rain100L", "--baseline", "median")
    output = run(*arguments, "--model", ROW).output
    assert row(output, "median")["first"] != row(output, ROW)["first"]
    alone = run(*arguments, "--baseline", "input").output
    assert row(alone, "median") == row(output, "median")
    assert row(alone, "degraded")["first"] == "28.13"
    assert ROW not in alone


def test_bicubic_enlarges_by_the_scale_of_the_protocol(data_root):
    clean = ("--dataset", data_root / "Rain100L" / "target", "--protocol", "srgan-y-crop2")
    output = run(*clean, "--baseline", "bicubic").output
    assert row(output, "bicubic-x2")["pairs"] == "2"
    assert not any(line.startswith("degraded ") for line in output.splitlines())


def test_bicubic_enlarges_by_the_scale_of_a_folder(tmp_path):
    for kind, side in (("input", 8), ("target", 32)):
        write_image(tmp_path / "set" / kind / "1.png", Image(np.full((side, side, 3), 9, np.uint8)))
    output = run("--dataset", tmp_path / "set", "--baseline", "bicubic").output
    assert row(output, "bicubic-x4")["protocol"] == "rgb"


def test_groups_of_a_manifest_are_a_table_of_their_own(data_root):
    folder = data_root / "Rain100L"
    entry = {"format": 1, "source": "1.png", "source_sha256": "0", "copy_number": 0, "seed": 0}
    noise = {"place": 0, "op": "gaussian-noise", "parameters": {"sigma": 15.0}}
    line = entry | {"name": "1.png", "operations": [noise], "versions": {}}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    output = run("--dataset", folder, "--model", ROW).output
    assert "gaussian-noise, severity 2  derain-s" in output


# pictures that are restored already


def test_anybodys_pictures_are_measured(data_root):
    folder = data_root / "Rain100L"
    output = run("--pairs", folder / "input", folder / "target").output
    assert row(output, "input")["first"] == "28.13"
    assert "degraded" not in output
    with pytest.raises(UsageError, match="leave out --model"):
        run("--pairs", folder / "input", folder / "target", "--model", ROW)


# reports


def test_json_ends_with_the_result(data_root):
    output = run("--dataset", "Rain100L", "--data-root", data_root, "--json").output
    lines = [json.loads(line) for line in output.splitlines()]
    measured = ["Warned", "Started", "PairMeasured", "PairMeasured", "Finished", "Evaluated"]
    assert [line["event"] for line in lines] == measured
    (result,) = lines[-1]["sets"]
    assert result["results"][0]["model"] == ROW
    assert result["results"][0]["protocol"] == "rain-y-matlab"
    assert result["results"][0]["mean"]["psnr"] == result["degraded"]["mean"]["psnr"]


def test_pictures_and_reports_are_written(data_root, tmp_path):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    saved, page = tmp_path / "saved", tmp_path / "report.html"
    reports = ("--report", tmp_path / "report.md", "--report", page)
    run(*arguments, "--save", saved, *reports)
    assert (tmp_path / "report.md").read_text().count("rain-y-matlab") >= 3
    assert page.read_text().count("data:image/webp;base64,") == 2 * 4
    degraded = read_image(data_root / "Rain100L" / "input" / "2.png")
    assert np.array_equal(read_image(saved / ROW / "2.png").pixels, degraded.pixels)


def test_a_report_of_another_kind_is_refused_before_anything_is_measured(data_root, tmp_path):
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    with pytest.raises(UsageError, match="a report is one of"):
        run(*arguments, "--report", tmp_path / "report.pdf")


def test_a_damaged_picture_gives_exit_code_1_and_the_rest_is_measured(data_root, tmp_path):
    damaged = data_root / "Rain100L" / "input" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:1500])
    arguments = ("--dataset", "Rain100L", "--data-root", data_root)
    result = run(*arguments, "--report", tmp_path / "report.json", code=1)
    assert str(damaged) in result.output
    assert "Rain100L, 1 of 100 pairs" in result.output
    (content,) = json.loads((tmp_path / "report.json").read_text())["sets"]
    assert [Path(each["file"]).name for each in content["results"][0]["failed"]] == ["2.png"]


def test_a_comparison_measures_nothing():
    with pytest.raises(UsageError, match="nothing; leave out --report, --metrics"):
        run("--compare", "a.json", "b.json", "--report", "c.html", "--metrics", "psnr")


def test_two_reports_are_compared(data_root, tmp_path):
    arguments = ("--dataset", data_root / "Rain100L", "--report")
    run(*arguments, tmp_path / "a.json", "--model", ROW)
    run(*arguments, tmp_path / "b.json", "--baseline", "median")
    reports = ("--compare", tmp_path / "a.json", tmp_path / "b.json")
    output = run(*reports).output
    assert "a: derain-s" in output
    assert "0 of 2" in output
    content = json.loads(run(*reports, "--json").output)
    assert (content["event"], content["tests"]["psnr"]["lower"]) == ("Compared", 2)


# going on after an interruption


def test_resume_needs_a_place_for_the_journal(data_root, tmp_path):
    arguments = ("--dataset", data_root / "Rain100L", "--model", ROW)
    with pytest.raises(UsageError, match="--resume needs the journal"):
        run(*arguments, "--resume")
    for place in (("--report", tmp_path / "r.md"), ("--save", tmp_path / "saved")):
        run(*arguments, *place)
        assert "0 done, 2 skipped" in run(*arguments, *place, "--resume").output
    assert (tmp_path / "r.journal.jsonl").is_file()
    assert (tmp_path / "saved" / "journal.jsonl").is_file()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_run_goes_on_where_it_was(tmp_path, weights):
    write_pairs(tmp_path / "many", 60)
    model = weights / f"{ROW}.safetensors"
    arguments = ["eval", "--dataset", tmp_path / "many", "--model", model, "--json"]
    command = [sys.executable, "-m", "restorekit", *map(str, arguments), "--device", "cpu"]
    killed = [*command, "--report", str(tmp_path / "killed.json")]
    with subprocess.Popen(killed, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed.json").exists()
    journal = (tmp_path / "killed.journal.jsonl").read_text()
    known = journal.count("\n")
    assert 3 <= known < 60

    ended = subprocess.run([*killed, "--resume"], capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[0]["done"] == known
    assert sum(event["event"] == "PairMeasured" for event in events) == 60 - known
    subprocess.run([*command, "--report", str(tmp_path / "whole.json")], check=True)
    both = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("killed", "whole")]
    resumed, whole = ([p["restored"] for p in r["sets"][0]["results"][0]["pictures"]] for r in both)
    assert resumed == whole


def test_the_protocol_chooses_among_the_models_of_a_task(data_root, weights):
    for scale in (2, 4):
        config = {"scale": scale, "channels": 4, "convs": 1}
        card = Card(name=f"x{scale}", backend="srvgg", config=config, task="sr", scale=scale)
        state = build_net("srvgg", **config).state_dict()
        write_checkpoint(weights / f"x{scale}.safetensors", state, card)
    clean = data_root / "Rain100L" / "target"
    for scale in (2, 4):
        asked = ("--dataset", clean, "--task", "sr", "--protocol", f"srgan-y-crop{scale}")
        assert row(run(*asked).output, f"x{scale}")["pairs"] == "2"
