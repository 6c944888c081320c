import math

import pytest
import torch

from restorekit.backends import hub
from restorekit.backends.card import Card, Measured
from restorekit.backends.checkpoint import replace_card, write_checkpoint
from restorekit.backends.model import build_net
from restorekit.data import catalog
from restorekit.data.catalog import Dataset
from restorekit.errors import UsageError
from restorekit.evaluation.remeasure import Remeasured, measure_on_samples, remeasure
from restorekit.events import PairMeasured, Started
from restorekit.types import Task
from tests.evaluation.conftest import CONFIG, finish

TRUE = 20 * math.log10(255 / 10) / 3 + 20 * math.log10(255 / 20) / 3 + 20 * math.log10(255 / 30) / 3
"""The three pairs of the folder differ by 10, 20 and 30 levels."""


@pytest.fixture
def root(folder, monkeypatch):
    """The folder as a set with a name."""
    sets = {
        "Pairs": Dataset("Pairs", ("set",), 3, Task.DERAIN, "rgb-float"),
        "More": Dataset("More", ("set",), 9, Task.DERAIN, "rgb-float"),
        "Absent": Dataset("Absent", ("elsewhere",), 3, Task.DERAIN, "rgb-float"),
    }
    monkeypatch.setattr(catalog, "DATASETS", sets)
    return folder.parent


def identity(folder, *rows):
    """A checkpoint that returns its input and says `rows` of itself."""
    torch.manual_seed(0)
    state = build_net("drunet", **CONFIG).state_dict()
    state["m_tail.weight"].zero_()
    state["m_tail.bias"].zero_()
    path = folder / "identity.safetensors"
    write_checkpoint(path, state, Card(name="i", backend="drunet", config=CONFIG, measured=rows))
    return path


def row(dataset="Pairs", protocol="rgb-float", **values):
    return Measured(dataset=dataset, protocol=protocol, values=values or {"psnr": round(TRUE, 4)})


def test_the_numbers_of_an_honest_card_come_out_again(root, tmp_path):
    path = identity(tmp_path, row(), row("pairs", "rgb"))
    events, results = finish(remeasure(path, root, device="cpu"))
    assert [result.agrees for result in results] == [True, True]
    assert results[0].now["psnr"] == pytest.approx(TRUE)
    assert results[0].said == f"psnr {TRUE:.4f}"
    assert sum(isinstance(event, Started) for event in events) == 2
    assert sum(isinstance(event, PairMeasured) for event in events) == 6


@pytest.mark.parametrize(("off", "agrees"), [(0.009, True), (-0.009, True), (0.02, False)])
def test_a_hundredth_of_a_decibel_is_let_pass(root, tmp_path, off, agrees):
    path = identity(tmp_path, row(psnr=TRUE + off))
    (result,) = finish(remeasure(path, root, device="cpu"))[1]
    assert result.agrees is agrees
    assert ("on the card" in result.said) is not agrees


def test_only_metrics_are_compared(root, tmp_path):
    path = identity(tmp_path, row(psnr=TRUE, ssim=0.3, beauty=1.0))
    (result,) = finish(remeasure(path, root, device="cpu"))[1]
    assert set(result.now) == {"psnr", "ssim"}
    assert result.agrees is False
    assert "but 0.3 on the card" in result.said


@pytest.mark.parametrize(("degraded", "agrees"), [(TRUE + 0.009, True), (TRUE + 0.02, False)])
def test_the_pictures_as_they_came_are_compared_where_the_card_tells(
    root, tmp_path, degraded, agrees
):
    path = identity(tmp_path, row(psnr=TRUE, degraded_psnr=degraded))
    (result,) = finish(remeasure(path, root, device="cpu"))[1]
    assert result.now == pytest.approx({"psnr": TRUE, "degraded_psnr": TRUE})
    assert result.agrees is agrees


def test_a_new_row_is_what_is_measured_again(tmp_path, monkeypatch):
    path = identity(tmp_path, row("Rain100L"), row("samples:haze:1", "rgb"), row("20 held out"))
    events, card = finish(measure_on_samples(path, "gaussian-noise:3", device="cpu"))
    assert [r.dataset for r in card.measured] == [
        "Rain100L",
        "20 held out",
        "samples:gaussian-noise:3",
    ]
    values = card.measured[-1].values
    assert list(values) == ["psnr", "ssim", "degraded_psnr", "degraded_ssim"]
    assert values["psnr"] == values["degraded_psnr"] == pytest.approx(20.4, abs=0.3)
    assert sum(isinstance(event, PairMeasured) for event in events) == 5
    replace_card(path, card)
    (result,) = finish(remeasure(path, None, device="cpu"))[1]
    assert (result.agrees, result.must) == (True, True)
    assert result.now == pytest.approx(values, abs=1e-4)


def test_a_model_that_enlarges_has_no_numbers_of_the_pictures_as_they_came(tmp_path):
    config = {"scale": 2, "channels": 4, "convs": 1}
    net = build_net("srvgg", **config)
    card = Card(name="x2", backend="srvgg", config=config, task=Task.SR, scale=2)
    write_checkpoint(tmp_path / "x2.safetensors", net.state_dict(), card)
    _, card = finish(measure_on_samples(tmp_path / "x2.safetensors", device="cpu"))
    (only,) = card.measured
    assert only.dataset == "samples:classical-x2"
    assert list(only.values) == ["psnr", "ssim"]
    with pytest.raises(UsageError, match=r"x2 has scale 2.*samples:haze:2 are 1 times as large"):
        finish(measure_on_samples(tmp_path / "x2.safetensors", "haze:2", device="cpu"))


def test_without_sets_only_the_samples_are_measured(tmp_path, monkeypatch):
    path = identity(tmp_path, row("Rain100L"), row("samples:jpeg:3", "rgb", psnr=99.0))
    (result,) = finish(remeasure(path, None, device="cpu"))[1]
    assert result.agrees is False
    assert result.said == f"psnr {result.now['psnr']:.4f}, but 99 on the card"
    assert not Remeasured(row("Rain100L")).must
    monkeypatch.setattr(hub, "weights_folder", lambda: tmp_path)
    (result,) = finish(remeasure(path, None, device="cpu"))[1]
    assert result.agrees is None
    assert "sample pictures are missing" in result.said


@pytest.mark.parametrize(
    ("given", "why_not"),
    [
        (row("set"), "'set' is no set that restorekit knows"),
        (row("20 held-out pictures", "validation"), "no set that restorekit knows"),
        (row(protocol="rgb-flaot"), "rgb-float"),
        (row("More"), "only 3 of 9 pairs are there"),
        (row("Absent"), "Absent"),
        (row(quality=3.0), "none of quality is a metric"),
    ],
)
def test_what_cannot_be_measured_again_is_said(root, tmp_path, given, why_not):
    _, (missing, there) = finish(remeasure(identity(tmp_path, given, row()), root, device="cpu"))
    assert missing.agrees is None
    assert missing.said.startswith("not measured: ")
    assert why_not in missing.said
    assert there.agrees


def test_a_set_of_which_a_picture_cannot_be_read_is_not_measured(root, tmp_path):
    broken = root / "set" / "input" / "2.png"
    broken.write_bytes(broken.read_bytes()[:300])
    (result,) = finish(remeasure(identity(tmp_path, row()), root, device="cpu"))[1]
    assert result.agrees is None
    assert "2.png" in result.said


def test_what_is_no_number_agrees_with_nothing():
    assert Remeasured(row(psnr=30.0), {"psnr": math.nan}).agrees is False
