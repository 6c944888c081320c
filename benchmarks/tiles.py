"""What running a net tile by tile changes, against the same net on the whole picture.

    python benchmarks/tiles.py [--net NAME]... [--size PIXELS] [--tile PIXELS] [--save FILE.json]

Each net of `nets.py` has random weights and restores a crop of a real picture twice, by `Restorer`
as users run it: whole, and in tiles that share what the net usually shares. Nets with statistics
over the picture take them over windows in both, where the picture is larger than their windows;
a tile that is smaller than a window counts as one.
Results are not clamped: random nets leave the range, and a difference would not show there.
Prints, in levels of 255: how far the net changes the picture, enlarged by bicubic interpolation
where the net enlarges, root mean square; how far the two results are apart, root mean square and
at most; and the former as a share of the change.
`--save` adds the results to a file that `nets_page.py` makes a table of.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nets import ROWS, Row, model_of
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from restorekit.inference.pipeline import Restorer, usual_overlap
from restorekit.inference.plan import whole
from restorekit.ops.pixels import to_tensor

MEASURED = Path(__file__).with_name("tiles.json")
PICTURE = Path(__file__).parents[1] / "docs" / "samples" / "rainy.jpg"


def main() -> None:
    options = parse_options()
    rows = {row.name: row for row in ROWS}
    if unknown := {*options.net} - {*rows}:
        raise SystemExit(f"no net {', '.join(unknown)}; there are {[*rows]}")
    torch.set_num_threads(options.threads)
    print(f"{options.size} pixels a side in tiles of {options.tile}; levels of 255")
    print("net                     overlap  change       rms   largest    share")
    for name in options.net or rows:
        result = compare(rows[name], options.size, options.tile)
        print(line_of(result), flush=True)
        if options.save:
            save(options.save, result)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", action="append", default=[], help="a name; may be repeated")
    parser.add_argument("--size", type=int, default=448, help="side of the crop")
    parser.add_argument("--tile", type=int, default=256, help="longest side of a tile")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help=f"such as {MEASURED.name}")
    return parser.parse_args()


def compare(row: Row, size: int, tile: int) -> dict[str, Any]:
    model = model_of(row)
    model.net.to(memory_format=torch.channels_last)
    x = picture(size, model.channels)
    large = x if model.scale == 1 else interpolate(x, scale_factor=model.scale, mode="bicubic")
    at_once, tiled = (restored(Restorer(model, tile=side), x) for side in (0, tile))
    change, apart = rms(at_once - large), rms(at_once - tiled)
    return {
        "net": row.name,
        "size": size,
        "tile": tile,
        "overlap": usual_overlap(model.backend.capabilities),
        "change": change,
        "rms": apart,
        "largest": 255 * (at_once - tiled).abs().max().item(),
        "share": apart / change,
    }


def restored(restorer: Restorer, x: Tensor) -> Tensor:
    """Do what `Restorer.restore_tensor` does, but for the clamping."""
    strips: list[Tensor] = []
    picture = whole(*x.shape[-2:])
    for _ in restorer.stream(picture, lambda box: x[..., *box.slices], strips.append):
        pass
    return torch.cat(strips, -2)


def picture(size: int, channels: int) -> Tensor:
    """Crop (1, channels, size, size) out of the middle of the sample, grey where one is wanted."""
    with Image.open(PICTURE) as image:
        left, top = (image.width - size) // 2, (image.height - size) // 2
        crop = image.convert("L" if channels == 1 else "RGB")
        crop = crop.crop((left, top, left + size, top + size))
        return to_tensor(np.atleast_3d(np.array(crop)))


def rms(difference: Tensor) -> float:
    return 255 * difference.square().mean().sqrt().item()


def line_of(result: dict[str, Any]) -> str:
    return (
        f"{result['net']:<23}{result['overlap']:>8}{result['change']:>8.2f}"
        f"{result['rms']:>10.2g}{result['largest']:>10.2g}{result['share']:>9.0e}"
    )


def save(path: Path, result: dict[str, Any]) -> None:
    """Add a result to a file, in place of that of the same net."""
    known = json.loads(path.read_text()) if path.exists() else []
    kept = [each for each in known if each["net"] != result["net"]]
    path.write_text(json.dumps([*kept, result], indent=1) + "\n")


if __name__ == "__main__":
    main()
