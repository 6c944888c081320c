"""Which net, and which losses, for the embedded checkpoints: quality after equal training time.

    python benchmarks/embedded_nets.py --photos DIR [--task NAME]... [--seconds N] [--save FILE]

Every candidate is trained from scratch, but for the one that says otherwise, by `restorekit train`
on the same photos, the same degradation and the same crops, for as many steps as the CPU seconds
hold by a short run before; a cosine takes the learning rate to its end within them. Seconds of CPU,
for another program on the machine must not decide. The figure is the PSNR on the held-out photos,
beside the CPU seconds per megapixel of the net. `nets.py` is about published nets.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from restorekit.backends.model import build_net
from restorekit.training.config import read_recipe

MEASURED = Path(__file__).with_name("embedded_nets.json")
TASKS = ("defocus-s-first", "derain-s")
"""The recipes whose data the candidates are compared on."""
CALIBRATION = 8, 32
"""Steps of two short runs; their difference tells what a step costs."""
SIDE = 512
L1, FFT = {"l1": 1.0, "mse": 10.0}, {"l1": 1.0, "mse": 10.0, "fft": 0.05}
U_NET = {"in_channels": 3, "out_channels": 3, "widths": [16, 48, 96, 160], "blocks": 2}
SMALL_NAFNET = {"width": 16, "encoder_blocks": [1, 1, 1, 2]}
RESIDUAL = {**U_NET, "residual": True, "bias": True}


@dataclass(frozen=True)
class Candidate:
    """A net with its losses, small enough for 2 s a megapixel."""

    name: str
    backend: str
    config: dict[str, Any]
    losses: dict[str, float] = field(default_factory=lambda: L1)
    start: str | None = None
    lr: float = 1e-3


CANDIDATES = (
    Candidate("residual U-Net", "drunet", RESIDUAL),
    Candidate("residual U-Net, FFT loss", "drunet", RESIDUAL, FFT),
    Candidate("residual U-Net from denoise-s", "drunet", RESIDUAL, start="denoise-s"),
    Candidate("small SFNet", "sfnet", {"base": 16, "num_res": 2}),
    Candidate("small SFNet, FFT loss", "sfnet", {"base": 16, "num_res": 2}, FFT),
    Candidate("small NAFNet", "nafnet", SMALL_NAFNET),
    Candidate("small NAFNet, FFT loss", "nafnet", SMALL_NAFNET, FFT),
)


@dataclass(frozen=True)
class Result:
    """What a candidate reached."""

    recipe: str
    candidate: str
    steps: int
    seconds: float
    """Of CPU, the start of the process and the validation included."""
    psnr: float
    degraded_psnr: float
    parameters: int
    restoring: float
    """CPU seconds for a megapixel."""


def main() -> None:
    options = parse_options()
    results: list[Result] = []
    for recipe in options.task or TASKS:
        for candidate in CANDIDATES:
            results.append(compare(recipe, candidate, options))
            draw(results[-1])
            if options.save:
                options.save.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--task", action="append", help="a training recipe; may be repeated")
    parser.add_argument(
        "--seconds", type=float, default=60, help="CPU seconds of training, for each"
    )
    parser.add_argument("--save", type=Path, help=f"such as {MEASURED.name}")
    return parser.parse_args()


def compare(recipe: str, candidate: Candidate, options: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        file = write_recipe(Path(folder), recipe, candidate)
        runs = (train(file, Path(folder, f"{n}"), n, options.photos) for n in CALIBRATION)
        costs = [seconds for _, seconds in runs]
        step = (costs[1] - costs[0]) / (CALIBRATION[1] - CALIBRATION[0])
        steps = max(round(options.seconds / step), 1)
        log, seconds = train(file, Path(folder, "whole"), steps, options.photos)
    values = next(event["values"] for event in reversed(log) if event["event"] == "Validated")
    net = build_net(candidate.backend, **candidate.config)
    return Result(
        recipe,
        candidate.name,
        steps,
        seconds,
        values["psnr"],
        values["degraded_psnr"],
        sum(p.numel() for p in net.parameters()),
        restoring_seconds(net),
    )


def write_recipe(folder: Path, recipe: str, candidate: Candidate) -> Path:
    """Put the candidate into the recipe, as the recipe.json of a run."""
    content, _ = read_recipe(recipe)
    content["net"] = {"backend": candidate.backend, "config": candidate.config}
    if candidate.start:
        content["net"]["start"] = candidate.start
    content["losses"] = candidate.losses
    content["optim"] = {"lr": candidate.lr, "warmup": 50}
    file = folder / "recipe.json"
    file.write_text(json.dumps(content))
    return file


def train(
    recipe: Path, folder: Path, steps: int, photos: Path
) -> tuple[list[dict[str, Any]], float]:
    """Train in a process of its own; returns its events and the CPU seconds that it took."""
    settings = {
        "steps": steps,
        "data.photos": photos,
        "validate_every": steps,
        "save_every": steps,
        "ema": 0.99,
    }
    command = [sys.executable, "-m", "restorekit", "train", str(recipe), "-o", str(folder)]
    command += ["--device", "cpu", "--json"]
    command += [f"--set={key}={value}" for key, value in settings.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = children_seconds()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()], children_seconds() - before


def children_seconds() -> float:
    """Return the CPU seconds of all processes started by this one that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def restoring_seconds(net: torch.nn.Module) -> float:
    """Time the net on a picture: seconds of one core for a megapixel, the fastest of three runs."""
    torch.set_num_threads(1)
    net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture = torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(3):
            begun = time.process_time()
            net(picture)
            seconds.append(time.process_time() - begun)
    return min(seconds) / SIDE**2 * 1e6


def draw(result: Result) -> None:
    print(
        f"{result.recipe:<10}{result.candidate:<32}{result.steps:>6} steps {result.seconds:>5.0f} s"
        f"  {result.degraded_psnr:.2f} -> {result.psnr:.2f} dB"
        f"  {result.parameters / 1e6:.2f} M  {result.restoring:.2f} CPU s/Mpx",
        flush=True,
    )


if __name__ == "__main__":
    main()
