"""`restorekit finetune`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from restorekit.cli.check import show_check
from restorekit.cli.options import Device, EventsAsJson, RecipeCheck, RecipeSettings, RunFolder
from restorekit.cli.train import show_run
from restorekit.errors import UsageError


def finetune(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A TOML file or a recipe that ships; needs no net, task or name."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="An embedded model, a checkpoint file of anybody, or the state.pt of a run.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of pairs to tune on.")
    ] = None,
    settings: RecipeSettings = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave these parameters as they are: 'Encoder.*'."),
    ] = None,
    output: RunFolder = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder of -o, alone.")
    ] = False,
    check: RecipeCheck = False,
    device: Device = "auto",
    as_json: EventsAsJson = False,
) -> None:
    """Tune a model on pairs of your own; without a recipe, by a short schedule for small data.

    Weights of another shape are made anew and listed. The card of the result says what it comes
    from, and the numbers before and after.
    """
    from restorekit import api
    from restorekit.training.config import parse_override
    from restorekit.training.finetune import plan_tuning

    if resume:
        if output is None or start or recipe or data or settings or freeze or check:
            raise UsageError("finetune --resume takes the run's folder alone: -o DIR --resume")
        show_run(api.resumed_tuning(output, device=device), as_json=as_json)
        return
    if start is None:
        raise UsageError("name the model to start from: --from denoise-s, or a file")
    overrides: dict[str, Any] = dict(parse_override(written) for written in settings or ())
    if freeze:
        overrides["net.freeze"] = freeze
    plan = plan_tuning(start, recipe, data=data, overrides=overrides)
    if check:
        show_check(api.checking(plan.recipe, output, device=device), as_json=as_json)
        return
    show_run(api.tuning(plan, output, device=device), as_json=as_json)
