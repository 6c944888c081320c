"""Processes that train, forked by a server that has torch loaded: each begins at once."""

import os
import socket
import time
from multiprocessing import get_context

import torch

from restorekit.training.state import STATE

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["restorekit.api", "torch.utils.tensorboard", "tests.training.processes"]
)


def start(arguments, output, **environment):
    """Run the command in a process of its own; `output` receives what it writes."""
    process = _CONTEXT.Process(target=_run, args=([*map(str, arguments)], output, environment))
    process.start()
    return process


def start_two(arguments, output):
    """Run the command in two processes with the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        start(arguments, output.with_suffix(f".{rank}"), RANK=rank, LOCAL_RANK=rank, **shared)
        for rank in ("0", "1")
    ]


def wait_for(path, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(process):
    process.kill()
    process.join()


def same_weights(first, second):
    """Whether two runs are at one step, with the same weights and averages."""
    a, b = (torch.load(folder / STATE, weights_only=True) for folder in (first, second))
    assert a["step"] == b["step"]
    return all(
        torch.equal(a[part][key], b[part][key]) for part in ("net", "average") for key in a[part]
    )


def _run(arguments, output, environment):
    from restorekit.cli.app import app

    # torchrun's own choice where several processes share a machine.
    if environment:
        torch.set_num_threads(1)
    os.environ.update(environment)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    app(arguments)
