"""`restorekit models`: what is there, what a file is, and making checkpoints of foreign files."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from restorekit.backends import hub
from restorekit.backends.card import CARD_KEY, UNKNOWN, Card, parse_card, read_header
from restorekit.backends.methods import METHODS
from restorekit.backends.registry import default_registry
from restorekit.cli.export import export
from restorekit.cli.measure import measure
from restorekit.cli.options import AsJson
from restorekit.cli.settings import parse_settings
from restorekit.cli.verify import verify
from restorekit.errors import CheckpointError, RestorekitError, UsageError
from restorekit.types import Task

if TYPE_CHECKING:
    from restorekit.backends.base import Backend
    from restorekit.backends.checkpoint import Checkpoint

app = typer.Typer(
    no_args_is_help=True,
    help="List, show, convert, measure and verify models and their checkpoint files.",
)

NOTHING: tuple[object, ...] = (None, "", [], {})
"""What a card has where it does not tell."""

app.command("export")(export)
app.command("measure")(measure)
app.command("verify")(verify)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that ship with restorekit, and the methods that need no weights."""
    rows = [_list_row(path) for path in hub.embedded()]
    methods = [_method_row(method) for method in METHODS]
    if as_json:
        typer.echo(json.dumps([*rows, *methods], indent=2))
        return
    if rows:
        _draw_table(rows)
    else:
        typer.echo(f"no embedded models in {hub.weights_folder()}")
    _draw_methods(methods)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Name of an embedded model, or a checkpoint file.")],
    as_json: AsJson = False,
) -> None:
    """Show what a checkpoint is: its net, numbers, limits, licence and hash. Runs no code of it."""
    found = hub.find_model(model)
    facts = _facts(found) if isinstance(found, Path) else _method_facts(*found)
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
    checkpoint = read_any(foreign, parse_settings(settings or []))
    given = {"task": task, "licence": licence, "source": source, "limits": limits}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    rows = tuple(row for report in measured or () for row in measured_in(report, foreign.stem))
    changes["measured"] = (*rows, *checkpoint.card.measured)
    card = checkpoint.card.model_copy(update={"name": name or destination.stem, **changes})
    write_checkpoint(destination, checkpoint.state, card, half=half)
    _report_conversion(destination, replace(checkpoint, card=card), as_json)


@app.command("interpolate")
def interpolate(
    first: Annotated[str, typer.Argument(help="A checkpoint, by file or name.")],
    second: Annotated[str, typer.Argument(help="Another of the same net, trained on from it.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File or folder; the default is ./NAME.safetensors."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Share of the second, 0 to 1.")] = 0.5,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mix the weights of two checkpoints, as ESRGAN does to choose between fidelity and detail."""
    from restorekit.backends.checkpoint import read_checkpoint, write_checkpoint
    from restorekit.backends.interpolation import interpolate as between

    one, other = hub.find_checkpoint(first), hub.find_checkpoint(second)
    destination = _destination(other, output, overwrite)
    mixed = between(read_checkpoint(one), read_checkpoint(other), alpha)
    card = mixed.card.model_copy(update={"name": destination.stem})
    write_checkpoint(destination, mixed.state, card, half=half)
    _report_conversion(destination, replace(mixed, card=card), as_json)


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


def _method_row(method: "Backend") -> dict[str, Any]:
    return {
        "name": method.name,
        "task": method.tasks[0],
        "backend": method.name,
        "parameters": 0,
        "bytes": 0,
        "measured": None,
        "licence": method.licence,
    }


def _draw_methods(rows: Sequence[Mapping[str, Any]]) -> None:
    by_task: dict[str, list[str]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row["name"])
    typer.echo("\nwithout weights, by name (parameters: 'restorekit models show NAME'):")
    for task, names in by_task.items():
        typer.echo(f"  {task:8} {', '.join(names)}")
    typer.echo("  those of sr also as NAME-xSCALE, such as bicubic-x2")


def _method_facts(method: "Backend", named: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": method.name,
        "task": method.tasks[0],
        "does": method.about(),
        "paper": method.paper,
        "licence": method.licence,
        "set by its name": [f"{key}={value}" for key, value in named.items()],
        "parameters, --set KEY=VALUE": method.explained(),
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
            cells = [row["name"], *("-" * 4), f"unusable: {row['error']}", "-"]
        else:
            cells = _cells(row)
        table.add_row(*map(Text, cells))
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
    own = _own(path)
    card, parameters, notes = own or _exported(path) or _foreign(path)
    cost, why_not = _cost(path, card, is_own=own is not None)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": hub.sha256(path),
        **card.model_dump(mode="json"),
        "parameters": parameters,
        **cost,
        **_published(card),
        "notes": [*notes, *why_not],
    }


def _cost(path: Path, card: Card, *, is_own: bool) -> tuple[dict[str, Any], list[str]]:
    """What was measured on the net, and why it was not where it could not be."""
    from restorekit.backends.checkpoint import check_card
    from restorekit.backends.profile import profile

    try:
        if is_own:  # what a card promises may be larger than memory
            check_card(path, card, read_header(path).shapes)
        measured = profile(card)
    except RestorekitError as error:
        return {}, [f"cost and reach of the net are not known: {error}"]
    field = measured.receptive_field
    known = "not measurable" if math.isnan(field) else "whole picture"
    return {
        "macs_per_megapixel": measured.macs_per_megapixel,
        "receptive_field_pixels": int(field) if math.isfinite(field) else known,
    }, []


def _published(card: Card) -> dict[str, Any]:
    """What is known of the weights that others have published for this net."""
    registry = default_registry()
    if card.backend not in registry.names():
        return {"paper": "of a backend that is not here"}
    backend = registry.get(card.backend)
    if card.licence != UNKNOWN:
        return {"paper": backend.paper}
    return {
        "paper": backend.paper,
        "published_for": [task.value for task in backend.tasks],
        "published_licence": backend.licence,
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


def _exported(path: Path) -> tuple[Card, int, list[str]] | None:
    """The card of an exported model, which carries that of its checkpoint; None for other files."""
    from restorekit.backends.engines import SUFFIX, load_exported

    if path.suffix != SUFFIX:
        return None
    card = load_exported(path).card
    net = default_registry().get(card.backend).build(**card.config)
    parameters = sum(weights.numel() for weights in net.parameters())
    return card, parameters, ["exported; what is said of the net is true of its checkpoint"]


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
        if value not in NOTHING:
            table.add_row(key, Text(_text(value)))
    Console().print(table)


def _text(value: object) -> str:
    if isinstance(value, dict):
        given = {key: inner for key, inner in value.items() if inner not in NOTHING}
        return ", ".join(f"{key} {_text(inner)}" for key, inner in given.items())
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
