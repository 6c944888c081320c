import json
import resource
from contextlib import contextmanager

import pytest
import torch

from restorekit.errors import TrainingError, UsageError
from restorekit.events import Saved, StepDone
from restorekit.training import loop
from restorekit.training.config import load_recipe, parse_recipe
from restorekit.training.loop import BAD_BATCH, run_training
from restorekit.training.state import STATE, kept_states, read_state

CPU = torch.device("cpu")


def run(recipe, folder, resume=False):
    return list(run_training(recipe, folder, resume=resume, device=CPU))


def test_the_last_states_are_kept(content, tmp_path):
    run(parse_recipe(content | {"keep": 3}, "tiny"), tmp_path)
    kept = kept_states(tmp_path / STATE)
    assert [path.name for path in kept] == [f"state-{step:07d}.pt" for step in (20, 15, 10)]
    assert [read_state(path)["step"] for path in kept] == [20, 15, 10]
    assert (tmp_path / STATE).samefile(kept[0])


def test_an_older_state_goes_on_to_the_same_end(content, tmp_path):
    recipe = parse_recipe(content | {"keep": 3}, "tiny")
    run(recipe, tmp_path)
    before = read_state(tmp_path / STATE)
    (tmp_path / STATE).unlink()
    (tmp_path / "state-0000010.pt").rename(tmp_path / STATE)
    run(recipe, tmp_path, resume=True)
    after = read_state(tmp_path / STATE)
    assert all(torch.equal(before["net"][key], after["net"][key]) for key in before["net"])


def test_a_damaged_state_names_the_older_ones(content, tmp_path):
    recipe = parse_recipe(content | {"keep": 2}, "tiny")
    run(recipe, tmp_path)
    (tmp_path / STATE).unlink()
    (tmp_path / STATE).write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"copy an older one over it: state-0000020\.pt"):
        run(recipe, tmp_path, resume=True)


def test_a_state_written_before_there_was_a_scaler_can_be_resumed(recipe, tmp_path):
    events = run_training(recipe, tmp_path, resume=False, device=CPU)
    for event in events:
        if isinstance(event, Saved) and event.path.name == STATE:
            events.close()
    content = read_state(tmp_path / STATE)
    for key in ("scaler", "others", "before", "curve"):
        del content[key]
    said = json.loads(content["recipe"])
    for key in ("epochs", "scales", "features", "speed", "keep", "validate_start"):
        del said[key]
    content["recipe"] = json.dumps(said)
    for group in content["optimizers"]["net"]["param_groups"]:
        del group["scale"]
    torch.save(content, tmp_path / STATE)
    run(recipe, tmp_path, resume=True)
    resumed = read_state(tmp_path / STATE)
    run(recipe, tmp_path / "whole")
    whole = read_state(tmp_path / "whole" / STATE)
    assert all(torch.equal(whole["net"][key], resumed["net"][key]) for key in whole["net"])


def test_the_validation_before_the_first_step_survives(content, tmp_path):
    recipe = parse_recipe(content | {"validate_start": True, "steps": 6}, "tiny")
    events = run_training(recipe, tmp_path, resume=False, device=CPU)
    for event in events:
        if isinstance(event, StepDone) and event.step == 3:
            events.close()
    before = read_state(tmp_path / STATE)["before"]
    assert before["degraded_psnr"] > 0
    run(recipe, tmp_path, resume=True)
    assert read_state(tmp_path / STATE)["before"] == before
    assert (tmp_path / "validation" / "0000000.png").is_file()


def test_float16_scales_its_losses_and_resumes_bit_for_bit(content, tmp_path):
    recipe = parse_recipe(content | {"precision": "float16"}, "tiny")
    run(recipe, tmp_path / "whole")
    events = run_training(recipe, tmp_path / "halves", resume=False, device=CPU)
    for event in events:
        if isinstance(event, StepDone) and event.step == 9:
            events.close()
    run(recipe, tmp_path / "halves", resume=True)
    a, b = (read_state(tmp_path / name / STATE) for name in ("whole", "halves"))
    assert a["scaler"]["scale"] >= 1
    assert a["scaler"] == b["scaler"]
    assert all(torch.equal(a["net"][key], b["net"][key]) for key in a["net"])


def test_the_batch_that_ends_a_run_is_saved(content, tmp_path):
    content |= {"bad_steps": 1, "optim": {"lr": 1e30, "warmup": 0, "clip": 1e30}}
    with pytest.raises(TrainingError, match=r"bad-batch\.pt"):
        run(parse_recipe(content, "tiny"), tmp_path)
    batch = torch.load(tmp_path / BAD_BATCH, weights_only=True)
    assert batch["degraded"].shape == batch["reference"].shape == (2, 3, 16, 16)
    assert batch["step"] == read_state(tmp_path / STATE)["step"]


def test_what_is_damaged_or_foreign_is_said_in_words_of_our_own(recipe, tmp_path):
    run(recipe, tmp_path)
    (tmp_path / STATE).write_bytes((tmp_path / "tiny.safetensors").read_bytes())
    with pytest.raises(TrainingError) as error:
        run(recipe, tmp_path, resume=True)
    assert str(error.value) == f"{tmp_path / STATE}: is damaged, or is no training state"


def test_a_state_of_a_later_version_is_an_error(recipe, tmp_path):
    run(recipe, tmp_path)
    content = read_state(tmp_path / STATE)
    later = json.dumps(json.loads(content["recipe"]) | {"warp": 9})
    torch.save({**content, "recipe": later}, tmp_path / STATE)
    with pytest.raises(UsageError, match=r"state\.pt, its recipe: unknown key 'warp'"):
        run(recipe, tmp_path, resume=True)
    other = {f"other.{key}": value for key, value in content["net"].items()}
    torch.save({**content, "net": other}, tmp_path / STATE)
    with pytest.raises(TrainingError, match="go on with the restorekit that wrote it"):
        run(recipe, tmp_path, resume=True)


def test_too_little_space_is_said_before_the_first_step(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "free_bytes", lambda folder: 1000)
    with pytest.raises(TrainingError, match="0 MB are free"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@contextmanager
def largest_file(size):
    """Let the kernel refuse to write longer files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_writer_without_space_leaves_the_state_before(recipe, tmp_path):
    events = run_training(recipe, tmp_path, resume=False, device=CPU)
    while next(events) != Saved(tmp_path / STATE) or read_state(tmp_path / STATE)["step"] < 10:
        pass
    said = "the state of step 15 cannot be written.*the one before it is whole"
    half = (tmp_path / STATE).stat().st_size // 2
    with largest_file(half), pytest.raises(TrainingError, match=said):
        list(events)
    assert read_state(tmp_path / STATE)["step"] == 10
    assert not list(tmp_path.glob(".*.part*"))
    run(recipe, tmp_path, resume=True)
    assert read_state(tmp_path / STATE)["step"] == 20


def test_the_resolved_recipe_of_a_run_is_a_recipe(recipe, tmp_path):
    run(recipe, tmp_path)
    assert load_recipe(tmp_path / "recipe.json", {}) == recipe
