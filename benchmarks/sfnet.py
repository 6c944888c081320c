"""Time and peak memory of SFNet against a literal transcription of its formulas.

    python benchmarks/sfnet.py [--size WIDTHxHEIGHT]... [--window N] [--num-res N] [--threads N]

Each side runs in a process of its own, with the same weights and the same picture. "literal" is
`literal_sfnet.py`; "net" is `restorekit.nets.sfnet` in the usual layout of tensors, "channels last"
the same net in the layout in which restorekit runs models; "floor" runs nothing but the
convolutions of that net, each on a map of its size, and is as fast as any transcription can become.
Prints the fastest run, in seconds and in seconds of CPU (all that counts while other work runs on
the machine), the peak resident memory of the whole process, and the largest difference from the
literal outputs of 1/4, 1/2 and full size, relative to the largest value.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDES = ("literal", "net", "channels last", "floor")
SMALL = 512 * 512


def main() -> None:
    options = parse_options()
    if options.side:
        print(json.dumps(run(options)))
        return
    means = f"means over {options.window}/256" if options.window else "global means"
    print(f"num_res {options.num_res}, {options.threads} threads, {means}")
    print("     size  side            seconds  faster  CPU s  faster  peak MiB  ratio  difference")
    for size in options.size or ["256x256", "1280x720"]:
        compare(size, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help="WIDTHxHEIGHT; may be repeated")
    parser.add_argument("--window", type=int, help="local means, in 256ths of the picture")
    parser.add_argument("--num-res", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="of pictures up to 512x512")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(size: str, options: argparse.Namespace) -> None:
    literal = None
    for side in SIDES:
        result = in_process(side, size, options)
        literal = literal or result
        differences = [
            np.abs(ours - theirs).max() / np.abs(theirs).max()
            for ours, theirs in zip(result["outputs"], literal["outputs"], strict=False)
        ]
        print(
            f"{size:>9}  {side:<14}{result['seconds']:>9.2f}"
            f"{literal['seconds'] / result['seconds']:>8.2f}{result['cpu']:>7.2f}"
            f"{literal['cpu'] / result['cpu']:>8.2f}{result['peak'] / 2**20:>10.0f}"
            f"{result['peak'] / literal['peak']:>7.3f}  "
            + " ".join(f"{difference:.0e}" for difference in differences),
            flush=True,
        )


def in_process(side: str, size: str, options: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "outputs.npz")
        flags = {
            "side": side,
            "size": size,
            "out": out,
            "num-res": options.num_res,
            "threads": options.threads,
            "repeats": options.repeats,
        }
        if options.window:
            flags["window"] = options.window
        command = [sys.executable, __file__, *(f"--{key}={flags[key]}" for key in flags)]
        # A thread that waits must not count as work.
        threads = {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, env={**os.environ, **threads}
        )
        outputs = np.load(out)
        return {**json.loads(done.stdout), "outputs": [outputs[name] for name in outputs.files]}


def run(options: argparse.Namespace) -> dict[str, float]:
    # The parent goes without torch: a process inherits the peak memory of the one it came from.
    import torch
    from literal_sfnet import literal_sfnet

    from restorekit.nets.sfnet import SFNet
    from restorekit.nets.tlc import LocalStatistics

    torch.set_num_threads(options.threads)
    width, height = map(int, options.size[0].split("x"))
    torch.manual_seed(0)
    net = SFNet(num_res=options.num_res).eval()
    with torch.inference_mode():
        for weight in net.parameters():
            if weight.ndim == 1:  # the scalings start at zero, where half of the net is silent
                weight += 0.1 * torch.randn_like(weight)
        x, state = torch.rand(1, 3, height, width), net.state_dict()
        if options.window:
            net.statistics = LocalStatistics(height, width, options.window)
        if options.side in ("channels last", "floor"):
            net.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        if options.side == "literal":
            forward = partial(literal_sfnet, state, x, options.window)
        elif options.side == "floor":
            forward = convolutions(net, x)
        else:
            forward = partial(net, x)
        seconds, cpu = [], []
        for _ in range(1 + options.repeats if width * height <= SMALL else 1):
            begun, worked = time.perf_counter(), time.process_time()
            outputs = forward()
            seconds.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - worked)
    np.savez(options.out, *(output.numpy() for output in outputs))
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": min(seconds), "cpu": min(cpu), "peak": peak}


def convolutions(net: "nn.Module", x: "Tensor") -> "Callable[[], list[Tensor]]":
    """Return what runs every convolution of a net on the maps it meets in one pass."""
    import torch

    met: list[tuple[nn.Module, torch.Size]] = []
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    layers = [layer for layer in net.modules() if isinstance(layer, kinds)]
    hooks = [
        layer.register_forward_hook(lambda layer, given, _: met.append((layer, given[0].shape)))
        for layer in layers
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    maps = {
        shape: torch.rand(shape).contiguous(memory_format=torch.channels_last) for _, shape in met
    }

    def forward() -> "list[Tensor]":
        for layer, shape in met:
            layer(maps[shape])
        return []

    return forward


if __name__ == "__main__":
    main()
