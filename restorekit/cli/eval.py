"""`restorekit eval`."""

import json
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from restorekit.errors import UsageError
from restorekit.events import Event
from restorekit.types import Task

if TYPE_CHECKING:
    from restorekit.evaluation.run import Evaluation, Subject
    from restorekit.metrics.protocols import Protocol

NAME_COLUMNS = 2
"""The table begins with so many columns of names; the rest are numbers."""


def evaluate(
    dataset: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="A known set, or a folder of pairs.")
    ],
    data_root: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds the known sets.")
    ] = Path(),
    tasks: Annotated[
        list[Task] | None, typer.Option("--task", help="Measure the embedded model of a task.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME|FILE", help="Measure a model; may be repeated."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="How the numbers are made; by default as the set's papers do."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="psnr, ssim, ms_ssim, mae.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="sigma=25", help="Add Gaussian noise to a folder of clean pictures."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --noise.")] = 0,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the restored pictures.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a .json, .md or .csv file.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Write events and the result as JSON lines.")
    ] = False,
) -> None:
    """Measure models on pairs of degraded pictures and references, by a named protocol.

    The pictures are also measured as they came: the row `degraded`.
    """
    from restorekit.cli.render import render
    from restorekit.evaluation.report import require_format, write_report
    from restorekit.evaluation.run import evaluate_models

    if report is not None:
        require_format(report)
    subject = _subject(dataset, data_root, _protocol(protocol, noise, seed), metrics)
    chosen = _chosen_models(subject, tasks or [], models or [])
    results: list[Evaluation] = []
    events = evaluate_models(subject, chosen, device=device, save_dir=save)
    render(_kept(events, results), as_json=as_json)
    _show(results, as_json=as_json)
    if report is not None:
        write_report(report, results)
    if any(result.failed for result in results):
        raise typer.Exit(1)


def _protocol(protocol_id: str | None, noise: str | None, seed: int) -> "Protocol | None":
    from restorekit.metrics.protocols import get_protocol, with_noise

    if noise is None:
        return get_protocol(protocol_id) if protocol_id else None
    match = re.fullmatch(r"sigma=(\d+(?:\.\d+)?)", noise)
    if match is None:
        raise UsageError(f"--noise '{noise}': write --noise sigma=25, in 8-bit levels")
    return with_noise(get_protocol(protocol_id or "rgb"), float(match[1]), seed)


def _subject(
    dataset: str, data_root: Path, protocol: "Protocol | None", metrics: str | None
) -> "Subject":
    from restorekit.evaluation.run import choose_subject
    from restorekit.metrics.protocols import with_metrics

    subject = choose_subject(dataset, data_root=data_root, protocol=protocol)
    if metrics is None:
        return subject
    names = [name.strip() for name in metrics.split(",")]
    return replace(subject, protocol=with_metrics(subject.protocol, names))


def _chosen_models(
    subject: "Subject", tasks: Sequence[Task], models: Sequence[str]
) -> list[str | Path]:
    from restorekit.backends.hub import for_task

    if not tasks and not models:
        if subject.task is None:
            raise UsageError("say what to measure: --model NAME|FILE or --task TASK, or several")
        tasks = [subject.task]
    return [*map(for_task, tasks), *models]


def _kept(
    events: "Generator[Event, None, list[Evaluation]]", results: "list[Evaluation]"
) -> Iterator[Event]:
    """Pass the events on and keep the generator's value, which a loop would lose."""
    results += yield from events


def _show(results: "list[Evaluation]", *, as_json: bool) -> None:
    from restorekit.evaluation.report import as_dict, as_table

    if as_json:
        typer.echo(json.dumps({"event": "Evaluated", **as_dict(results)}, allow_nan=False))
        return
    table = as_table(results)
    Console(highlight=False, markup=False).print(_drawn(table.headings, table.rows))
    typer.echo(table.caption)


def _drawn(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Draw names, which may be folded where the screen is narrow, and numbers, which never are."""
    drawn = Table(box=None, pad_edge=False)
    for index, heading in enumerate(headings):
        words = [*heading.split(), *(row[index] for row in rows)]
        if index < NAME_COLUMNS:
            drawn.add_column(Text(heading), overflow="fold")
        else:
            drawn.add_column(Text(heading), justify="right", min_width=max(map(len, words)))
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn
