import json

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from restorekit import api
from restorekit.backends.card import Card, read_card
from restorekit.backends.checkpoint import read_checkpoint, write_checkpoint
from restorekit.backends.model import build_net
from restorekit.errors import DataError, TrainingError, UsageError
from restorekit.events import Finished, Saved, StepDone, Tuned, Validated, Warned, WeightsLoaded
from restorekit.training.finetune import plan_tuning
from tests.training.processes import kill, start_two

TINY = {"in_channels": 3, "widths": (4, 4, 4, 4), "blocks": 1, "residual": True}
SHORT = {"steps": 6, "validate_every": 3, "data.workers": 0, "data.batch": 2}


@pytest.fixture
def pairs(tmp_path):
    """Five pairs that a residual net can improve at once: the references are darker."""
    for kind in ("input", "target"):
        (tmp_path / "mine" / kind).mkdir(parents=True)
    for number in range(5):
        samples = np.random.default_rng(number).integers(90, 200, (40, 48, 3), dtype=np.uint8)
        PillowImage.fromarray(samples).save(tmp_path / f"mine/input/{number}.png")
        PillowImage.fromarray(samples - 40).save(tmp_path / f"mine/target/{number}.png")
    return tmp_path / "mine"


@pytest.fixture
def model(tmp_path):
    return checkpoint(tmp_path / "first.safetensors")


def checkpoint(path, **config):
    torch.manual_seed(3)
    config = {**TINY, **config}
    net = build_net("drunet", **config)
    card = Card(name="first", backend="drunet", config=config, task="denoise", licence="CC0-1.0")
    write_checkpoint(path, net.state_dict(), card)
    return path


def plan(start, pairs, recipe=None, **overrides):
    return plan_tuning(start, recipe, data=pairs, overrides={**SHORT, **overrides})


def tune(planned, folder):
    return list(api.tuning(planned, folder, device="cpu"))


def test_the_result_says_what_it_comes_from_and_both_numbers(model, pairs, tmp_path):
    events = tune(plan(model, pairs, **{"optim.lr": 1e-2}), tmp_path / "run")
    kinds = [type(event) for event in events]
    assert kinds[1] is WeightsLoaded
    assert kinds.count(StepDone) == 6
    start = next(e for e in events if isinstance(e, Validated))
    assert start.step == 0
    tuned = events[-1]
    assert isinstance(tuned, Tuned)
    assert tuned.before == start.values
    assert tuned.after["psnr"] > tuned.before["psnr"] + 0.1
    card = read_card(tmp_path / "run" / "first-tuned.safetensors")
    assert card.source.startswith("fine-tuned from first (sha256 ")
    assert (card.licence, card.training.data, card.training.steps) == ("CC0-1.0", "mine", 6)
    after, before = card.measured
    assert "1 held-out" in after.dataset
    assert before.dataset == f"{after.dataset}, before tuning"
    assert before.values["psnr"] == pytest.approx(start.values["psnr"], abs=0.01)
    assert after.values["psnr"] == pytest.approx(tuned.after["psnr"], abs=0.01)


def test_the_first_step_starts_from_the_given_weights(model, pairs, tmp_path):
    tune(
        plan(model, pairs, **{"optim.lr": 1e-12, "optim.final_lr": 0.0, "half": False}),
        tmp_path / "run",
    )
    tuned = read_checkpoint(tmp_path / "run" / "first-tuned.safetensors").state
    given = read_checkpoint(model).state
    assert all(torch.allclose(tuned[key], given[key], atol=1e-6) for key in given)


def test_a_net_of_other_channels_gets_a_new_head(pairs, tmp_path):
    grey = checkpoint(tmp_path / "grey.safetensors", in_channels=1, out_channels=1)
    with pytest.raises(UsageError, match=r"--set net\.config\.in_channels=3"):
        plan(grey, pairs)
    planned = plan(grey, pairs, **{"net.config.in_channels": 3, "net.config.out_channels": 3})
    events = tune(planned, tmp_path / "run")
    report = next(e for e in events if isinstance(e, WeightsLoaded))
    assert len(report.reinitialised) == 2
    assert read_card(tmp_path / "run" / "first-tuned.safetensors").config["in_channels"] == 3


def test_a_foreign_file_is_tuned_and_what_was_assumed_is_said(pairs, tmp_path):
    net = build_net("drunet", **TINY)
    torch.save({"params": net.state_dict(), "epoch": 7}, tmp_path / "theirs.pth")
    events = tune(plan(tmp_path / "theirs.pth", pairs, task="derain"), tmp_path / "run")
    assert any(isinstance(e, Warned) and "left out epoch" in e.message for e in events)
    card = read_card(tmp_path / "run" / "theirs-tuned.safetensors")
    assert card.task == "derain"
    assert "theirs" in card.source


def test_frozen_parameters_stay_and_the_others_move(model, pairs, tmp_path):
    frozen = {"net.freeze": ["m_head*", "m_down*"], "half": False, "optim.lr": 1e-2}
    tune(plan(model, pairs, **frozen), tmp_path / "run")
    tuned = read_checkpoint(tmp_path / "run" / "first-tuned.safetensors").state
    given = read_checkpoint(model).state
    learned = [key for key in given if key.endswith(("weight", "bias"))]
    same = {key for key in learned if torch.equal(tuned[key], given[key])}
    assert same == {key for key in learned if key.startswith(("m_head", "m_down"))}


