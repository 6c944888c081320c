"""Time and peak memory of every net, and of the literal formulas where ours are other ones.

    python benchmarks/nets.py [--net NAME]... [--size WIDTHxHEIGHT] [--threads N] [--save FILE.json]

Each net has random weights and runs as restorekit runs models, each side in a process of its own
with the same weights and the same picture, enlarged to what the net takes. "literal" is the formula
of the paper, step by step (`literal_nets.py`, `literal_sfnet.py`); where our net is that formula
already, it is the net itself as torch runs it by default, with the channels of a pixel far apart.
Prints the fastest run, in seconds of CPU (all that counts while other work runs on the
machine) and for each megapixel; the peak resident memory of the process, and what of it the run
took, for each pixel; and the largest difference from the literal output, relative to its largest
value. `--save` adds the results to a file that `nets_page.py` makes the page of.
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
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from restorekit.backends.model import Model

MEASURED = Path(__file__).with_name("nets.json")


@dataclass(frozen=True)
class Row:
    """A net as published, under the name that papers give it."""

    name: str
    backend: str
    config: dict[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Other names of it in tables of published numbers."""
    literal: str = ""
    """The "module:function" of the formula, where the net computes the same by other steps."""
    windows: bool = False
    """Means are over windows of the size of the training crops."""


ROWS = (
    Row("PReNet", "prenet"),
    Row("SFNet", "sfnet", literal="literal_sfnet:literal_sfnet"),
    Row("FSNet", "fsnet", literal="literal_sfnet:literal_fsnet"),
    Row("ConvIR-S", "convir", {"num_res": 4}, literal="literal_sfnet:literal_convir"),
    Row("ConvIR-B", "convir", {"num_res": 8}, literal="literal_sfnet:literal_convir"),
    Row("ConvIR-L", "convir", {"num_res": 16}, literal="literal_sfnet:literal_convir"),
    Row("Restormer", "restormer", literal="literal_nets:literal_restormer"),
    Row("NAFNet-64", "nafnet", {"width": 64}, ("NAFNet",), "literal_nets:literal_nafnet"),
    Row("NAFNet-32, local", "nafnet", literal="literal_nets:literal_local_nafnet", windows=True),
    Row("MIMO-UNet", "mimo_unet", literal="literal_nets:literal_mimo_unet"),
    Row("MIMO-UNet+", "mimo_unet", {"num_res": 20}, literal="literal_nets:literal_mimo_unet"),
    Row("DeepDeblur", "deepdeblur", literal="literal_nets:literal_deepdeblur"),
    Row("DnCNN", "dncnn"),
    Row("FDnCNN", "fdncnn"),
    Row("IRCNN", "ircnn"),
    Row("IRCNN, 25 levels", "ircnn_set"),
    Row("FFDNet", "ffdnet"),
    Row("DRUNet", "drunet"),
    Row("guided U-Net", "guided"),
    Row("exposure U-Net", "exposure"),
    Row("practice CNN", "practice"),
    Row("RRDB", "rrdbnet", {}, ("ESRGAN, supervised",)),
    Row("SRVGGNet", "srvgg"),
    Row("SRCNN", "srcnn"),
    Row("VDSR", "vdsr"),
    Row("refinement of a median", "refinement"),
)


