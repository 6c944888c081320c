"""`restorekit degrade`."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli.render import render
from restorekit.errors import UsageError


def degrade(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="IN...", help="Pictures, folders, globs or .txt lists."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the pairs.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A preset of --list, or a TOML file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Degraded copies of each picture.")] = 1,
    replay: Annotated[
        Path | None, typer.Option(metavar="MANIFEST", help="Make the pairs of a manifest again.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Folders below, too.")] = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the presets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write events as JSON lines.")] = False,
) -> None:
    """Make pairs of degraded pictures and references, reproducible to the byte.

    Writes degraded/, reference/ and manifest.jsonl, which holds every drawn parameter.
    """
    from restorekit.degradations.pairs import make_pairs, plan_pairs, replay_pairs
    from restorekit.degradations.recipe import list_presets, load_recipe
    from restorekit.media.paths import collect

    if list_recipes:
        for name in list_presets():
            typer.echo(f"{name:20} {load_recipe(name).description}")
        return
    if not inputs or output is None or (recipe is None) == (replay is None):
        raise UsageError("give pictures, -o DIR, and either --recipe or --replay; see degrade -h")
    sources = collect(inputs, recursive=recursive)
    if replay is not None:
        jobs = replay_pairs(replay, sources)
    else:
        jobs = plan_pairs(sources, load_recipe(str(recipe)), seed=seed, count=count)
    if render(make_pairs(jobs, output), as_json=as_json):
        raise typer.Exit(1)
