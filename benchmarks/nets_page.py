"""Make docs/nets.md: what each net is, what papers say that it reaches, and what it costs here.

    python benchmarks/nets_page.py [--measured nets.json] [--tiles tiles.json] [-o docs/nets.md]

Quality is that of `restorekit/evaluation/published.toml`; parameters and multiply-accumulates are
those of `restorekit models show`; seconds are those that `nets.py --save` has measured, and what
tiles change is what `tiles.py --save` has.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nets import MEASURED, ROWS, Row
from tiles import MEASURED as TILED

from restorekit.backends.base import Backend
from restorekit.backends.card import Card
from restorekit.backends.profile import Profile, profile
from restorekit.backends.registry import default_registry
from restorekit.data.catalog import DATASETS
from restorekit.evaluation.published import Published, all_published

PAGE = Path(__file__).parents[1] / "docs" / "nets.md"
SHOWN = (
    ("GoPro", "gopro-matlab"),
    ("HIDE", "hide-matlab"),
    ("DPDD", "dpdd"),
    ("SOTS-Indoor", "sots-rgb"),
    ("SOTS-Outdoor", "sots-outdoor-rgb"),
    ("CSD", "csd-rgb"),
    ("Snow100K", "snow-rgb"),
    ("Rain100L", "rain-y-matlab"),
    ("Rain100H", "rain-y-matlab"),
    ("DeRaindrop", "raindrop-y"),
    ("CBSD68", "awgn-sigma25"),
    ("BSD68", "awgn-sigma25"),
    ("SIDD", "sidd-matlab"),
    ("Set5", "srgan-y-crop4"),
    ("Set14", "srgan-y-crop4"),
)
"""The sets, with their protocols, that most papers of a task measure on."""
HEAD = """# Nets

Made by `python benchmarks/nets_page.py`; no number on this page is typed by hand.

- **published**: PSNR in dB and SSIM as papers print them, of `restorekit/evaluation/published.toml`
  (`restorekit eval` prints them beside measured ones); `*` was written down from memory of its
  source. Compare only within one set and protocol. Where a net was trained on other data than the
  rest of a table, the file says so.
- **parameters**, **GMAC/Mpx** and **looks at**: of `restorekit models show FILE`: multiply-
  accumulates of convolutions and matrix products, in thousands of millions for a megapixel of the
  input, as the net computes here; the side of the square of pixels that a pixel depends on.
- **CPU s/Mpx**: {measured}
"""
MACHINE = """seconds of CPU for a megapixel of the input, by
  `python benchmarks/nets.py --save benchmarks/nets.json`: float32, {threads} thread(s), pictures of
  {sizes}, random weights. Single runs on a machine that did other
  work as well: tens of percent mean nothing.
  **bytes/px** is what a run takes in memory for each pixel, beside the
  weights."""

TILES = """What tiles change in a crop of a real picture, with the overlap that restorekit uses by
itself: `python benchmarks/tiles.py --save benchmarks/tiles.json`. **share** is the difference from
the whole run as a part of what the net does to the picture (against bicubic interpolation where it
enlarges), both root mean square; **change** and **largest** are in levels of 255. Nets that look at
the whole picture take their means over windows on both sides, or over a tile where it is smaller
than a window. The weights are random: these nets
hardly feel what is far away, so the shares of deep nets probably understate those of trained ones,
and most change pictures far more than trained ones do, which exaggerates **largest**.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", type=Path, default=MEASURED)
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    parser.add_argument("--tiles", type=Path, default=TILED)
    options = parser.parse_args()
    found = [json.loads(path.read_text()) for path in (options.measured, options.tiles)]
    options.output.write_text(page(*found), encoding="utf-8")


def page(measured: list[dict], tiled: list[dict]) -> str:
    """Write the page from the results that `nets.py --save` and `tiles.py --save` keep."""
    ours = {result["net"]: result for result in measured if result["side"] == "net"}
    sizes = " and ".join(sorted({result["size"] for result in ours.values()}))
    threads = " or ".join(sorted({str(result["threads"]) for result in ours.values()}))
    text = [HEAD.format(measured=MACHINE.format(threads=threads, sizes=sizes))]
    text += ["## What nets reach and what they cost\n", *by_task(ours)]
    text += ["\n## What nets are\n", *by_net(ours)]
    text += ["\n## Tiles against whole\n", TILES, *tiles_against_whole(tiled)]
    text += ["\n## Where the published numbers were read\n", *sources()]
    text += ["\n## Against the literal formulas\n", *against_formulas(measured)]
    return "\n".join(text) + "\n"


def by_task(ours: dict[str, dict]) -> Iterator[str]:
    yield "| task | net | published | parameters | GMAC/Mpx | CPU s/Mpx |"
    yield "|---|---|---|---:|---:|---:|"
    tasks: dict[str, list[str]] = defaultdict(list)
    for row in ROWS:
        for task, quality in reached(row).items():
            tasks[task].append(f"| {task} | {row.name} | {quality} | {cost(row, ours)} |")
    for task in sorted(tasks):
        yield from tasks[task]


