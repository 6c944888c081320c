"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]
EventsAsJson = Annotated[bool, typer.Option("--json", help="Write events as JSON lines.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")]
Checkpoints = Annotated[
    list[str] | None, typer.Argument(help="Names of embedded models, or checkpoint files.")
]
Embedded = Annotated[bool, typer.Option("--all", help="All embedded models.")]
RunFolder = Annotated[
    Path | None, typer.Option("-o", "--output", help="Folder of the run, else runs/NAME.")
]
RecipeSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe."),
]
RecipeCheck = Annotated[
    bool, typer.Option("--check", help="Only check the pictures and time a step.")
]
