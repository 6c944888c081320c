"""`restorekit eval`."""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from restorekit.cli.options import Device
from restorekit.errors import UsageError
from restorekit.events import Event
from restorekit.types import Task

if TYPE_CHECKING:
    from restorekit.evaluation import tables
    from restorekit.evaluation.run import Evaluation
    from restorekit.evaluation.series import Candidate, Series
    from restorekit.evaluation.subject import Subject
    from restorekit.metrics.protocols import Protocol

_NARROW = " Intervals and memory are left out on this narrow screen; --report has them."
_GAP = 2
"""Columns between two columns of a table."""
_FOLDED = 8
"""Names are folded to no less than this."""

Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset",
        metavar="NAME|DIR",
        help="A set of 'datasets list', or a folder of pairs; may be repeated.",
    ),
]
DataRoot = Annotated[
    Path, typer.Option(metavar="DIR", help="The folder that holds the known sets.")
]
Tasks = Annotated[
    list[Task] | None, typer.Option("--task", help="Measure the embedded model of a task.")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME|FILE", help="Measure a model; may be repeated."),
]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        help="Also measure a method of 'models list', such as median or bicubic, or input, the "
        "degraded pictures; may be repeated.",
    ),
]
ProtocolId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="How the numbers are made, of 'metrics protocols'; by default as the set's papers do.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="psnr, ssim, ms_ssim, mae, delta_e, edge_psnr, lpips_alex, lpips_vgg, "
        "lpips_squeeze, dists, niqe.",
    ),
]
NoiseLevel = Annotated[
    str | None,
    typer.Option(metavar="sigma=25", help="Add Gaussian noise to a folder of clean pictures."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of --noise.")]
Pairs = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="RESTORED/ REFERENCE/", help="Measure pictures that are restored already."
    ),
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="A.json B.json",
        help="Test whether the models of two reports differ; FILE:MODEL chooses one of several.",
    ),
]
Save = Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the restored pictures.")]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write a .html page, .json, .csv, .md or .tex file; may be repeated.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on by the journal beside the first --report, or in --save."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write events and the result as JSON lines.")]


@dataclass(frozen=True)
class _Asked:
    """What is measured and how, as it was written."""

    datasets: Sequence[str]
    data_root: Path
    pairs: tuple[Path, Path] | None
    protocol: str | None
    metrics: str | None
    noise: str | None
    seed: int


