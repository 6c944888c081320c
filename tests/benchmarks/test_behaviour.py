from dataclasses import replace
from pathlib import Path

import behaviour
import pytest
import torch

from restorekit.backends import hub
from restorekit.backends.card import Card
from restorekit.backends.model import Model, build_net, load_model
from restorekit.backends.registry import default_registry
from restorekit.inference.pipeline import usual_overlap
from restorekit.inference.plan import split, whole
from restorekit.training.state import FORMAT
from restorekit.types import Precision, Task

FOLDER = Path(__file__).parents[2] / "benchmarks"
CONFIG = {"in_channels": 3, "widths": (2, 3, 4, 5), "blocks": 1, "residual": True, "bias": True}


@pytest.fixture
def photos():
    return behaviour.photos_in(hub.weights_folder() / "samples")


def identity(shift=0.0, task=Task.DENOISE):
    """A model that returns its input, or adds a constant to green."""
    net = build_net("drunet", **CONFIG)
    tail = net.get_submodule("m_tail")
    torch.nn.init.zeros_(tail.weight)
    with torch.no_grad():
        tail.bias.copy_(torch.tensor([0, shift / 255, 0]))
    card = Card(name="identity", backend="drunet", config=CONFIG, task=task)
    return Model(net.eval(), card, default_registry().get("drunet"), torch.device("cpu"))


@pytest.mark.parametrize("path", hub.embedded(), ids=lambda path: path.stem)
def test_every_embedded_model_behaves(photos, path):
    model = load_model(path, device="cpu")
    found = behaviour.behaviour_of(model, photos, behaviour.pairs_of(model))
    assert found.faults == [], found


def test_a_model_that_returns_its_input_has_no_faults(photos):
    found = behaviour.behaviour_of(identity(), photos[:2], behaviour.pairs_of(identity()))
    assert found.faults == []
    assert (found.clean.psnr, found.clean.shift) == (100, 0)
    assert (found.tiled.largest, found.tiled.seam) == (0, 0)
    assert found.storage is None


def test_a_shift_of_colour_is_found_where_it_is_asked(photos):
    greener = identity(shift=2)
    clean = behaviour.clean_of(greener, [0.5 + photo * 0.1 for photo in photos[:2]])
    assert clean.shift == pytest.approx(2, abs=1e-3)
    assert clean.psnr == pytest.approx(46.9, abs=0.1)  # 2 of 255 in one of three channels
    same = behaviour.Tiled(0, 0, 0)
    said = {
        task: behaviour.Behaviour("x", task, clean, same, {}, None).faults
        for task in (Task.DENOISE, Task.LOWLIGHT)
    }
    assert said == {Task.DENOISE: ["colours shift"], Task.LOWLIGHT: []}


def test_every_fault_is_told():
    clean = behaviour.Clean(35.0, 30.0, 0.0, 0.0)
    halves = {Precision.FLOAT16: float("inf"), Precision.BFLOAT16: None}
    bad = behaviour.Behaviour("x", Task.DERAIN, clean, behaviour.Tiled(9.0, 0.1, 0.9), halves, 0.03)
    assert bad.faults == [
        "a clean picture is changed",
        "tiles make a difference",
        "float16 storage costs",
        "float16 costs",
    ]
    assert "| derain | 35.0 | 30.0 | 0.00 | 0.00 | 0.10 | 0.90 | 9.0 |" in behaviour.line(bad)
    assert "| inf | - | 0.0300 |" in behaviour.line(bad)


def test_a_step_at_a_border_of_tiles_is_measured():
    model, picture = identity(), torch.zeros(1, 3, 512, 512)
    difference = torch.zeros_like(picture)
    assert max(behaviour.steps_at_borders(model, picture, difference)) == 0
    tiles = split(whole(512, 512), behaviour.TILE, usual_overlap(model.backend.capabilities), 8)
    for place in (tiles.rows[0].stop, tiles.columns[1].start):
        stepped = difference.clone()
        stepped[..., place:] = 3
        assert max(behaviour.steps_at_borders(model, picture, stepped)) == pytest.approx(3)
    stepped = difference.clone()
    stepped[..., 64:] = 3  # no tile begins or ends there
    assert max(behaviour.steps_at_borders(model, picture, stepped)) == 0


@pytest.mark.parametrize(("shift", "costs"), [(0.5, False), (0.5001, True)])
def test_what_float16_cannot_hold_costs_something(tmp_path, shift, costs):
    model = identity()
    state = {f"module.{k}": v.clone() for k, v in model.net.state_dict().items()}
    state["module.m_tail.bias"] += shift
    torch.save({"format": FORMAT, "average": state}, tmp_path / "state.pt")
    pairs = behaviour.pairs_of(model)[:1]
    assert (behaviour.storage_cost(model, pairs, tmp_path) != 0) == costs


def test_a_model_that_enlarges_is_measured(photos):
    config = {"scale": 2, "channels": 4, "convs": 1}
    card = Card(name="x2", backend="srvgg", config=config, task=Task.SR, scale=2)
    net = build_net("srvgg", **config).eval()
    model = Model(net, card, default_registry().get("srvgg"), torch.device("cpu"))
    found = behaviour.behaviour_of(model, photos[:1], behaviour.pairs_of(model))
    assert found.clean.psnr is None
    assert "a clean picture is changed" not in found.faults
    page = behaviour.page([found], "the 1 picture of a folder")
    assert "| x2 | sr | - | - |" in page
    assert "sr (makes a picture of another size)" in page


def test_models_that_are_not_measured_keep_their_lines(photos):
    model = identity()
    found = behaviour.behaviour_of(model, photos[:1], behaviour.pairs_of(model))
    one, other = replace(found, name="one"), replace(found, name="other")
    both = behaviour.page([one, other], "the same pictures")
    again = replace(one, storage=0.0123)
    page = behaviour.page([again], "the same pictures", both)
    assert page == behaviour.page([again, other], "the same pictures")
    assert "| other |" not in behaviour.page([again], "other pictures", both)
