"""`restorekit models`: what is there, what a file is, and making checkpoints of foreign files."""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from restorekit.backends import hub
from restorekit.backends.card import (
    CARD_KEY,
    Card,
    ConfigValue,
    parse_card,
    plain_config,
    read_header,
)
from restorekit.backends.registry import default_registry
from restorekit.errors import CheckpointError, RestorekitError, UsageError
from restorekit.types import Task

if TYPE_CHECKING:
    from restorekit.backends.checkpoint import Checkpoint

app = typer.Typer(
    no_args_is_help=True, help="List, show, convert and verify models and their checkpoint files."
)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that ship with restorekit."""
    rows = [_list_row(path) for path in hub.embedded()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif not rows:
        typer.echo(f"no embedded models in {hub.weights_folder()}")
    else:
        _draw_table(rows)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Name of an embedded model, or a checkpoint file.")],
    as_json: AsJson = False,
) -> None:
    """Show what a checkpoint is: its net, numbers, limits, licence and hash. Runs no code of it."""
    path = hub.find_checkpoint(model)
    facts = _facts(path)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _draw_facts(facts)


@app.command("convert")
def convert(
    foreign: Annotated[
        Path, typer.Argument(help="A .pth, .pt, .pkl, .ckpt, .npz or .safetensors file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File or folder; the default is ./NAME.safetensors."),
    ] = None,
    task: Annotated[Task | None, typer.Option(help="What the weights were trained for.")] = None,
    name: Annotated[str | None, typer.Option(help="The default is the output's stem.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What the weights do not tell of the net."),
    ] = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option(metavar="REPORT.json", help="Put the means of an eval report on the card."),
    ] = None,
    limits: Annotated[str | None, typer.Option(help="What it does badly, for the card.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the weights come from.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert the weights of others into a restorekit checkpoint; code in them is never run."""
    from restorekit.backends.checkpoint import write_checkpoint
    from restorekit.backends.legacy import read_any
    from restorekit.evaluation.report import measured_in

    destination = _destination(foreign, output, overwrite)
    checkpoint = read_any(foreign, _parse_settings(settings or []))
    given = {"task": task, "licence": licence, "source": source, "limits": limits}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    rows = tuple(row for report in measured or () for row in measured_in(report, foreign.stem))
    changes["measured"] = (*rows, *checkpoint.card.measured)
    card = checkpoint.card.model_copy(update={"name": name or destination.stem, **changes})
    write_checkpoint(destination, checkpoint.state, card, half=half)
    _report_conversion(destination, replace(checkpoint, card=card), as_json)


