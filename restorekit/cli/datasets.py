"""`restorekit datasets`: which data sets are known, how they must lie, and whether they do."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from restorekit.cli.options import AsJson
from restorekit.types import Task

if TYPE_CHECKING:
    from restorekit.data.catalog import Dataset
    from restorekit.data.check import Check
    from restorekit.data.pairs import Pair

app = typer.Typer(
    no_args_is_help=True, help="List, show and check the data sets that eval and train know."
)

Name = Annotated[str, typer.Argument(help="Name of a data set, in upper or lower case.")]


@app.command("list")
def list_datasets(
    task: Annotated[Task | None, typer.Option(help="Only the sets of a task.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the data sets, with their task, size and protocol."""
    from restorekit.data.catalog import DATASETS

    known = [row for row in DATASETS.values() if task is None or row.task == task]
    known.sort(key=lambda dataset: list(Task).index(dataset.task) if dataset.task else len(Task))
    rows = [_list_row(dataset) for dataset in known]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif not rows:
        typer.echo(f"no data set for {task} is known; give a folder of your own pairs")
    else:
        _draw_table(rows)


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what a data set holds, where to get it, and how its folders must look."""
    from restorekit.data.catalog import get_dataset

    dataset = get_dataset(name)
    if as_json:
        typer.echo(json.dumps(asdict(dataset), indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, text in _facts(dataset).items():
        if text:
            table.add_row(heading, Text(text))
    Console(highlight=False).print(table)


@app.command("check")
def check(
    name: Name,
    data_root: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds the known sets.")
    ] = Path(),
    split: Annotated[
        str | None, typer.Option(help="train, val, test ...; by default the one that is measured.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Of a super-resolution set; by default 4.")
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Read every picture to its end, not its header alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a data set file by file: what is missing, unpaired, unreadable or of another size.

    The exit code is 0 when the whole set is there and right, else 1.
    """
    from restorekit.data.catalog import get_dataset
    from restorekit.data.check import check_dataset

    result = check_dataset(
        get_dataset(name), data_root, split, scale, decode=decode, watch=_progress
    )
    if as_json:
        typer.echo(json.dumps(_as_dict(result), indent=2))
    else:
        for line in _lines(result):
            typer.echo(line)
    if not result.ok:
        raise typer.Exit(1)


def _list_row(dataset: "Dataset") -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task": dataset.task,
        "split": dataset.split,
        "pictures": dataset.pictures,
        "protocol": dataset.protocol,
        "licence": dataset.licence,
        "content": dataset.content,
    }


def _draw_table(rows: Iterable[Mapping[str, Any]]) -> None:
    """One line a set: names and numbers are whole, the content is cut where the screen ends."""
    cells = [("name", "task", "pictures", "protocol", "content"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in list(zip(*cells, strict=True))[:-1]]
    room = Console().width - sum(widths) - 2 * len(widths)
    for *facts, content in cells:
        aligned = (f"{fact:{width}}  " for fact, width in zip(facts, widths, strict=True))
        cut = content if len(content) <= room else f"{content[: max(room - 1, 0)]}…"
        typer.echo(f"{''.join(aligned)}{cut}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    pictures = f"{row['pictures']:,} {row['split']}" if row["pictures"] else "-"
    return row["name"], row["task"] or "any", pictures, row["protocol"], row["content"]


def _facts(dataset: "Dataset") -> dict[str, str]:
    counts = ((split, dataset.count(split)) for split in dataset.splits)
    return {
        "name": dataset.name,
        "content": dataset.content,
        "paper": dataset.paper,
        "task": dataset.task or "any",
        "protocol": dataset.protocol,
        "pictures": ", ".join(f"{split} {count:,}" for split, count in counts if count),
        "measured on": dataset.split,
        "size": " or ".join(dataset.sizes),
        "scales": ", ".join(f"x{scale}" for scale in dataset.scales),
        "references": _references(dataset),
        "licence": dataset.licence or "none stated",
        "home page": dataset.home,
        "folder": "\n".join(dataset.folders),
        "layouts": "\n".join(_layouts(dataset)),
        "notes": "\n".join(dataset.notes),
    }


def _references(dataset: "Dataset") -> str:
    if not dataset.references:
        return "kept back: restored pictures are sent in at the home page"
    if dataset.clean and dataset.scales:
        return "yes; reduced pictures are taken from disk or made as MATLAB's bicubic makes them"
    return "alone; the protocol adds the noise" if dataset.clean else "yes"


def _layouts(dataset: "Dataset") -> list[str]:
    """One line each; what follows the first comma holds for this layout alone."""
    lines = []
    for layout in dataset.layouts:
        facts = [layout.of]
        if layout.split:
            facts.append(f"{layout.split} only")
        if layout.folders:
            places = (folder or "the data root" for folder in layout.folders)
            facts.append(f"in {' or '.join(places)}")
        facts += (f"{split} is called {word}" for split, word in layout.splits.items())
        lines.append(f"{layout}  ({', '.join(facts)})")
    return lines or ["an input and a target folder, paired by name"]


def _as_dict(result: "Check") -> dict[str, Any]:
    findings = [
        {"problem": finding.problem, "file": str(finding.path), "details": finding.details}
        for finding in result.findings
    ]
    facts = {**asdict(result), "folder": str(result.folder), "findings": findings}
    return {**facts, "ok": result.ok}


def _lines(result: "Check") -> list[str]:
    of = f" of {result.expected:,}" if result.expected else ""
    counts = {"problems": len(result.findings), "missing": len(result.missing)}
    wrong = "".join(f", {count:,} {word}" for word, count in counts.items() if count)
    return [
        *(f"missing: {name}" for name in result.missing),
        *(f"{finding.problem}: {finding}" for finding in result.findings),
        *(f"note: {note}" for note in result.notes),
        f"{'ok' if result.ok else 'NOT COMPLETE'}: {result.dataset} ({result.split}), "
        f"{result.pairs:,}{of} pictures{wrong} in {result.folder}; layout: {result.layout}",
    ]


def _progress(pairs: "Sequence[Pair]") -> "Iterable[Pair]":
    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(pairs, "checking", console=console, transient=True, disable=hidden)
