import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from restorekit.backends import hub
from restorekit.backends.card import Card, Measured, Training, read_card
from restorekit.backends.checkpoint import write_checkpoint
from restorekit.backends.model import build_net, load_model
from restorekit.cli.models import app
from restorekit.errors import CheckpointError, UnknownNameError, UnsafePickleError, UsageError
from restorekit.media.image import write_image
from restorekit.types import Image, Task

CONFIG = {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True, "bias": True}


@pytest.fixture
def state():
    torch.manual_seed(0)
    return build_net("drunet", **CONFIG).state_dict()


@pytest.fixture
def foreign(tmp_path, state):
    torch.save({"params": state, "iter": 9}, tmp_path / "net_g.pth")
    return tmp_path / "net_g.pth"


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    """An empty folder of embedded models, and an empty current folder."""
    folder, here = tmp_path / "weights", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setattr(hub, "weights_folder", lambda: folder)
    monkeypatch.chdir(here)
    return folder


@pytest.fixture
def embedded(weights, state):
    card = Card(
        name="derain-s",
        backend="drunet",
        config=CONFIG,
        task=Task.DERAIN,
        licence="Apache-2.0",
        limits="stripes",
        measured=(Measured(dataset="Rain100L", protocol="rain", values={"psnr": 31.5}),),
    )
    write_checkpoint(weights / "derain-s.safetensors", state, card)
    return weights / "derain-s.safetensors"


