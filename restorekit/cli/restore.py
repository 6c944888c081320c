"""`restorekit restore`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from restorekit.cli.options import Device, EventsAsJson
from restorekit.errors import UsageError
from restorekit.types import Precision, Task

if TYPE_CHECKING:
    from restorekit.media.paths import Job


Inputs = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="Pictures, folders, globs, or .txt lists of them."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", metavar="OUT", help="Folder, or file for one picture; else beside IN."
    ),
]
TaskName = Annotated[Task | None, typer.Option(help="What to do, by the embedded model.")]
ModelName = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="A model or method of 'models list', or a checkpoint."),
]
Scale = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="How many times larger sr makes a picture; the default is 2.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Tell the model something, such as sigma=15 (noise, in 1/255); see 'models show'.",
    ),
]
Tile = Annotated[
    str, typer.Option(metavar="auto|N|0", help="Side of the tiles in pixels; 0 is no tiles.")
]
Overlap = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Pixels that neighbouring tiles share.")
]
Arithmetic = Annotated[Precision, typer.Option(help="The arithmetic of the net.")]
Engine = Annotated[
    str | None, typer.Option(help="What runs the net: torch, onnxruntime or openvino.")
]
Strength = Annotated[
    float, typer.Option(min=0, max=1, help="How much of the restored picture to mix in.")
]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Average eight orientations: 8 times slower.")
]
Compare = Annotated[bool, typer.Option("--compare", help="Also write a before/after picture.")]
Quality = Annotated[
    int, typer.Option(min=0, max=100, help="Of JPEG and WebP; WebP is lossless at 100.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Search folders in folders.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out what is already there.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and say what would be written.")
]


def restore(
    inputs: Inputs,
    output: Output = None,
    task: TaskName = None,
    model: ModelName = None,
    scale: Scale = None,
    settings: Settings = None,
    tile: Tile = "auto",
    overlap: Overlap = None,
    device: Device = "auto",
    precision: Arithmetic = Precision.AUTO,
    engine: Engine = None,
    strength: Strength = 1.0,
    ensemble: Ensemble = False,
    compare: Compare = False,
    quality: Quality = 95,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    dry_run: DryRun = False,
    as_json: EventsAsJson = False,
) -> None:
    """Restore pictures; depth, transparency, colour profile, EXIF and XMP are kept."""
    from restorekit import api
    from restorekit.cli.render import render
    from restorekit.cli.settings import parse_settings
    from restorekit.inference.jobs import check_destinations, run_jobs
    from restorekit.inference.pipeline import Restorer

    side = parse_tile(tile)
    jobs = _plan(inputs, output, recursive=recursive, overwrite=overwrite)
    policy = {"compare": compare, "overwrite": overwrite, "skip_existing": skip_existing}
    check_destinations(jobs, **policy)
    restorer = Restorer(
        api.choose_model(
            task,
            model,
            device=device,
            settings=parse_settings(settings or []),
            engine=engine,
            scale=scale,
        ),
        tile=side,
        overlap=overlap,
        precision=precision,
        strength=strength,
        ensemble=ensemble,
    )
    if dry_run:
        _show_plan(jobs, as_json=as_json)
    elif render(run_jobs(jobs, restorer, quality=quality, **policy), as_json=as_json):
        raise typer.Exit(1)


def parse_tile(text: str) -> int | Literal["auto"]:
    """Read the value of --tile; UsageError says what is accepted."""
    if text == "auto":
        return "auto"
    if text.isdecimal():
        return int(text)
    raise UsageError(f"--tile '{text}': give auto, a number of pixels, or 0 for no tiles")


def _plan(
    inputs: Sequence[str], output: str | None, *, recursive: bool, overwrite: bool
) -> "list[Job]":
    from restorekit.inference.jobs import COMPARE
    from restorekit.media.paths import collect, plan_jobs, without_outputs

    sources = without_outputs(collect(inputs, recursive=recursive), output, suffix=COMPARE)
    return plan_jobs(sources, output, overwrite=overwrite)


def _show_plan(jobs: "Sequence[Job]", *, as_json: bool) -> None:
    for job in jobs:
        paths = {"source": str(job.source), "destination": str(job.destination)}
        typer.echo(
            json.dumps({"event": "Planned", **paths})
            if as_json
            else "{source} -> {destination}".format(**paths)
        )
