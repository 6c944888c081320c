import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from restorekit.backends import hub
from restorekit.backends.card import Card, read_card
from restorekit.backends.checkpoint import replace_card, write_checkpoint
from restorekit.backends.model import build_net
from restorekit.errors import CheckpointError, DataError, UsageError
from restorekit.types import Task
from tests.cli.test_models import CONFIG, run, run_json

SHIPPED = hub.embedded()
SAMPLES = hub.weights_folder() / "samples"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The layout of the wheel: weights/ with its samples inside the package."""
    package = tmp_path / "site-packages" / "restorekit"
    shutil.copytree(SAMPLES, package / "weights" / "samples")
    monkeypatch.setattr(hub, "_PACKAGE", package)
    torch.manual_seed(0)
    state = build_net("drunet", **CONFIG).state_dict()
    card = Card(name="one", backend="drunet", config=CONFIG, task=Task.DENOISE)
    for name in ("one", "two"):
        write_checkpoint(package / "weights" / f"{name}.safetensors", state, card)
    return package / "weights"


def test_what_is_measured_on_the_samples_is_verified_without_other_data(installed):
    before = load_file(installed / "one.safetensors")
    text = run("measure", "--all")
    assert [line.split()[1] for line in text.splitlines()] == ["samples:gaussian-noise:3,"] * 2
    after = load_file(installed / "one.safetensors")
    assert all(torch.equal(after[key], before[key]) for key in before)
    first, second = run_json("verify", "--all")
    assert [first["measured"][0]["agrees"], second["measured"][0]["agrees"]] == [True, True]
    row = json.loads(run("measure", "two", "--degradation", "haze:2", "--json"))
    assert row["dataset"] == "samples:haze:2"
    card = read_card(installed / "two.safetensors")
    assert [(r.dataset, r.values) for r in card.measured] == [("samples:haze:2", row["values"])]


def test_a_card_that_lies_is_told_by_its_number(installed):
    run("measure", "--all")
    path = installed / "two.safetensors"
    card = read_card(path)
    row = card.measured[0]
    boast = row.model_copy(update={"values": {**row.values, "psnr": row.values["psnr"] + 0.05}})
    replace_card(path, card.model_copy(update={"measured": (boast,)}))
    text = run("verify", "--all", code=1)
    assert f"FAILED  {path}" in text
    assert f"but {boast.values['psnr']:g} on the card" in text
    assert f"ok      {installed / 'one.safetensors'}" in text


def test_missing_samples_are_a_failure_of_what_was_measured_on_them(installed, tmp_path):
    run("measure", "one")
    shutil.rmtree(installed / "samples")
    for options in ((), ("--data-root", tmp_path)):
        text = run("verify", "one", *options, code=1)
        assert "FAILED" in text
        assert "samples: the sample pictures are missing; install restorekit again" in text
    assert run_json("verify", "two")[0]["ok"]
    with pytest.raises(DataError, match="sample pictures are missing"):
        run("measure", "two")


def test_measure_wants_a_checkpoint_of_ours(installed, tmp_path):
    torch.save(build_net("drunet", **CONFIG).state_dict(), tmp_path / "net_g.pth")
    with pytest.raises(CheckpointError, match=r"net_g\.pth"):
        run("measure", tmp_path / "net_g.pth")
    with pytest.raises(UsageError, match=r"nothing to measure.*--all"):
        run("measure")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_embedded_checkpoint_has_a_row_on_the_samples_that_is_true(path):
    card = read_card(path)
    assert [row.dataset.startswith("samples:") for row in card.measured].count(True) == 1
    (report,) = run_json("verify", path)
    assert [row["agrees"] for row in report["measured"]] == [True]
    assert report["measured"][0]["now"]["psnr"] > report["measured"][0]["now"].get(
        "degraded_psnr", 0
    )