def main() -> None:
    options = parse_options()
    if options.side:
        print(json.dumps(run(options)))
        return
    unknown = {*options.net} - {row.name for row in ROWS}
    if unknown:
        raise SystemExit(f"no net {', '.join(unknown)}; there are {[row.name for row in ROWS]}")
    print(f"{options.threads} threads, float32, the fastest of {options.repeats + 1}")
    print(
        "net                          size  side       CPU s   /Mpx  peak MiB  B/pixel  difference"
    )
    for row in ROWS:
        if not options.net or row.name in options.net:
            results = compare(row, options)
            if options.save:
                save(options.save, results)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", action="append", default=[], help="a name; may be repeated")
    parser.add_argument("--size", default="256x256", help="WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--save", type=Path, help=f"such as {MEASURED.name}")
    parser.add_argument("--ours", action="store_true", help="leave the literal side out")
    parser.add_argument("--side", choices=("literal", "net"), help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(row: Row, options: argparse.Namespace) -> list[dict[str, Any]]:
    sides = ["net"] if options.ours else ["literal", "net"]
    results, literal = [], None
    for side in sides:
        result, picture = in_process(row, side, options)
        literal = picture if literal is None else literal
        result["difference"] = float(np.abs(picture - literal).max() / np.abs(literal).max())
        results.append(result)
        difference = f"{result['difference']:.0e}" if side != sides[0] else ""
        print(
            f"{row.name:<23}{result['size']:>10}  {side:<8}{result['cpu']:>8.2f}"
            f"{result['cpu'] / result['pixels'] * 1e6:>7.1f}{result['peak'] / 2**20:>10.0f}"
            f"{result['bytes'] / result['pixels']:>9.0f}  {difference}",
            flush=True,
        )
    return results


def in_process(row: Row, side: str, options: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "picture.npy")
        command = [sys.executable, __file__, f"--net={row.name}", f"--side={side}", f"--out={out}"]
        kept = ("size", "threads", "repeats")
        command += [f"--{key}={getattr(options, key)}" for key in kept]
        # A thread that waits must not count as work.
        threads = {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, env={**os.environ, **threads}
        )
        return json.loads(done.stdout), np.load(out)


def run(options: argparse.Namespace) -> dict[str, Any]:
    # The parent goes without torch: a process inherits the peak memory of the one it came from.
    import torch

    torch.set_num_threads(options.threads)
    row = next(row for row in ROWS if row.name == options.net[0])
    forward, x = prepare(row, options.side, tuple(map(int, options.size.split("x"))))
    before = peak_memory()
    seconds, cpu = [], []
    with torch.inference_mode():
        for _ in range(1 + options.repeats):
            begun, worked = time.perf_counter(), time.process_time()
            picture = forward(x.clone())
            seconds.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - worked)
    np.save(options.out, picture.numpy())
    height, width = x.shape[2:]
    return {
        "net": row.name,
        "side": options.side,
        "size": f"{width}x{height}",
        "pixels": height * width,
        "threads": options.threads,
        "seconds": min(seconds),
        "cpu": min(cpu),
        "peak": peak_memory(),
        "bytes": peak_memory() - before,
    }


def prepare(
    row: Row, side: str, size: tuple[int, ...]
) -> "tuple[Callable[[Tensor], Tensor], Tensor]":
    """Make what maps a picture to its restored one, and a picture of at least `size`."""
    import torch

    model = model_of(row)
    width, height = (fitting(side, model) for side in size)
    x = torch.rand(1, model.channels, height, width)
    if side == "literal":
        return formula_of(row, model), x
    model.net.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    return lambda x: model.picture(model.net(x)), x


def model_of(row: Row) -> "Model":
    """Make a net with random weights, none of whose parts is silent."""
    import torch

    from restorekit.backends.card import Card
    from restorekit.backends.model import Model
    from restorekit.backends.registry import default_registry
    from restorekit.nets.nafnet import local_statistics

    torch.manual_seed(0)
    backend = default_registry().get(row.backend)
    net = backend.build(**row.config).eval()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.numel() == max(weight.shape, default=1):
                # Scalings that start at zero, of any shape.
                weight += 0.1 * torch.randn_like(weight)
    if row.windows:
        net.statistics = local_statistics()
    card = Card(
        name=row.name, backend=row.backend, config=row.config, scale=backend.scale(row.config)
    )
    return Model(net, card, backend, torch.device("cpu"))


def formula_of(row: Row, model: "Model") -> "Callable[[Tensor], Tensor]":
    if not row.literal:
        return lambda x: model.picture(model.net(x))
    module, function = row.literal.split(":")
    formula, state = getattr(import_module(module), function), model.net.state_dict()
    result = 0 if model.backend.result == "first" else -1
    return lambda x: formula(state, x)[result]


def fitting(side: int, model: "Model") -> int:
    least = max(side, model.backend.capabilities.minimum)
    return -(-least // model.multiple) * model.multiple


def peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def save(path: Path, results: list[dict[str, Any]]) -> None:
    """Add results to a file, in place of those of the same net and side."""
    known = json.loads(path.read_text()) if path.exists() else []
    new = {(result["net"], result["side"]) for result in results}
    kept = [result for result in known if (result["net"], result["side"]) not in new]
    path.write_text(json.dumps([*kept, *results], indent=1) + "\n")


if __name__ == "__main__":
    main()