@app.command("verify")
def verify(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names of embedded models, or checkpoint files.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All embedded models.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check files: format, card, weights against their net, finite numbers, one run of the net."""
    targets = [*(models or []), *(map(str, hub.embedded()) if everything else ())]
    if not targets:
        raise UsageError("nothing to verify; name a model or a file, or use --all")
    reports = [_verified(target) for target in targets]
    if as_json:
        typer.echo(json.dumps(reports, indent=2))
    else:
        for report in reports:
            typer.echo(_verdict(report))
    if not all(report["ok"] for report in reports):
        raise typer.Exit(1)


def _list_row(path: Path) -> dict[str, Any]:
    try:
        header = read_header(path)
        card = parse_card(path, header)
    except CheckpointError as error:
        return {"name": path.stem, "error": str(error)}
    return {
        "name": path.stem,
        "task": card.task,
        "backend": card.backend,
        "parameters": header.parameters,
        "bytes": path.stat().st_size,
        "measured": _headline(card),
        "licence": card.licence,
    }


def _headline(card: Card) -> str | None:
    if not card.measured:
        return None
    first = card.measured[0]
    metric, value = next(iter(first.values.items()))
    return f"{metric} {value:g} on {first.dataset} ({first.protocol})"


def _draw_table(rows: Iterable[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "task", "backend"):
        table.add_column(heading)
    table.add_column("parameters", justify="right")
    table.add_column("size", justify="right")
    table.add_column("measured", overflow="fold")
    table.add_column("licence", overflow="fold")
    for row in rows:
        if "error" in row:
            table.add_row(row["name"], *("-" * 4), f"unusable: {row['error']}", "-")
        else:
            table.add_row(*_cells(row))
    Console().print(table)


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["name"],
        row["task"] or "-",
        row["backend"],
        f"{row['parameters'] / 1e6:.2f} M",
        _megabytes(row["bytes"]),
        row["measured"] or "-",
        row["licence"],
    ]


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def _facts(path: Path) -> dict[str, Any]:
    card, parameters, notes = _own(path) or _foreign(path)
    registry = default_registry()
    known = card.backend in registry.names()
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hub.sha256(path),
        **card.model_dump(mode="json"),
        "parameters": parameters,
        "paper": registry.get(card.backend).paper if known else "of a backend that is not here",
        "notes": notes,
    }


def _own(path: Path) -> tuple[Card, int, list[str]] | None:
    """The quick way, without torch: None when the file is not one of ours."""
    try:
        header = read_header(path)
    except CheckpointError:
        return None
    if CARD_KEY not in header.metadata:
        return None
    return parse_card(path, header), header.parameters, []


def _foreign(path: Path) -> tuple[Card, int, list[str]]:
    from restorekit.backends.legacy import read_any

    checkpoint = read_any(path)
    notes = ["a foreign file without a card; the fields are what its weights tell"]
    return checkpoint.card, checkpoint.parameters, notes + list(checkpoint.notes)


def _draw_facts(facts: Mapping[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if value not in (None, "", [], {}):
            table.add_row(key, _text(value))
    Console().print(table)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "\n".join(map(_text, value)) if any(map(_is_long, value)) else str(value)
    return f"{value:,}" if type(value) is int else str(value)


def _is_long(value: object) -> bool:
    return isinstance(value, str | dict)


def _destination(foreign: Path, output: Path | None, overwrite: bool) -> Path:
    path = output or Path()
    if path.is_dir():
        path = path / f"{foreign.stem}.safetensors"
    if path.suffix != ".safetensors":
        better = path.with_suffix(".safetensors")
        raise UsageError(f"{path}: a checkpoint is a .safetensors file; use -o {better}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; add --overwrite, or choose another name with -o")
    return path


def _parse_settings(settings: Iterable[str]) -> dict[str, ConfigValue]:
    parsed = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        try:
            parsed[key] = json.loads(text)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--set {setting}: write KEY=VALUE, such as stages=4 or late=true")
    return plain_config(parsed)


def _report_conversion(path: Path, checkpoint: "Checkpoint", as_json: bool) -> None:
    report = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "backend": checkpoint.card.backend,
        "config": checkpoint.card.config,
        "parameters": checkpoint.parameters,
        "notes": checkpoint.notes,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for note in checkpoint.notes:
        typer.echo(f"note: {note}")
    config = ", ".join(f"{key}={value}" for key, value in checkpoint.card.config.items())
    typer.echo(
        f"{checkpoint.card.backend}({config}), {checkpoint.parameters:,} parameters -> {path} "
        f"({_megabytes(path.stat().st_size)})"
    )


def _verified(target: str) -> dict[str, Any]:
    try:
        path = hub.find_checkpoint(target)
        facts = {"file": str(path), "sha256": hub.sha256(path)}
        return {**facts, **_run_once(path), "ok": True}
    except RestorekitError as error:
        return {"file": target, "ok": False, "error": str(error)}


def _run_once(path: Path) -> dict[str, Any]:
    import torch

    from restorekit.backends.model import load_model

    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        model = load_model(path, device="cpu")
    side = max(model.backend.capabilities.minimum, 32)
    noise = torch.rand(1, model.channels, side, side, generator=torch.Generator().manual_seed(0))
    if not torch.isfinite(model(noise)).all():
        raise CheckpointError(f"{path}: the net gives NaN or infinite numbers")
    return {
        "card": "valid" if _own(path) else "none: a foreign file",
        "backend": model.backend.name,
        "notes": [str(note.message) for note in noted],
    }


def _verdict(report: Mapping[str, Any]) -> str:
    if not report["ok"]:
        return f"FAILED  {report['error']}"
    lines = [
        f"ok      {report['file']}  {report['backend']}, card {report['card']}",
        f"        sha256 {report['sha256']}",
        *(f"        note: {note}" for note in report["notes"]),
    ]
    return "\n".join(lines)
