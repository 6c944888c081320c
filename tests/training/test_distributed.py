"""Runs of two processes: one started by torchrun as a user would, the others as torchrun does."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from restorekit.errors import UsageError
from restorekit.events import StepDone
from restorekit.training.config import parse_recipe
from restorekit.training.distributed import Group
from restorekit.training.loop import open_run, run_training
from restorekit.training.state import STATE, read_state
from tests.training.processes import kill, same_weights, start_two, wait_for

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def shared(content):
    """A recipe whose batch two processes share."""
    content["data"] |= {"batch": 4}
    return content | {"steps": 12, "save_every": 1, "validate_every": 12}


def command(content, folder, *options):
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(content))
    return ["train", path, "-o", folder, "--device", "cpu", "--json", *options]


def torchrun(*arguments):
    done = subprocess.run(
        [*TORCHRUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def through_torchrun(arguments):
    done = torchrun("-m", "restorekit", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_two_processes_learn_as_one_and_survive_a_kill(shared, tmp_path):
    events = through_torchrun(command(shared, tmp_path / "whole"))
    assert [e["event"] for e in events].count("Started") == 1
    recipe = parse_recipe(shared, "tiny")
    alone = run_training(recipe, tmp_path / "alone", resume=False, device=torch.device("cpu"))
    expected = [event.losses for event in alone if isinstance(event, StepDone)]
    losses = [event["losses"] for event in events if event["event"] == "StepDone"]
    assert len(losses) == 12
    for loss, other in zip(losses, expected, strict=True):
        assert loss == pytest.approx(other, rel=1e-4)

    killed = tmp_path / "killed"
    processes = start_two(command(shared, killed), tmp_path / "first")
    wait_for(killed / STATE, processes[0])
    for process in processes:
        kill(process)
    assert 1 <= read_state(killed / STATE)["step"] < 12
    for process in start_two(command(shared, killed, "--resume"), tmp_path / "second"):
        process.join()
        assert process.exitcode == 0, (tmp_path / "second.0").read_text()
    assert same_weights(tmp_path / "whole", killed)


def test_one_process_that_is_told_to_stop_stops_both_at_one_step(shared, tmp_path):
    stopped = tmp_path / "stopped"
    processes = start_two(command(shared | {"steps": 400}, stopped), tmp_path / "said")
    wait_for(stopped / STATE, processes[0])
    os.kill(processes[1].pid, signal.SIGTERM)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 130]
    assert 1 <= read_state(stopped / STATE)["step"] < 400
    assert "interrupted; what was finished is kept" in (tmp_path / "said.1").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed by /proc")
def test_the_threads_of_a_group_end_with_it(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys, torch\n"
        "from restorekit.training.distributed import joined\n"
        "with joined(torch.device('cpu')) as group:\n"
        "    weights = torch.nn.Parameter(torch.ones(3))\n"
        "    torch.optim.Adam([weights])\n"
        "    group.average(weights.detach().clone())\n"
        "    sys.stdout.write(f'open {len(os.listdir(\"/proc/self/task\"))}\\n')\n"
        "sys.stdout.write(f'closed {len(os.listdir(\"/proc/self/task\"))}\\n')\n"
    )
    done = torchrun(script)
    counts = sorted(line.split() for line in done.stdout.splitlines())
    assert [word for word, _ in counts] == ["closed", "closed", "open", "open"]
    assert [count for _, count in counts[:2]] == ["1", "1"]
    assert all(int(count) > 1 for _, count in counts[2:])


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
