"""The `restorekit` command."""

from typing import Annotated

import typer

from restorekit import __version__
from restorekit.cli import datasets, metrics, models, runs
from restorekit.cli.degrade import degrade
from restorekit.cli.eval import evaluate
from restorekit.cli.failures import CommandGroup
from restorekit.cli.finetune import finetune
from restorekit.cli.restore import restore
from restorekit.cli.study import study
from restorekit.cli.train import train

app = typer.Typer(
    cls=CommandGroup,
    name="restorekit",
    help="Restore photographs; train, measure and degrade with the same tool.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(restore)
app.command()(train)
app.command()(finetune)
app.command()(study)
app.command("eval")(evaluate)
app.command()(degrade)
app.add_typer(models.app, name="models")
app.add_typer(datasets.app, name="datasets")
app.add_typer(metrics.app, name="metrics")
app.add_typer(runs.app, name="runs")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"restorekit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Restore photographs; train, measure and degrade with the same tool."""