def evaluate(
    datasets: Datasets = None,
    data_root: DataRoot = Path(),
    tasks: Tasks = None,
    models: Models = None,
    baselines: Baselines = None,
    protocol: ProtocolId = None,
    metrics: Metrics = None,
    noise: NoiseLevel = None,
    seed: Seed = 0,
    pairs: Pairs = None,
    compare: Compare = None,
    save: Save = None,
    reports: Reports = None,
    resume: Resume = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure models on pairs of degraded pictures and references, by a named protocol.

    The pictures are also measured as they came: the row `degraded`. Beside measured numbers stand
    those that papers print in the same protocol. An interrupted run goes on with --resume.
    """
    from restorekit.cli.render import render
    from restorekit.evaluation.series import Series

    if [bool(datasets), pairs is not None, compare is not None].count(True) != 1:
        raise UsageError("say what to measure: --dataset, --pairs or --compare, one of them")
    if compare is not None:
        _refuse_beside_compare(
            {"--report": reports, "--save": save, "--resume": resume, "--metrics": metrics}
            | {"--protocol": protocol, "--noise": noise}
            | {"--task": tasks, "--model": models, "--baseline": baselines}
        )
        _compare(*compare, as_json=as_json)
        return
    files = _checked(reports or [], save)
    journal = _journal(files, save, resume=resume)
    asked = _Asked(datasets or [], data_root, pairs, protocol, metrics, noise, seed)
    subjects = _subjects(asked)
    candidates = _candidates(subjects, tasks or [], models or [], baselines or [], device, pairs)
    series = Series(subjects, candidates, save_dir=save, journal=journal, resume=resume)
    results: list[Evaluation] = []
    render(_kept(series.run(), results), as_json=as_json)
    _show(results, as_json=as_json)
    _write(files, results, series)
    if any(result.failed for result in results):
        raise typer.Exit(1)


def _checked(reports: Sequence[Path], save: Path | None) -> Sequence[Path]:
    from restorekit.evaluation.report import require_format, require_place

    for report in reports:
        require_format(report)
    if save is not None:
        require_place(save)
    return reports


def _journal(reports: Sequence[Path], save: Path | None, *, resume: bool) -> Path | None:
    if reports:
        return reports[0].with_suffix(".journal.jsonl")
    if save is not None:
        return save / "journal.jsonl"
    if resume:
        raise UsageError(
            "--resume needs the journal of the run before: it lies beside the file of --report, "
            "or in the folder of --save; give the same one again"
        )
    return None


def _subjects(asked: _Asked) -> "list[Subject]":
    from restorekit.evaluation.subject import choose_subject, restored_subject
    from restorekit.metrics.protocols import with_metrics

    protocol = _protocol(asked.protocol, asked.noise, asked.seed)
    if asked.pairs is not None:
        subjects = [restored_subject(*asked.pairs, protocol=protocol)]
    else:
        subjects = [
            choose_subject(name, data_root=asked.data_root, protocol=protocol)
            for name in asked.datasets
        ]
    if asked.metrics is None:
        return subjects
    names = [name.strip() for name in asked.metrics.split(",")]
    return [replace(each, protocol=with_metrics(each.protocol, names)) for each in subjects]


def _protocol(protocol_id: str | None, noise: str | None, seed: int) -> "Protocol | None":
    from restorekit.metrics.protocols import get_protocol, with_noise

    if noise is None:
        return get_protocol(protocol_id) if protocol_id else None
    match = re.fullmatch(r"sigma=(\d+(?:\.\d+)?)", noise)
    if match is None:
        raise UsageError(f"--noise '{noise}': write --noise sigma=25, in 8-bit levels")
    return with_noise(get_protocol(protocol_id or "rgb"), float(match[1]), seed)


def _candidates(
    subjects: "Sequence[Subject]",
    tasks: Sequence[Task],
    models: Sequence[str],
    baselines: Sequence[str],
    device: str,
    pairs: tuple[Path, Path] | None,
) -> "list[Candidate]":
    from restorekit.backends.hub import for_task
    from restorekit.evaluation.series import as_they_are, choose_candidates

    asked = tasks or models or baselines
    if pairs is not None:
        if asked:
            raise UsageError(
                "--pairs measures pictures that are restored already; leave out --model, --task "
                "and --baseline, or give the degraded pictures by --dataset"
            )
        return [as_they_are(pairs[0].resolve().name)]
    wanted = tasks if asked else [_own_task(subjects)]
    scales = {subject.scale for subject in subjects}
    scale = scales.pop() if len(scales) == 1 else None
    chosen: list[str | Path] = [*(for_task(task, scale) for task in wanted), *models]
    return choose_candidates(chosen, baselines, device=device, scale=scale or 1)


def _own_task(subjects: "Sequence[Subject]") -> Task:
    tasks = {subject.task for subject in subjects}
    task = tasks.pop()
    if task is None or tasks:
        raise UsageError("say what to measure: --model NAME|FILE or --task TASK, or several")
    return task


def _kept(
    events: "Generator[Event, None, list[Evaluation]]", results: "list[Evaluation]"
) -> Iterator[Event]:
    """Pass the events on and keep the generator's value, which a loop would lose."""
    results += yield from events


def _write(reports: Sequence[Path], results: "list[Evaluation]", series: "Series") -> None:
    from restorekit.evaluation.report import is_page, write_report

    pages = [report for report in reports if is_page(report)]
    examples = series.examples(results) if pages else []
    for report in reports:
        write_report(report, results, examples if report in pages else [])


def _show(results: "list[Evaluation]", *, as_json: bool) -> None:
    from restorekit.evaluation.report import as_dict
    from restorekit.evaluation.tables import as_table, by_set, group_table, overview, published_line

    if as_json:
        typer.echo(json.dumps({"event": "Evaluated", **as_dict(results)}, allow_nan=False))
        return
    for group in by_set(results):
        for table in (as_table(group), group_table(group)):
            if table is not None:
                _print(table)
        if (line := published_line(group)) is not None:
            typer.echo(line)
    if (whole := overview(results)) is not None:
        _print(whole)


def _refuse_beside_compare(options: Mapping[str, object]) -> None:
    if given := [name for name, value in options.items() if value]:
        raise UsageError(
            f"--compare reads two reports and measures nothing; leave out {', '.join(given)}"
        )


def _compare(a: str, b: str, *, as_json: bool) -> None:
    from restorekit.evaluation.compare import as_dict, as_table, compare_reports

    for comparison in compare_reports(a, b):
        if as_json:
            typer.echo(json.dumps({"event": "Compared", **as_dict(comparison)}, allow_nan=False))
        else:
            _print(as_table(comparison))


def _print(table: "tables.Table") -> None:
    """Draw a table as wide as the screen allows: whole, without some columns, with folded names."""
    from restorekit.evaluation.tables import narrowed

    width = Console().width
    less = narrowed(table)
    ways = [
        (table, _drawn(table)),
        (table, _drawn(table, wrap=True)),
        (less, _drawn(less, wrap=True)),
        (less, _drawn(less, wrap=True, fold=True)),
    ]
    shown, drawn = next((way for way in ways if _least_width(way[1]) <= width), ways[-1])
    console = Console(highlight=False, markup=False, width=max(width, _least_width(drawn)))
    console.print(drawn)
    typer.echo(f"{table.caption}{_NARROW if shown.headings != table.headings else ''}\n")


def _least_width(drawn: Table) -> int:
    return sum(column.width or 0 for column in drawn.columns) + _GAP * (len(drawn.columns) - 1)


def _drawn(table: "tables.Table", *, wrap: bool = False, fold: bool = False) -> Table:
    """Draw names, which may be folded, numbers, which never are, and headings, cut at spaces."""
    drawn = Table(box=None, pad_edge=False)
    for index, heading in enumerate(table.headings):
        words = heading.split() if wrap else [heading]
        widest = max(map(len, [*words, *(row[index] for row in table.rows)]))
        is_name = index < table.names
        drawn.add_column(
            Text(heading),
            justify="left" if is_name else "right",
            overflow="fold",
            width=min(widest, _FOLDED) if is_name and fold else widest,
        )
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    return drawn
