"""`restorekit runs`: what the logs of training runs tell."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from restorekit.training.runs import RunLog

app = typer.Typer(no_args_is_help=True, help="Look at training runs.")

PLOT = "plot.png"
SHOWN = 12
"""So many validations are listed, evenly chosen, the first, the last and the best among them."""


@app.callback()
def runs() -> None:
    """Look at training runs."""


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Where to draw, else DIR/plot.png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON and draw nothing.")] = False,
) -> None:
    """Show the figures of a run as a table, and draw loss, PSNR and SSIM over the steps."""
    from restorekit.media.image import write_image
    from restorekit.training.plot import draw_panels
    from restorekit.training.runs import read_run

    run = read_run(folder)
    if as_json:
        typer.echo(json.dumps(facts(run) | {"validations": run.validations}, indent=2))
        return
    console = Console(highlight=False)
    _draw_facts(console, facts(run))
    _draw_validations(console, run)
    if panels := run.panels():
        path = plot or folder / PLOT
        write_image(path, draw_panels(panels, f"{run.recipe['name']}, {run.recipe['task']}"))
        console.print(Text(f"drawn: {path}"), soft_wrap=True)


def facts(run: "RunLog") -> dict[str, Any]:
    """Sum a run up in a few figures."""
    last = run.steps[-1] if run.steps else {}
    mean = run.seconds_per_step
    return {
        "recipe": run.recipe["name"],
        "task": run.recipe["task"],
        "net": run.recipe["net"]["backend"],
        "steps": int(last.get("step", 0)),
        "steps of the recipe": run.total,
        "seconds per step": round(mean, 4) if run.steps else None,
        "losses, mean of the last 100": run.recent_losses(),
        "best": dict(run.best) if run.best else None,
    }


def _draw_facts(console: Console, figures: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in figures.items():
        if isinstance(value, dict):
            value = "  ".join(f"{name} {number:.5g}" for name, number in value.items())
        if value is not None:
            table.add_row(key, Text(str(value)))
    console.print(table)


def _draw_validations(console: Console, run: "RunLog") -> None:
    if not run.validations:
        console.print("no validation yet")
        return
    table = Table(box=None, pad_edge=False, title="validations", title_justify="left")
    names = [name for name in run.validations[-1] if name != "step"]
    for name in ("step", *names, ""):
        table.add_column(name, justify="right" if name else "left")
    for row in run.chosen_validations(SHOWN):
        numbers = [f"{row[name]:.4f}" if name in row else "" for name in names]
        table.add_row(f"{row['step']:g}", *numbers, "best" if row is run.best else "")
    console.print(table)