def test_a_recipe_needs_neither_net_nor_task_nor_source(model, pairs, tmp_path):
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        'steps = 4\n[data]\npatch = 16\nhold_out = 2\nphotos = "else"\n[net]\nstart = "gone"\n'
    )
    planned = plan_tuning(model, recipe, data=pairs, overrides={"name": "mine"})
    assert (planned.recipe.name, planned.recipe.data.photos) == ("mine", None)
    assert planned.recipe.net.start is None
    assert (planned.recipe.steps, planned.recipe.data.hold_out) == (4, 2)


def test_a_stopped_tuning_goes_on_to_the_same_result(model, pairs, tmp_path):
    tune(plan(model, pairs), tmp_path / "whole")
    events = api.tuning(plan(model, pairs), tmp_path / "halves", device="cpu")
    for event in events:
        if isinstance(event, StepDone) and event.step == 4:
            events.close()
    model.unlink()
    rest = list(api.resumed_tuning(tmp_path / "halves", device="cpu"))
    assert [e.step for e in rest if isinstance(e, StepDone)] == [5, 6]
    files = [tmp_path / name / "first-tuned.safetensors" for name in ("whole", "halves")]
    states = [read_checkpoint(file).state for file in files]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert read_card(files[0]).measured == read_card(files[1]).measured
    assert rest[-1].before == json.loads((tmp_path / "whole/finetune.json").read_text())["before"]


def test_a_training_state_goes_on_with_its_step_and_optimiser(model, pairs, tmp_path):
    tune(plan(model, pairs), tmp_path / "first")
    state = tmp_path / "first" / "state.pt"
    with pytest.raises(UsageError, match=r"is at step 6 and the recipe ends at 6; .*steps=12"):
        plan_tuning(state, None, data=None, overrides={})
    overrides = {"steps": 9, "optim.lr": 3.3e-5, "optim.weight_decay": 0.25}
    planned = plan_tuning(state, None, data=pairs, overrides=overrides)
    events = tune(planned, tmp_path / "second")
    assert [e.step for e in events if isinstance(e, StepDone)] == [7, 8, 9]
    assert next(e for e in events if isinstance(e, Validated)).step == 6
    later = torch.load(tmp_path / "second" / "state.pt", weights_only=True)
    optimizer = later["optimizers"]["net"]
    assert optimizer["state"][0]["step"] == 9
    assert optimizer["param_groups"][0]["weight_decay"] == 0.25
    card = read_card(tmp_path / "second" / "first-tuned-tuned.safetensors")
    assert card.source.startswith("continued from first-tuned (sha256 ")
    assert card.source.endswith("at step 6")
    assert min(card.training.curve) == 6


def test_a_run_whose_epochs_are_over_needs_more_to_go_on(model, pairs, tmp_path):
    tune(plan(model, pairs, epochs=1), tmp_path / "first")
    state = tmp_path / "first" / "state.pt"
    planned = plan_tuning(state, None, data=pairs, overrides={})
    with pytest.raises(UsageError, match=r"at its last step, \d+; .*--set epochs=N"):
        tune(planned, tmp_path / "second")
    assert not (tmp_path / "second" / "state.pt").exists()
    further = plan_tuning(state, None, data=pairs, overrides={"epochs": 2})
    assert any(isinstance(event, StepDone) for event in tune(further, tmp_path / "third"))


def test_a_training_state_does_not_go_on_in_another_net(model, pairs, tmp_path):
    tune(plan(model, pairs), tmp_path / "first")
    with pytest.raises(TrainingError, match="take the weights without the optimiser"):
        plan(tmp_path / "first" / "state.pt", None, **{"net.config.blocks": 2, "steps": 9})


def test_nothing_stays_of_a_tuning_that_cannot_begin(model, pairs, tmp_path):
    PillowImage.new("RGB", (9, 9)).save(pairs / "input" / "2.png")
    with pytest.raises(DataError, match="2 "):
        tune(plan(model, pairs), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_second_tuning_does_not_overwrite_the_first(model, pairs, tmp_path):
    events = tune(plan(model, pairs), tmp_path / "run")
    assert isinstance(events[-2], Finished)
    assert any(isinstance(e, Saved) for e in events)
    with pytest.raises(TrainingError, match="holds a run already"):
        tune(plan(model, pairs), tmp_path / "run")


def test_two_processes_tune_together_and_overwrite_nothing(model, pairs, tmp_path):
    tune(plan(model, pairs), tmp_path / "first")
    command = ["finetune", "--from", tmp_path / "first" / "state.pt", "--data", pairs]
    options = ["-o", tmp_path / "both", "--set", "steps=8", "--device", "cpu"]
    for process in start_two(command + options, tmp_path / "said"):
        process.join()
        assert process.exitcode == 0, (tmp_path / "said.0").read_text()
    state = (tmp_path / "both" / "state.pt").read_bytes()
    first, second = start_two(command + options, tmp_path / "again")
    first.join()
    kill(second)
    assert "holds a run already" in (tmp_path / "again.0").read_text()
    assert (tmp_path / "both" / "state.pt").read_bytes() == state


def test_resuming_what_is_no_tuning_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="holds no fine-tuning to resume"):
        list(api.resumed_tuning(tmp_path))


def test_the_api_returns_the_checkpoint(model, pairs, tmp_path):
    path = api.finetune(model, data=pairs, output=tmp_path / "run", device="cpu", **SHORT)
    assert path == tmp_path / "run" / "first-tuned.safetensors"
    assert path.is_file()
