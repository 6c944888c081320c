"""Seconds per megapixel of the embedded models, in the arithmetic of `auto` and in float32.

    python benchmarks/embedded_speed.py [MODEL]... [--threads N] [--runs N]

Restores a picture of noise, so large that the result has one megapixel, as `restorekit restore`
does: in tiles, 8 bits a sample. Both sides run in turn, and the fastest run of each counts, for
other programs only slow down. Prints a table.
"""

import argparse
import time

import numpy as np
import torch

from restorekit.api import drain
from restorekit.backends.hub import embedded
from restorekit.backends.model import computes_bfloat16, load_model
from restorekit.inference.pipeline import Restorer
from restorekit.types import Image, Precision

SIDE = 1000
ROW = "| {:16} | {:>8} | {:>10} | {:>10} |"


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    native = "has" if computes_bfloat16() else "has no"
    print(f"{options.threads} threads; the processor {native} instructions for bfloat16")
    print(ROW.format("model", "auto is", "auto, s", "float32, s"))
    for name in options.models or (path.stem for path in embedded()):
        model = load_model(name, device="cpu")
        picture = noise(SIDE // model.scale)
        sides = [
            Restorer(model, precision=precision)
            for precision in (Precision.AUTO, Precision.FLOAT32)
        ]
        runs = [[seconds(side, picture) for side in sides] for _ in range(options.runs + 1)]
        auto, exact = (min(times) for times in zip(*runs[1:], strict=True))
        chosen = model.precision(Precision.AUTO, picture.depth)
        print(ROW.format(name, chosen, f"{auto:.2f}", f"{exact:.2f}"), flush=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def noise(side: int) -> Image:
    return Image(np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8))


def seconds(restorer: Restorer, picture: Image) -> float:
    begun = time.perf_counter()
    drain(restorer.restore(picture))
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
