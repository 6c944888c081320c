"""`--check` of train and finetune: the report."""

import json
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from restorekit.cli.render import duration, render
from restorekit.events import Event

if TYPE_CHECKING:
    from restorekit.training.check import CheckReport


def show_check(events: Generator[Event, None, "CheckReport"], *, as_json: bool) -> None:
    """Show a check as it goes and what it found."""
    found: list[CheckReport] = []

    def passed() -> Iterator[Event]:
        found.append((yield from events))

    render(passed(), as_json=as_json)
    report = found[0]
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"seconds": report.seconds}, default=str))
        return
    console = Console(highlight=False)
    console.print(_splits(report))
    console.print(_facts(report))


def _splits(report: "CheckReport") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("split")
    for heading in ("pictures", "smallest", "largest", "PSNR as they came, dB"):
        table.add_column(heading, justify="right")
    for split in report.splits:
        psnr = "-" if split.psnr is None else f"{split.psnr:.2f}"
        cells = (split.name, str(split.pictures), split.smallest, split.largest, psnr)
        table.add_row(*map(Text, cells))
    return table


def _facts(report: "CheckReport") -> Table:
    end = time.strftime("%a %d %b, %H:%M", time.localtime(time.time() + report.seconds))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {
        "what the net will see": str(report.sheet),
        "a step": f"{report.seconds_per_step:.3f} s, {report.steps} of them",
        "a validation": f"{report.seconds_per_validation:.1f} s, {report.validations} of them",
        "the whole run": f"{duration(report.seconds)}; begun now it ends {end}",
        "space": f"{report.needed_bytes / 1e6:.0f} MB of {report.free_bytes / 1e6:.0f} MB free",
    }
    for key, value in rows.items():
        table.add_row(key, Text(value))
    return table
