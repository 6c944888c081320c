"""`restorekit degrade`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.cli.options import EventsAsJson
from restorekit.cli.render import render
from restorekit.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from restorekit.degradations.base import MapName
    from restorekit.degradations.plan import PairJob

Inputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="IN...", help="Pictures, folders, globs or .txt lists."),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the pairs.")
]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", metavar="RECIPE", help="How to degrade; see above.")
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
Count = Annotated[int, typer.Option(min=1, help="Degraded copies of each picture.")]
Save = Annotated[
    str,
    typer.Option(metavar="KIND,...", help="What else to write: kernel, depth, mask, map."),
]
Depth = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Depth maps of the same names, one channel, black at the camera, white a depth of 1; "
        "else depth is guessed.",
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes; the bytes stay the same.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a run was interrupted.")]
Replay = Annotated[
    Path | None, typer.Option(metavar="MANIFEST", help="Make the pairs of a manifest again.")
]
Recursive = Annotated[bool, typer.Option("--recursive", help="Folders below, too.")]
ListAll = Annotated[bool, typer.Option("--list", help="List all degradations and presets.")]
Preview = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Show all severities of a degradation, or five draws of a recipe, on one picture; "
        "-o is the picture to write.",
    ),
]


def degrade(
    inputs: Inputs = None,
    output: Output = None,
    recipe: RecipeName = None,
    seed: Seed = 0,
    count: Count = 1,
    save: Save = "",
    depth: Depth = None,
    workers: Workers = 1,
    resume: Resume = False,
    replay: Replay = None,
    recursive: Recursive = False,
    list_all: ListAll = False,
    preview: Preview = None,
    as_json: EventsAsJson = False,
) -> None:
    """Make pairs of degraded pictures and references, reproducible to the byte.

    Writes degraded/, reference/ and manifest.jsonl, which holds every drawn
    parameter and the hash of every file. The bytes do not depend on the number
    of workers, nor on what else is degraded.

    RECIPE is a preset of --list, a TOML file, a degradation with a severity
    (haze:3), or a corruption of ImageNet-C with one (imagenet-c:shot_noise:2).
    Of its fifteen all but frost: gaussian_noise, shot_noise, impulse_noise,
    defocus_blur, glass_blur, motion_blur, zoom_blur, snow, fog, brightness,
    contrast, elastic_transform, pixelate, jpeg_compression; besides them
    speckle_noise, gaussian_blur, spatter and saturate.

    gopro-like averages the frames of videos, or of folders of frames.
    """
    if list_all:
        for line in _listed():
            typer.echo(line)
        return
    if preview is not None:
        _show(preview, inputs, output, seed)
        return
    if not inputs or output is None or (recipe is None) == (replay is None):
        raise UsageError("give pictures, -o DIR, and either --recipe or --replay; see degrade -h")
    from restorekit.degradations.pairs import make_pairs
    from restorekit.degradations.plan import refuse_output_inside, replay_pairs

    refuse_output_inside(output, inputs)
    if replay is not None:
        _refuse_settings(seed=seed, count=count - 1, save=save)
        jobs = replay_pairs(replay, inputs, recursive=recursive, depths=depth)
    else:
        wish = (str(recipe), seed, count, _kinds(save), depth)
        jobs = _plan(inputs, *wish, recursive=recursive)
    if render(make_pairs(jobs, output, workers=workers, resume=resume), as_json=as_json):
        raise typer.Exit(1)


def _plan(
    inputs: Sequence[str],
    recipe: str,
    seed: int,
    count: int,
    save: "tuple[MapName, ...]",
    depths: Path | None,
    *,
    recursive: bool,
) -> "list[PairJob]":
    from restorekit.degradations.plan import Wish, plan_pairs
    from restorekit.degradations.recipe import load_recipe

    name = Path(recipe).stem if Path(recipe).is_file() else recipe
    wish = Wish(load_recipe(recipe), name, seed, count, save, depths)
    return plan_pairs(inputs, wish, recursive=recursive)


def _refuse_settings(**given: object) -> None:
    for option, value in given.items():
        if value:
            raise UsageError(f"--{option} has no effect on a --replay: the manifest has it")


def _kinds(save: str) -> "tuple[MapName, ...]":
    from restorekit.degradations.pairs import SUFFIXES

    written = [kind.strip() for kind in save.split(",") if kind.strip()]
    for kind in written:
        if kind not in SUFFIXES:
            raise UnknownNameError("--save", kind, SUFFIXES)
    return tuple(kind for kind in SUFFIXES if kind in written)


def _listed() -> Iterator[str]:
    from restorekit.degradations.catalog import DEGRADATIONS
    from restorekit.degradations.recipe import list_presets, load_recipe

    yield "degradations, each with severities 1 to 5, as in haze:3"
    for degradation in DEGRADATIONS:
        said = " ".join((degradation.__doc__ or "").partition("\n\n")[0].split())
        yield f"  {degradation.name:24} {said}"
    yield "presets"
    for name in list_presets():
        yield f"  {name:24} {load_recipe(name).description}"


def _show(name: str, inputs: list[str] | None, output: Path | None, seed: int) -> None:
    from restorekit.degradations.preview import preview
    from restorekit.media.image import read_image, write_image

    if inputs is None or len(inputs) != 1 or output is None:
        raise UsageError("--preview shows one picture: degrade IN --preview NAME -o sheet.png")
    if output.exists():
        raise UsageError(f"{output}: is already there; name another file for the sheet")
    write_image(output, preview(name, read_image(Path(inputs[0])), seed=seed))
    typer.echo(f"{output}")