def run(*arguments, code=0):
    """Run a command; what it raises goes to the caller, as it does to the program's main."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def run_json(*arguments, code=0):
    return json.loads(run(*arguments, "--json", code=code))


def test_list_shows_the_embedded_models(embedded):
    line = run("list").splitlines()[1]
    for cell in ("derain-s", "derain", "drunet", "psnr 31.5 on Rain100L (rain)", "Apache-2.0"):
        assert cell in line
    row, *_ = run_json("list")
    assert row["bytes"] == embedded.stat().st_size
    net = build_net("drunet", **CONFIG)
    assert row["parameters"] == sum(value.numel() for value in net.state_dict().values())


def test_list_says_when_there_is_none(weights):
    assert str(weights) in run("list")
    assert {row["licence"] for row in run_json("list")} == {"no weights"}


def test_list_and_show_know_the_methods_without_weights(weights):
    assert "median" in run("list")
    assert "median" in {row["name"] for row in run_json("list")}
    assert "radius: windows are 2 * radius + 1" in " ".join(run("show", "median").split())
    facts = run_json("show", "bicubic-x2")
    assert (facts["task"], facts["set by its name"]) == ("sr", ["scale=2"])


def test_list_goes_on_after_a_broken_file(embedded, weights):
    (weights / "broken.safetensors").write_bytes(b"no")
    text = run("list")
    assert "broken" in text
    assert "unusable" in text
    assert "derain-s" in text


def test_show_tells_all_of_an_embedded_model(embedded):
    text = run("show", "derain-s")
    for fact in (hub.sha256(embedded), "stripes", "widths [2, 3, 4, 5]", "psnr 31.5", "TPAMI"):
        assert fact in text
    facts = run_json("show", "derain-s")
    assert facts["task"] == "derain"
    assert facts["notes"] == []


def test_names_are_no_markup(embedded, weights):
    for place in ("model [best].safetensors", "out[/b.safetensors"):
        Path(place).parent.mkdir(exist_ok=True)
        Path(place).write_bytes(embedded.read_bytes())
        assert place in run("show", place)
    embedded.rename(weights / "derain [best].safetensors")
    assert "derain [best]" in run("list")


def test_show_tells_the_curve_of_a_training_that_has_one(embedded, state):
    card = read_card(embedded)
    facts = {"data": "photos", "recipe": "r", "recipe_sha256": "0", "steps": 9, "seconds": 1.5}
    for curve, said in (({}, "seconds 1.5"), ({5: 30.25, 9: 31.5}, "curve 5 30.25, 9 31.5")):
        training = Training(**facts, curve=curve)
        write_checkpoint(embedded, state, card.model_copy(update={"training": training}))
        shown = " ".join(run("show", "derain-s").split())
        assert said in shown
        assert (", curve" in shown) == bool(curve)


def test_show_opens_foreign_files(foreign):
    facts = run_json("show", foreign)
    assert (facts["backend"], facts["config"]["blocks"]) == ("drunet", 1)
    assert "without a card" in facts["notes"][0]
    assert "took 'params', left out iter" in facts["notes"][1]
    assert "took 'params'" in run("show", foreign)


def test_show_measures_cost_and_reach(embedded, foreign, tmp_path, state):
    assert "macs_per_megapixel" in run("show", "derain-s")
    own, other = run_json("show", "derain-s"), run_json("show", foreign)
    for key in ("macs_per_megapixel", "receptive_field_pixels"):
        assert own[key] == other[key] > 0
    assert "published_licence" not in own
    assert (other["published_licence"], other["published_for"]) == (
        "MIT",
        ["denoise", "dejpeg", "sr"],
    )
    nafnet = build_net("nafnet", width=4, encoder_blocks=(1,), decoder_blocks=(1,))
    torch.save(nafnet.state_dict(), tmp_path / "nafnet.pth")
    assert run_json("show", tmp_path / "nafnet.pth")["receptive_field_pixels"] == "whole picture"


def test_show_says_why_the_net_of_a_lying_card_is_not_measured(tmp_path, state):
    card = Card(name="x", backend="drunet", config={**CONFIG, "widths": (10**5,) * 4})
    save_file(state, tmp_path / "x.safetensors", {"restorekit": card.model_dump_json()})
    facts = run_json("show", tmp_path / "x.safetensors")
    assert "macs_per_megapixel" not in facts
    assert "but the weights are of another net" in facts["notes"][0]


def test_show_reads_the_card_of_an_exported_model(embedded):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    run("export", "derain-s")
    facts, own = run_json("show", "derain-s.onnx"), run_json("show", "derain-s")
    for key in ("backend", "config", "task", "measured", "licence", "macs_per_megapixel"):
        assert facts[key] == own[key]
    assert facts["parameters"] == sum(w.numel() for w in build_net("drunet", **CONFIG).parameters())
    Path("other.onnx").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"other\.onnx: onnxruntime cannot open this file"):
        run("show", "other.onnx")


def test_show_works_where_the_backend_is_not_installed(tmp_path, state):
    card = Card(name="x", backend="elsewhere", config={})
    save_file(state, tmp_path / "x.safetensors", {"restorekit": card.model_dump_json()})
    assert run_json("show", tmp_path / "x.safetensors")["paper"] == "of a backend that is not here"


def test_show_names_what_is_wrong(tmp_path):
    with pytest.raises(UnknownNameError):
        run("show", "derain")
    with pytest.raises(UsageError, match="no such checkpoint file"):
        run("show", "derain.pth")
    (tmp_path / "a.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        run("show", tmp_path / "a.safetensors")


def test_convert_writes_a_checkpoint_in_the_current_folder(foreign, state):
    text = run("convert", foreign)
    assert "note: took 'params', left out iter" in text
    assert "drunet(in_channels=3" in text
    assert "-> net_g.safetensors" in text
    model = load_model("net_g.safetensors", device="cpu")
    assert model.card.name == "net_g"
    assert all(torch.equal(value, state[key]) for key, value in model.net.state_dict().items())


def test_convert_fills_the_card(foreign, tmp_path):
    out = tmp_path / "deep" / "rain.safetensors"
    given = ("--task", "derain", "--name", "rain", "--licence", "MIT", "--source", "a paper")
    report = run_json("convert", foreign, "-o", out, *given)
    card = read_card(out)
    assert (card.task, card.name, card.licence, card.source) == (
        Task.DERAIN,
        "rain",
        "MIT",
        "a paper",
    )
    assert report["file"] == str(out)
    assert report["bytes"] == out.stat().st_size


@pytest.fixture
def prenet(tmp_path):
    state = build_net("prenet", stages=4, late=True, channels=4).state_dict()
    torch.save(state, tmp_path / "prenet.pth")
    return tmp_path / "prenet.pth"


def test_convert_says_what_it_assumed_and_takes_better_knowledge(prenet):
    assert "note: assumed stages=6, late=False: the weights do not tell" in run("convert", prenet)
    text = run("convert", prenet, "--overwrite", "--set", "stages=4", "--set", "late=true")
    assert "prenet(stages=4" in text
    assert "assumed" not in text
    config = read_card("prenet.safetensors").config
    assert (config["stages"], config["late"]) == (4, True)
    run("convert", "prenet.safetensors", "-o", "again.safetensors", "--set", "stages=2")
    assert read_card("again.safetensors").config == {**config, "stages": 2}


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("stages", UsageError, "write KEY=VALUE"),
        ("stages=many", UsageError, "stages=many: give a value such as 6"),
        ("stage=4", UsageError, "stage cannot be set .*; what can is stages, late"),
        ("channels=5", UsageError, "channels cannot be set"),
    ],
)
def test_convert_refuses_settings_that_do_not_fit(prenet, setting, error, message):
    with pytest.raises(error, match=message):
        run("convert", prenet, "--set", setting)
    assert not [*Path().iterdir()]


def test_convert_into_a_folder(foreign, tmp_path):
    run("convert", foreign, "-o", tmp_path)
    assert read_card(tmp_path / "net_g.safetensors").source == "net_g.pth"


def test_interpolate_mixes_two_checkpoints(foreign, state):
    run("convert", foreign, "-o", "one.safetensors")
    other = {key: value + 1 for key, value in state.items()}
    write_checkpoint("two.safetensors", other, read_card("one.safetensors"))
    report = run_json(
        "interpolate",
        "one.safetensors",
        "two.safetensors",
        "--alpha",
        "0.25",
        "-o",
        "mix.safetensors",
    )
    mixed = load_file("mix.safetensors")
    for key, value in mixed.items():
        torch.testing.assert_close(value, state[key] + 0.25)
    card = read_card("mix.safetensors")
    assert card.name == "mix"
    assert card.source.startswith("0.75 of one (net_g.pth) and 0.25 of one")
    assert report["file"] == "mix.safetensors"
    with pytest.raises(UsageError, match="exists; add --overwrite"):
        run("interpolate", "one.safetensors", "two.safetensors", "-o", "mix.safetensors")
    run(
        "interpolate",
        "one.safetensors",
        "two.safetensors",
        "-o",
        "mix.safetensors",
        "--half",
        "--overwrite",
    )
    assert {value.dtype for value in load_file("mix.safetensors").values()} == {torch.float16}


def test_convert_to_half(foreign):
    run("convert", foreign, "--half", "-o", "half.safetensors")
    assert {value.dtype for value in load_file("half.safetensors").values()} == {torch.float16}


def test_convert_keeps_the_card_of_our_own_file(embedded):
    run("convert", embedded, "--half", "-o", "small.safetensors")
    before, after = read_card(embedded), read_card("small.safetensors")
    assert after == before.model_copy(update={"name": "small"})


def test_convert_replaces_only_when_told(foreign, embedded, tmp_path):
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists; add --overwrite"):
        run("convert", foreign, "-o", out)
    assert out.read_bytes() == b"precious"
    run("convert", foreign, "-o", out, "--overwrite")
    assert read_card(out).backend == "drunet"


def test_convert_writes_only_safetensors(foreign):
    with pytest.raises(UsageError, match=r"use -o out\.safetensors"):
        run("convert", foreign, "-o", "out.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("touch mark",)


def test_convert_of_a_malicious_pickle_runs_and_writes_nothing(tmp_path):
    torch.save({"params": {"w": torch.zeros(1)}, "x": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UnsafePickleError, match=r"evil\.pth: refused, nothing was run"):
        run("convert", tmp_path / "evil.pth")
    assert not [*Path().iterdir()]


def test_verify_passes_good_files(embedded, foreign):
    text = run("verify", "derain-s", foreign)
    assert f"sha256 {hub.sha256(embedded)}" in text
    assert "card valid" in text
    assert "a foreign file" in text
    assert f"note: {foreign}: took 'params', left out iter" in text
    assert run_json("verify", "--all")[0]["file"] == str(embedded)


def test_verify_names_the_bad_ones_and_goes_on(embedded, weights, tmp_path):
    (weights / "bad.safetensors").write_bytes(embedded.read_bytes()[:-4])
    good, bad = sorted(run_json("verify", "--all", code=1), key=lambda r: not r["ok"])
    assert good["ok"]
    assert "cut off" in bad["error"]
    text = run("verify", "no-such", tmp_path / "none.pth", "derain-s", code=1)
    assert [line.split()[0] for line in text.splitlines()] == ["FAILED", "FAILED", "ok", "sha256"]


def test_verify_runs_the_net(tmp_path, state):
    state["m_head.weight"].fill_(3e38)
    state["m_tail.weight"].fill_(3e38)
    torch.save(state, tmp_path / "huge.pth")
    text = run("verify", tmp_path / "huge.pth", code=1)
    assert "the net gives NaN or infinite numbers" in text


@pytest.fixture
def sets(tmp_path):
    """A Rain100L of one pair, which is not whole, and Set5, which is."""
    for name, count in (("Rain100L", 1), ("Set5", 5)):
        for k in range(count):
            pixels = np.random.default_rng(k).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            kinds = ("target", "input") if name == "Rain100L" else ("",)
            for kind in kinds:
                write_image(tmp_path / "sets" / name / kind / f"{k}.png", Image(pixels))
    return tmp_path / "sets"


def claim(folder, state, *rows):
    card = Card(name="claims", backend="drunet", config=CONFIG, measured=rows)
    write_checkpoint(folder / "claims.safetensors", state, card)
    return folder / "claims.safetensors"


def test_verify_measures_the_numbers_of_the_card_again(sets, tmp_path, state):
    state["m_tail.weight"].zero_()
    state["m_tail.bias"].zero_()
    noise = {"psnr": 20.2}  # what sigma 25 costs, about
    rows = [
        Measured(dataset=name, protocol="awgn-sigma25", values=noise) for name in ("Set5", "photos")
    ]
    path = claim(tmp_path, state, *rows)
    options = ("--data-root", sets, "--device", "cpu")
    (report,) = run_json("verify", path, *options, code=1)
    there, absent = report["measured"]
    assert (there["agrees"], absent["agrees"]) == (False, None)
    assert "FAILED" in run("verify", path, *options, code=1)
    true = Measured(dataset="Set5", protocol="awgn-sigma25", values=there["now"])
    text = run("verify", claim(tmp_path, state, true, rows[1]), *options)
    assert f"Set5, awgn-sigma25: psnr {there['now']['psnr']:.4f}" in text
    assert "photos, awgn-sigma25: not measured: 'photos' is no set" in text
    assert text.splitlines()[-4].startswith("ok ")


def test_verify_fails_where_no_number_could_be_measured_again(sets, tmp_path, state, foreign):
    row = Measured(dataset="Rain100L", protocol="rain-y-matlab", values={"psnr": 30.0})
    path = claim(tmp_path, state, row)
    text = run("verify", path, "--data-root", sets, code=1)
    assert "not measured: only 1 of 100 pairs are there" in text
    text = run("verify", foreign, "--data-root", sets, code=1)
    assert "its card has no numbers to measure again" in text
    with pytest.raises(UsageError, match="none: no such folder"):
        run("verify", path, "--data-root", "none")


def test_verify_runs_an_exported_model(embedded, sets):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    run("export", "derain-s")
    [report] = run_json("verify", "derain-s.onnx")
    assert (report["ok"], report["card"], report["backend"]) == (True, "valid", "drunet")
    [report] = run_json("verify", "derain-s.onnx", "--data-root", sets, code=1)
    assert "derain-s.onnx: is exported; measure the checkpoint" in report["error"]
    Path("other.onnx").write_bytes(b"no")
    [report] = run_json("verify", "other.onnx", code=1)
    assert "other.onnx: onnxruntime cannot open this file" in report["error"]


def test_verify_wants_something_to_verify():
    with pytest.raises(UsageError, match="--all"):
        run("verify")


def test_help_lists_the_commands():
    text = run("--help")
    assert all(name in text for name in ("list", "show", "convert", "measure", "verify"))


def report_on(model, folder):
    """A report as `restorekit eval --report` writes it, cut to what a card needs."""
    mean = {"psnr": 31.5, "ssim": 0.92}
    row = {"model": model, "protocol": "rain-y-matlab", "mean": mean, "pairs": 100, "failed": []}
    path = folder / "report.json"
    path.write_text(json.dumps({"dataset": "Rain100L", "results": [row]}))
    return path


def test_convert_puts_measured_numbers_on_the_card(foreign, tmp_path):
    report = report_on("net_g", tmp_path)
    options = ["--measured", str(report), "--limits", "Snow."]
    result = CliRunner().invoke(app, ["convert", str(foreign), "-o", "out.safetensors", *options])
    assert result.exit_code == 0, result.output
    card = read_card(Path("out.safetensors"))
    values = {"psnr": 31.5, "ssim": 0.92}
    assert card.measured == (Measured(dataset="Rain100L", protocol="rain-y-matlab", values=values),)
    assert card.limits == "Snow."


@pytest.mark.parametrize(
    ("model", "content", "said"),
    [("other", None, "no model called net_g"), ("net_g", "[]", "not a report")],
)
def test_convert_refuses_a_report_that_does_not_fit(foreign, tmp_path, model, content, said):
    report = report_on(model, tmp_path)
    if content is not None:
        report.write_text(content)
    result = CliRunner().invoke(app, ["convert", str(foreign), "--measured", str(report)])
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
