"""`restorekit restore`."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from restorekit.cli.options import Device, EventsAsJson
from restorekit.errors import UsageError
from restorekit.types import Precision, Task

if TYPE_CHECKING:
    from restorekit.events import FileSkipped
    from restorekit.inference.jobs import Files
    from restorekit.media.paths import Job, Source


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
Arithmetic = Annotated[
    Precision,
    typer.Option(help="The arithmetic of the net; auto is what is fast and exact enough here."),
]
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
    from restorekit.inference.jobs import check_destinations, files_of, run_jobs
    from restorekit.inference.pipeline import Restorer

    side = parse_tile(tile)
    jobs, left_out = _plan(inputs, output, recursive=recursive, overwrite=overwrite)
    wanted = {"compare": compare, "skip_existing": skip_existing}
    check_destinations(jobs, overwrite=overwrite, **wanted)
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
        _show_plan(files_of(jobs, **wanted), left_out, as_json=as_json)
        return
    events = run_jobs(
        jobs, restorer, overwrite=overwrite, quality=quality, left_out=left_out, **wanted
    )
    if render(events, as_json=as_json):
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
) -> "tuple[list[Job], list[FileSkipped]]":
    """Return the jobs, and the pictures that were named and are none, with the reason."""
    from restorekit.inference.jobs import COMPARE
    from restorekit.media.paths import collect, plan_jobs, without_outputs

    found = collect(inputs, recursive=recursive)
    sources = without_outputs(found, output, suffix=COMPARE)
    jobs = plan_jobs(sources, output, overwrite=overwrite)
    return jobs, _left_out(found, jobs)


def _left_out(found: "Iterable[Source]", jobs: "Iterable[Job]") -> "list[FileSkipped]":
    from restorekit.events import FileSkipped

    kept = {job.source for job in jobs}
    reason = "has the name of what an earlier run made of another one; name it alone to restore it"
    return [
        FileSkipped(source.path, reason)
        for source in found
        if source.root is None and source.path not in kept
    ]


def _show_plan(
    planned: "Iterable[Files]", left_out: "Iterable[FileSkipped]", *, as_json: bool
) -> None:
    from restorekit.cli.render import describe
    from restorekit.events import FileSkipped, as_line

    for each in (*left_out, *(files.skipped or files for files in planned)):
        if isinstance(each, FileSkipped):
            typer.echo(as_line(each) if as_json else describe(each))
        else:
            typer.echo(_planned(each, as_json=as_json))


def _planned(files: "Files", *, as_json: bool) -> str:
    source = str(files.job.source)
    written = [str(path) for path in (files.restored, files.comparison) if path]
    if not as_json:
        return f"{source} -> {', '.join(written)}"
    compared = {"compare": str(files.comparison)} if files.comparison else {}
    return json.dumps({"event": "Planned", "source": source, "destination": written[0], **compared})
