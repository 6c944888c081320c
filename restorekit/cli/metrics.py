"""`restorekit metrics`: what eval can measure, by which protocols, and what it lacks for that."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from restorekit.cli.options import AsJson
from restorekit.errors import PictureError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from restorekit.media.paths import Source

app = typer.Typer(
    no_args_is_help=True, help="List metrics and protocols; fit NIQE's model of pristine pictures."
)


@app.command("list")
def list_metrics(as_json: AsJson = False) -> None:
    """List the metrics, and what is missing for those that cannot be computed here."""
    from restorekit.metrics.protocols import METRICS, lacks

    rows = [
        {
            "name": metric.name,
            "label": metric.label,
            "better": "higher" if metric.higher_is_better else "lower",
            "missing": lacks(metric),
        }
        for metric in METRICS.values()
    ]
    _show(rows, as_json)


@app.command("protocols")
def list_protocols(as_json: AsJson = False) -> None:
    """List the protocols: how the numbers of published tables are made."""
    from restorekit.metrics.protocols import PROTOCOLS

    if as_json:
        typer.echo(json.dumps([asdict(protocol) for protocol in PROTOCOLS.values()], indent=2))
        return
    rows = [
        {"id": each.id, "how": each.description, "tables": each.source}
        for each in PROTOCOLS.values()
    ]
    _show(rows, as_json)


@app.command("fit-niqe")
def fit(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Pristine pictures: files or folders.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="The model's file.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Fit NIQE's model to pristine pictures; numbers compare only where the model is the same."""
    from restorekit.media.paths import collect
    from restorekit.metrics.no_reference import fit_niqe

    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists; add --overwrite, or choose another name with -o")
    sources = collect(inputs)
    fit_niqe(_read(sources)).write(output)
    typer.echo(f"{output}: fitted to {len(sources)} pictures")


def _read(sources: "Sequence[Source]") -> "Iterator[Tensor]":
    from restorekit.media.image import read_image
    from restorekit.metrics.no_reference import BLOCK
    from restorekit.ops.pixels import to_tensor

    console = Console(stderr=True)
    hidden = not console.is_terminal
    for source in track(sources, "reading", console=console, transient=True, disable=hidden):
        image = read_image(source.path)
        if min(image.height, image.width) < BLOCK:
            raise PictureError(
                f"{source.path} has {image.width}x{image.height} pixels, and NIQE is fitted to "
                f"blocks of {BLOCK}x{BLOCK}; leave it out"
            )
        yield to_tensor(image.pixels)[0]


def _show(rows: Sequence[Mapping[str, str]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, no_wrap=heading in ("name", "id"), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console(highlight=False).print(table)
