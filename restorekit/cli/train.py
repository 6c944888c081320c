"""`restorekit train`."""

import json
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from threading import Event as Flag
from typing import Annotated

import typer

from restorekit.cli.check import show_check
from restorekit.cli.options import Device, EventsAsJson, RecipeCheck, RecipeSettings, RunFolder
from restorekit.cli.render import render
from restorekit.errors import UsageError
from restorekit.events import Event


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A TOML file, or the name of a recipe that ships.")
    ] = None,
    settings: RecipeSettings = None,
    output: RunFolder = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    check: RecipeCheck = False,
    device: Device = "auto",
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the JSON Schema of recipes, for editors.")
    ] = False,
    as_json: EventsAsJson = False,
) -> None:
    """Train a net by a recipe; Ctrl-C saves, --resume goes on bit for bit.

    The folder of the run gets log.csv, state.pt, recipe.json and the best checkpoint so far. On
    several GPUs: torchrun --nproc-per-node 4 -m restorekit train ...; the batch is divided.
    """
    from restorekit import api
    from restorekit.training import config

    if list_recipes:
        for name in config.list_recipes():
            typer.echo(f"{name:28} {config.load_recipe(name, {}).description}")
        return
    if schema:
        typer.echo(json.dumps(config.json_schema(), indent=2))
        return
    if recipe is None:
        raise UsageError("name a recipe: a TOML file or one of restorekit train --list")
    overrides = dict(config.parse_override(written) for written in settings or ())
    loaded = config.load_recipe(recipe, overrides)
    if check:
        show_check(api.checking(loaded, output, device=device), as_json=as_json)
        return
    events = api.training(loaded, output, resume=resume, device=device)
    show_run(events, as_json=as_json)


def show_run(events: Generator[Event, None, None], *, as_json: bool, training: bool = True) -> None:
    """Show the events of a run; Ctrl-C stops it between two of its steps, so that it can save."""
    from restorekit.training.distributed import is_first_process

    with stop_between_events() as stopped:
        going = _until(events, stopped)
        if is_first_process():
            render(going, as_json=as_json, training=training)
        else:
            for _ in going:
                pass
    if stopped.is_set():
        raise KeyboardInterrupt


@contextmanager
def stop_between_events() -> Iterator[Flag]:
    """Set the flag on Ctrl-C or SIGTERM instead of breaking into a half-done step."""
    flag = Flag()
    caught = {
        number: signal.signal(number, lambda *_: flag.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield flag
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)


def _until(events: Generator[Event, None, None], stopped: Flag) -> Iterator[Event]:
    with closing(events):
        for event in events:
            yield event
            if stopped.is_set() and type(event) is Event:
                return
