import hashlib
import json
import math
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from restorekit.backends.checkpoint import read_checkpoint
from restorekit.backends.model import load_model
from restorekit.data.crops import PictureCache
from restorekit.errors import DataError, PictureError, TrainingError, UsageError
from restorekit.events import Event, Finished, Saved, Started, StepDone, Validated, Warned
from restorekit.training import loop
from restorekit.training.config import parse_recipe
from restorekit.training.loop import run_training
from restorekit.training.runs import read_run
from restorekit.training.sinks import LOG, logged
from restorekit.training.sources import open_source
from restorekit.training.state import STATE, read_state
from tests.training.processes import start

CPU = torch.device("cpu")


def training(recipe, folder, resume=False):
    events = run_training(recipe, folder, resume=resume, device=CPU)
    return logged(events, folder, list(recipe.losses))


def run(recipe, folder, resume=False):
    return list(training(recipe, folder, resume))


def stop_after(recipe, folder, step, resume=False):
    events = training(recipe, folder, resume)
    for event in events:
        if isinstance(event, StepDone) and event.step == step:
            events.close()


def digest(folder):
    """Hash of everything in a state that has to be the same; time is not."""
    state = torch.load(folder / STATE, weights_only=True)
    del state["seconds"]
    sha = hashlib.sha256()

    def feed(value):
        if isinstance(value, dict):
            for key in value:
                feed(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                feed(item)
        elif isinstance(value, torch.Tensor):
            sha.update(value.numpy().tobytes())
        else:
            sha.update(repr(value).encode())

    feed(state)
    return sha.hexdigest()


def test_a_run_reports_and_writes_what_it_should(recipe, tmp_path):
    events = run(recipe, tmp_path)
    assert isinstance(events[0], Started)
    assert events[0].total == 20
    assert [e.step for e in events if isinstance(e, StepDone)] == [*range(1, 21)]
    assert [e.step for e in events if isinstance(e, Validated)] == [10, 20]
    assert isinstance(events[-1], Finished)
    card = read_checkpoint(tmp_path / "tiny.safetensors").card
    assert card.training.recipe_sha256 == recipe.sha256
    assert card.task == "denoise"
    assert json.loads((tmp_path / "recipe.json").read_text())["steps"] == 20


def test_a_run_stopped_between_steps_has_told_all_of_them(recipe, tmp_path):
    run(recipe, tmp_path / "whole")
    for stop in (10, 20):  # both are validated
        events, done = training(recipe, tmp_path / "parts", resume=stop > 10), 0
        for event in events:
            done = event.step if isinstance(event, StepDone) else done
            if done == stop and type(event) is Event:
                events.close()
    whole, parts = (read_run(tmp_path / name) for name in ("whole", "parts"))
    assert parts.validations == whole.validations
    assert [row["l1"] for row in parts.steps] == [row["l1"] for row in whole.steps]
    assert parts.is_finished


def test_a_picture_that_breaks_on_the_way_costs_no_finished_step(content, tmp_path, monkeypatch):
    monkeypatch.setattr(PictureCache, "has_room", False)
    recipe = parse_recipe(content, "tiny")
    events = training(recipe, tmp_path / "run")
    next(event for event in events if isinstance(event, StepDone) and event.step == 3)
    for picture in open_source(recipe.data).train_pictures:
        picture.write_bytes(picture.read_bytes()[:-40])
    with pytest.raises(PictureError):
        list(events)
    assert read_state(tmp_path / "run" / STATE)["step"] == 3


def test_training_learns(content, tmp_path):
    content |= {"steps": 120, "validate_every": 60, "optim": {"warmup": 4, "lr": 3e-3}}
    values = [
        e.values["psnr"]
        for e in run(parse_recipe(content, "tiny"), tmp_path)
        if isinstance(e, Validated)
    ]
    assert values[-1] > values[0] + 0.05


@pytest.mark.parametrize(
    ("chosen", "curve"),
    [("best", {0: 15.0, 10: 30.12}), ("last", {0: 15.0, 10: 30.12, 20: 20.0})],
)
def test_the_checkpoint_holds_the_best_weights_or_the_last(
    content, tmp_path, monkeypatch, chosen, curve
):
    values = iter([15.0, 30.123, 20.0])

    def hold(_run, folder):
        return {"psnr": next(values), "ssim": 0.5}, Saved(folder / "strip.png")

    monkeypatch.setattr(loop, "_hold", hold)
    content |= {"chosen": chosen, "validate_start": True, "steps": 20}
    run(parse_recipe(content, "tiny"), tmp_path)
    card = read_checkpoint(tmp_path / "tiny.safetensors").card
    assert card.training.curve == curve
    assert card.training.steps == max(curve)
    assert read_state(tmp_path / STATE)["best"] == 30.123


def test_a_validation_without_a_number_is_left_out_of_the_curve(content, tmp_path, monkeypatch):
    values = iter([math.nan, 20.0])

    def hold(_run, folder):
        return {"psnr": next(values)}, Saved(folder / "strip.png")

    monkeypatch.setattr(loop, "_hold", hold)
    run(parse_recipe(content, "tiny"), tmp_path)
    assert read_checkpoint(tmp_path / "tiny.safetensors").card.training.curve == {20: 20.0}


def test_a_run_starts_from_the_weights_of_another(content, tmp_path):
    run(parse_recipe(content, "tiny"), tmp_path / "first")
    start = str(tmp_path / "first" / "tiny.safetensors")
    content |= {"net": content["net"] | {"start": start}, "seed": 9, "steps": 1}
    content |= {"optim": {"lr": 1e-12, "final_lr": 0, "warmup": 0}, "ema": 0.0}
    run(parse_recipe(content, "tiny"), tmp_path / "second")
    states = [read_checkpoint(tmp_path / n / "tiny.safetensors").state for n in ("first", "second")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_start_of_another_shape_is_refused(content, tmp_path):
    run(parse_recipe(content, "tiny"), tmp_path / "first")
    start = str(tmp_path / "first" / "tiny.safetensors")
    wider = content["net"]["config"] | {"blocks": 2}
    content |= {"net": {"backend": "drunet", "config": wider, "start": start}}
    with pytest.raises(TrainingError, match=r"cannot start from it \(\d+ tensors differ: "):
        run(parse_recipe(content, "tiny"), tmp_path / "second")


def test_a_wider_net_starts_as_the_narrower_one_where_the_recipe_says_so(content, tmp_path):
    run(parse_recipe(content, "tiny"), tmp_path / "first")
    start = str(tmp_path / "first" / "tiny.safetensors")
    wider = content["net"]["config"] | {"widths": [8, 8, 16, 16]}
    net = {"backend": "drunet", "config": wider, "start": start, "widen": True}
    widened = loop.open_run(parse_recipe(content | {"net": net}, "tiny"), CPU).objective.net
    picture = torch.rand(1, 3, 16, 16)
    assert torch.allclose(widened(picture), load_model(start).net(picture), atol=1e-5)


def test_the_stage_that_a_run_starts_from_is_named_where_it_is_missing(content, tmp_path):
    start = tmp_path / "runs" / "denoise-s-first" / "denoise-s-first.safetensors"
    content |= {"net": content["net"] | {"start": str(start)}}
    with pytest.raises(TrainingError, match=f"train denoise-s-first -o {start.parent}"):
        run(parse_recipe(content, "tiny"), tmp_path / "second")


def test_a_resumed_run_does_not_need_what_it_started_from(content, tmp_path):
    run(parse_recipe(content, "tiny"), tmp_path / "first")
    start = tmp_path / "first" / "tiny.safetensors"
    content |= {"net": content["net"] | {"start": str(start)}}
    recipe = parse_recipe(content, "tiny")
    stop_after(recipe, tmp_path / "second", 10)
    run(recipe, tmp_path / "whole")
    start.unlink()
    run(recipe, tmp_path / "second", resume=True)
    assert digest(tmp_path / "whole") == digest(tmp_path / "second")


def test_a_folder_that_cannot_be_made_is_an_error(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: cannot be the folder of a run"):
        run(recipe, tmp_path / "file")


def test_resume_continues_bit_for_bit(recipe, tmp_path):
    run(recipe, tmp_path / "whole")
    stop_after(recipe, tmp_path / "halves", 10)
    run(recipe, tmp_path / "halves", resume=True)
    assert digest(tmp_path / "whole") == digest(tmp_path / "halves")
    whole, halves = (
        read_checkpoint(tmp_path / name / "tiny.safetensors").state for name in ("whole", "halves")
    )
    assert all(torch.equal(whole[key], halves[key]) for key in whole)


def test_resume_with_workers_continues_bit_for_bit(content, tmp_path):
    content["data"] |= {"workers": 1}
    recipe = parse_recipe(content, "tiny")
    run(recipe, tmp_path / "whole")
    stop_after(recipe, tmp_path / "halves", 7)
    run(recipe, tmp_path / "halves", resume=True)
    assert digest(tmp_path / "whole") == digest(tmp_path / "halves")


def test_the_log_has_every_step_once_after_a_resume(recipe, tmp_path):
    stop_after(recipe, tmp_path, 13)
    run(recipe, tmp_path, resume=True)
    lines = (tmp_path / LOG).read_text().splitlines()
    assert lines[0] == "step,lr,seconds,l1,fft,psnr,degraded_psnr,ssim,degraded_ssim"
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert steps == [*range(1, 11), 10, *range(11, 21), 20]


def wait_for_step(folder, step, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        log = folder / LOG
        if log.exists() and log.read_text().count("\n") > step:
            return
        time.sleep(0.05)
    raise AssertionError(f"no step {step} within {seconds} s")


@pytest.fixture
def long_recipe(content, tmp_path):
    """A recipe in a file, long enough to be killed on the way."""
    path = tmp_path / "long.toml"
    data = "\n".join(f"{k} = {json.dumps(v)}" for k, v in content["data"].items())
    path.write_text(
        'name = "tiny"\ntask = "denoise"\nsteps = 400\nvalidate_every = 50\nsave_every = 5\n'
        f'[net]\nbackend = "drunet"\nconfig = {{ widths = [4, 4, 4, 4], blocks = 1, '
        f"residual = true, in_channels = 3 }}\n[data]\n{data}\n"
    )
    return path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_process_resumes_bit_for_bit(long_recipe, tmp_path, number):
    from restorekit.training.config import load_recipe

    command = ["train", long_recipe, "-o", tmp_path / "killed", "--device", "cpu"]
    process = start(command, tmp_path / "said")
    wait_for_step(tmp_path / "killed", 12)
    os.kill(process.pid, number)
    process.join(60)
    message = (tmp_path / "said").read_text()
    if number == signal.SIGKILL:
        assert process.exitcode == -signal.SIGKILL
    else:
        assert process.exitcode == 130, message
        assert "Traceback" not in message
    recipe = load_recipe(long_recipe, {})
    reached = torch.load(tmp_path / "killed" / STATE, weights_only=True)["step"]
    assert 5 <= reached < 400
    stop_after(recipe, tmp_path / "killed", reached + 5, resume=True)
    stop_after(recipe, tmp_path / "whole", reached + 5)
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def test_a_second_run_does_not_overwrite_the_first(recipe, tmp_path):
    stop_after(recipe, tmp_path, 1)
    with pytest.raises(TrainingError, match="holds a run already; go on with --resume"):
        run(recipe, tmp_path)


def test_a_resumed_run_counts_its_own_part_alone(recipe, tmp_path):
    run(recipe, tmp_path)
    assert run(recipe, tmp_path, resume=True)[-1] == Finished(0, 0, 0, 0.0)


def test_resuming_nothing_is_an_error(recipe, tmp_path):
    with pytest.raises(TrainingError, match="no saved state to resume"):
        run(recipe, tmp_path, resume=True)


def test_resuming_with_another_recipe_lists_what_differs(recipe, content, tmp_path):
    stop_after(recipe, tmp_path, 1)
    other = parse_recipe(content | {"optim": {"warmup": 9}}, "tiny")
    with pytest.raises(TrainingError, match=r"optim\.warmup: 4 -> 9.*finetune --from .*state\.pt"):
        run(other, tmp_path, resume=True)


@pytest.mark.parametrize("content_of_state", [b"", b"not a state", None])
def test_a_damaged_state_is_named(recipe, tmp_path, content_of_state):
    if content_of_state is None:
        torch.save({"format": "restorekit training state 0"}, tmp_path / STATE)
    else:
        (tmp_path / STATE).write_bytes(content_of_state)
    with pytest.raises(TrainingError, match=r"state\.pt"):
        run(recipe, tmp_path, resume=True)


def test_steps_that_are_not_finite_are_skipped_then_stop_the_run(content, tmp_path):
    content |= {"bad_steps": 3, "optim": {"lr": 1e30, "warmup": 0, "clip": 1e30}}
    events = training(parse_recipe(content, "tiny"), tmp_path)
    seen = []
    with pytest.raises(TrainingError, match=r"lower optim\.lr"):
        seen.extend(events)
    assert sum(isinstance(e, Warned) for e in seen) == 3


def test_problems_with_the_pictures_come_before_the_first_step(content, tmp_path):
    content["data"] |= {"patch": 64}
    with pytest.raises(DataError, match="smaller than the 64-pixel patch"):
        run(parse_recipe(content, "tiny"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bfloat16_trains_close_to_float32(content, tmp_path):
    values = []
    for precision in ("float32", "bfloat16"):
        recipe = parse_recipe(content | {"precision": precision}, "tiny")
        events = run(recipe, tmp_path / precision)
        values.append([e.losses["l1"] for e in events if isinstance(e, StepDone)])
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], rel=0.05)


def test_deep_supervision_trains_every_scale_of_a_net(content, tmp_path):
    content |= {
        "net": {"backend": "sfnet", "config": {"base": 16, "num_res": 1}},
        "steps": 2,
        "validate_every": 2,
    }
    events = run(parse_recipe(content, "tiny"), tmp_path)
    assert [e.step for e in events if isinstance(e, Validated)] == [2]
    assert any(isinstance(e, Saved) for e in events)


def test_no_temporary_files_stay(recipe, tmp_path):
    run(recipe, tmp_path)
    names = {path.name for path in Path(tmp_path).iterdir() if path.is_file()}
    assert names == {"state.pt", "recipe.json", "log.csv", "log.jsonl", "tiny.safetensors"}
    assert os.access(tmp_path / "state.pt", os.R_OK)


def test_a_batch_in_parts_gives_the_step_of_the_whole(content, tmp_path):
    content["data"] |= {"batch": 4}
    seen = []
    for parts in (1, 2):
        recipe = parse_recipe(content | {"speed": {"accumulate": parts}}, "tiny")
        events = run(recipe, tmp_path / str(parts))
        seen.append([e.losses["l1"] for e in events if isinstance(e, StepDone)])
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)


def test_epochs_are_as_many_steps_as_the_pictures_need(content, tmp_path):
    del content["steps"]
    recipe = parse_recipe(content | {"epochs": 3, "optim": {"warmup": 1}}, "tiny")
    steps = [e for e in run(recipe, tmp_path) if isinstance(e, StepDone)]
    assert [e.step for e in steps] == [1, 2, 3, 4, 5, 6]
    assert [e.samples for e in steps] == [2] * 6
    assert len({e.lr for e in steps}) == 2
    assert read_state(tmp_path / STATE)["step"] == 6


def test_frozen_parameters_stay_as_they_were(content, tmp_path):
    content |= {"net": content["net"] | {"freeze": ["m_head*", "m_tail*"]}}
    recipe = parse_recipe(content, "tiny")
    torch.manual_seed(recipe.seed)
    before = loop.open_run(recipe, CPU).objective.net.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    run(recipe, tmp_path)
    after = read_state(tmp_path / STATE)["net"]
    same = {key for key in before if torch.equal(before[key], after[key])}
    assert same - {"residual"} == {key for key in before if key.startswith(("m_head", "m_tail"))}


def test_a_net_for_other_channels_is_refused_before_the_first_step(content, tmp_path):
    config = content["net"]["config"] | {"in_channels": 1}
    recipe = parse_recipe(content | {"net": {"backend": "drunet", "config": config}}, "tiny")
    with pytest.raises(UsageError, match="takes 1 channels and the pictures have 3"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
