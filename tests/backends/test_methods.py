"""Methods without weights behind the interface of a model."""

import pytest
import torch

from restorekit.backends import hub
from restorekit.backends.base import Backend
from restorekit.backends.methods import METHODS, find_method
from restorekit.backends.model import load_model
from restorekit.errors import UnknownNameError, UsageError
from restorekit.types import Task

BUILT_IN = [method for method in METHODS if method.name != "bm3d"]


@pytest.mark.parametrize("method", BUILT_IN, ids=lambda method: method.name)
def test_every_method_is_a_model_by_its_name(method: Backend):
    model = load_model(method.name, device="cpu")
    assert (model.backend, model.task, model.channels) == (method, method.tasks[0], 3)
    assert (model.scale > 1) == (model.task is Task.SR)
    x = torch.rand(2, 3, 19, 23)
    restored = model(x)
    assert restored.shape == (2, 3, 19 * model.scale, 23 * model.scale)
    assert torch.isfinite(restored).all()
    assert torch.equal(restored, model(x))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_explains_itself(method: Backend):
    assert method.about().endswith(".")
    assert len(method.explained()) == len(method.arguments())
    assert all(line.partition(": ")[2] for line in method.explained())


def test_the_scale_is_part_of_the_name_or_a_setting():
    assert load_model("bicubic-x2").scale == 2
    assert load_model("bicubic", settings={"scale": 3}).scale == 3
    assert load_model("back-projection-x3").card.config == {"scale": 3, "iterations": 10}
    with pytest.raises(UsageError, match="'bicubic-x2' sets scale already"):
        load_model("bicubic-x2", settings={"scale": 3})
    assert find_method("median-x2") is None
    assert find_method("sfnet") is None
    assert find_method("sfnet-x2") is None


def test_settings_are_written_on_the_card():
    model = load_model("median", settings={"radius": 2})
    assert model.card.config == {"radius": 2}
    x = torch.rand(1, 3, 9, 9)
    assert not torch.equal(model(x), load_model("median")(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radios": 2}, "'median' does not take radios; it takes radius"),
        ({"radius": 0}, "radius=0: Input should be greater than or equal to 1"),
        ({"radius": "big"}, "radius=big: Input should be a valid integer"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        load_model("median", settings=settings)


def test_a_mistyped_method_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown model 'medain'; did you mean median"):
        load_model("medain")


def test_a_method_has_no_file():
    with pytest.raises(UsageError, match="'median' is a method without weights and has no file"):
        hub.find_checkpoint("median")


def test_an_embedded_model_goes_before_a_method_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "median.safetensors").write_bytes(b"")
    monkeypatch.setattr(hub, "weights_folder", lambda: tmp_path)
    assert hub.find_model("median") == tmp_path / "median.safetensors"
