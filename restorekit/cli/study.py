"""`restorekit study`."""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from restorekit.cli.options import Device, EventsAsJson
from restorekit.cli.train import show_run
from restorekit.events import Event

if TYPE_CHECKING:
    from restorekit.training.trials import Arm


def study(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="What is compared, tuned and fixed.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the study, else runs/NAME.")
    ] = None,
    device: Device = "auto",
    as_json: EventsAsJson = False,
) -> None:
    """Compare hyper-parameters fairly: for each value the nuisance ones are tuned by Optuna.

    Give the same command again to go on with a study that was interrupted, or to raise its budget.
    """
    from restorekit import api
    from restorekit.training.comparison import as_markdown, compare, write_comparison
    from restorekit.training.study import load_study

    loaded = load_study(study)
    folder = output or api.RUNS / loaded.name
    arms: list[Arm] = []

    def kept() -> Generator[Event, None, None]:
        arms.extend((yield from api.studying(loaded, folder, device=device)))

    show_run(kept(), as_json=as_json, training=False)
    written = write_comparison(folder, loaded, arms)
    if not as_json:
        Console().print(Markdown(as_markdown(loaded, compare(loaded, arms))))
        typer.echo(f"written: {', '.join(map(str, written))}")
