"""Runs of two processes, started by torchrun as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from restorekit.errors import UsageError
from restorekit.events import StepDone
from restorekit.training.config import parse_recipe
from restorekit.training.distributed import Group
from restorekit.training.loop import STATE, open_run, run_training
from restorekit.training.state import read_state

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(content, folder, *options):
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(content))
    command = ["-m", "restorekit", "train", str(path), "-o", str(folder), "--device", "cpu"]
    return subprocess.Popen(
        [*TORCHRUN, *command, "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(process, seconds=300):
    output, errors = process.communicate(timeout=seconds)
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], errors


def losses(events):
    return [event["losses"]["l1"] for event in events if event["event"] == "StepDone"]


def descendants(pid):
    """The processes that a process started, and those that they started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    started = [int(child) for child in path.read_text().split()] if path.exists() else []
    return started + [further for child in started for further in descendants(child)]


def kill_all(process):
    for pid in [process.pid, *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)


def wait_for(path, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def same_weights(first, second):
    a, b = (read_state(folder / STATE) for folder in (first, second))
    assert a["step"] == b["step"]
    return all(
        torch.equal(a[part][key], b[part][key]) for part in ("net", "average") for key in a[part]
    )


@pytest.fixture
def shared(content):
    """A recipe whose batch two processes share."""
    content["data"] |= {"batch": 4}
    return content | {"steps": 40, "save_every": 1, "validate_every": 20}


@pytest.mark.slow
def test_two_processes_learn_as_one_and_survive_a_kill(shared, tmp_path):
    events, errors = finish(start(shared, tmp_path / "whole"))
    assert [e["event"] for e in events].count("Started") == 1, errors
    recipe = parse_recipe(shared, "tiny")
    alone = run_training(recipe, tmp_path / "alone", resume=False, device=torch.device("cpu"))
    expected = [event.losses["l1"] for event in alone if isinstance(event, StepDone)]
    assert losses(events) == pytest.approx(expected, rel=1e-4)

    killed = start(shared, tmp_path / "killed")
    wait_for(tmp_path / "killed" / STATE, killed)
    kill_all(killed)
    assert 1 <= read_state(tmp_path / "killed" / STATE)["step"] < 40
    events, errors = finish(start(shared, tmp_path / "killed", "--resume"))
    assert events[-1]["event"] == "Finished", errors
    assert same_weights(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_one_process_that_is_told_to_stop_stops_both_at_one_step(shared, tmp_path):
    stopped = start(shared | {"steps": 400}, tmp_path / "stopped")
    wait_for(tmp_path / "stopped" / STATE, stopped)
    workers = descendants(stopped.pid)
    os.kill(workers[-1], signal.SIGTERM)
    _, errors = finish(stopped)
    reached = read_state(tmp_path / "stopped" / STATE)["step"]
    assert 1 <= reached < 400, errors
    assert "interrupted; what was finished is kept" in errors


def test_a_batch_that_two_processes_cannot_share_is_refused(content):
    recipe = parse_recipe(content | {"data": content["data"] | {"batch": 3}}, "tiny")
    with pytest.raises(UsageError, match="batch of 3 cannot be divided evenly into 2 parts"):
        open_run(recipe, torch.device("cpu"), Group(0, 2))


def test_alone_there_is_nothing_to_average():
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    Group().average_gradients([parameter])
    assert parameter.grad.tolist() == [1, 1]
    assert Group().any(True)
    assert not Group().any(False)