def reached(row: Row) -> dict[str, str]:
    """What a net reaches on the sets of each task it has published weights or numbers for."""
    cells: dict[str, list[str]] = {task.value: [] for task in backend_of(row).tasks}
    for numbers in shown(row):
        task = DATASETS[numbers["psnr"].dataset].task
        cells.setdefault(str(task), []).append(quality(numbers))
    return {task: "; ".join(found) or "-" for task, found in cells.items()}


def shown(row: Row) -> Iterator[dict[str, Published]]:
    """By metric, the first numbers that were published of a net on each of the sets."""
    names = (row.name, *row.aliases)
    for place in SHOWN:
        numbers: dict[str, Published] = {}
        for number in all_published():
            is_here = (number.dataset, number.protocol) == place and not number.part
            if is_here and number.method in names:
                numbers.setdefault(number.metric, number)
        if "psnr" in numbers:
            yield numbers


def quality(numbers: dict[str, Published]) -> str:
    first = numbers["psnr"]
    values = [f"{first.value:.2f}"]
    if "ssim" in numbers:
        values.append(f"{numbers['ssim'].value:.3f}")
    star = "" if all(number.checked for number in numbers.values()) else "*"
    return f"{first.dataset} ({first.protocol}) {' / '.join(values)}{star}"


def sources() -> Iterator[str]:
    for row in ROWS:
        found = {number.source: None for numbers in shown(row) for number in numbers.values()}
        if found:
            yield f"- {row.name}: {'; '.join(found)}"


def cost(row: Row, ours: dict[str, dict]) -> str:
    macs = profiles()[row.name].macs_per_megapixel
    seconds = per_megapixel(ours[row.name]) if row.name in ours else "not measured"
    return f"{parameters()[row.name]} | {macs / 1e9:,.0f} | {seconds}"


def per_megapixel(result: dict) -> str:
    return f"{result['cpu'] / result['pixels'] * 1e6:.1f}"


def by_net(ours: dict[str, dict]) -> Iterator[str]:
    yield "| net | backend | looks at | bytes/px | paper | licence of the published weights |"
    yield "|---|---|---:|---:|---|---|"
    for row in ROWS:
        backend, found = backend_of(row), ours.get(row.name)
        memory = f"{found['bytes'] / found['pixels']:,.0f}" if found else "not measured"
        settings = ", ".join(f"{key}={value}" for key, value in row.config.items())
        name = f"`{row.backend}`" + (f" {settings}" if settings else "")
        yield (
            f"| {row.name} | {name} | {field_of(row)} | {memory} | {backend.paper} "
            f"| {backend.licence} |"
        )


def field_of(row: Row) -> str:
    if row.windows:
        return "windows of the picture"
    side = profiles()[row.name].receptive_field
    if math.isnan(side):
        return "not measurable"
    return "whole picture" if math.isinf(side) else f"{side:g}"


def tiles_against_whole(tiled: list[dict]) -> Iterator[str]:
    yield "| net | picture | tiles | overlap | change | share | largest |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    found = {result["net"]: result for result in tiled}
    for row in ROWS:
        if row.name not in found:
            yield f"| {row.name} | not measured | | | | | |"
            continue
        result = found[row.name]
        yield (
            f"| {row.name} | {result['size']}x{result['size']} | {result['tile']} "
            f"| {result['overlap']} | {result['change']:.1f} | {small(result['share'])} "
            f"| {small(result['largest'])} |"
        )


def small(value: float) -> str:
    """Write what matters by its size: 0.21, 3e-05, or 0 where nothing differs at all."""
    if value == 0:
        return "0"
    return f"{value:.2g}" if value >= 0.01 else f"{value:.0e}"


def against_formulas(measured: list[dict]) -> Iterator[str]:
    yield "Both sides in one run of `benchmarks/nets.py`, with the same weights and picture. Where"
    yield "our net is the formula of the paper already, the other side is the same net as torch"
    yield "runs it by default, with the channels of a pixel far apart.\n"
    yield "| net | size | side | CPU s | peak MiB | bytes/px | largest difference |"
    yield "|---|---|---|---:|---:|---:|---:|"
    compared = {result["net"] for result in measured if result["side"] == "literal"}
    own = {row.name for row in ROWS if not row.literal}
    for result in measured:
        if result["net"] in compared:
            is_ours = result["side"] == "net"
            literal = "the net is the formula" if result["net"] in own else "literal"
            yield (
                f"| {result['net']} | {result['size']} | {'ours' if is_ours else literal} "
                f"| {result['cpu']:.2f} | {result['peak'] / 2**20:,.0f} "
                f"| {result['bytes'] / result['pixels']:,.0f} "
                f"| {format(result['difference'], '.0e') if is_ours else ''} |"
            )


def backend_of(row: Row) -> Backend:
    return default_registry().get(row.backend)


@cache
def profiles() -> dict[str, Profile]:
    cards = [Card(name=row.name, backend=row.backend, config=row.config) for row in ROWS]
    return {card.name: profile(card) for card in cards}


@cache
def parameters() -> dict[str, str]:
    nets = {row.name: backend_of(row).build(**row.config) for row in ROWS}
    counts = {name: sum(each.numel() for each in net.parameters()) for name, net in nets.items()}
    return {name: f"{count / 1e6:.2f} M" for name, count in counts.items()}


if __name__ == "__main__":
    main()
