"""`restorekit models export`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from restorekit.cli.options import AsJson
from restorekit.errors import UsageError


def export(
    model: Annotated[str, typer.Argument(help="Name of an embedded model, or a checkpoint file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The default is ./NAME.onnx.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a model to ONNX for pictures of any size, and check it against the net."""
    from restorekit.backends.engines import SUFFIX
    from restorekit.backends.model import load_model
    from restorekit.export import export_onnx

    path = output or Path(f"{Path(model).stem}{SUFFIX}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; add --overwrite, or choose another name with -o")
    exported = export_onnx(load_model(model, device="cpu"), path)
    sizes = [list(size) for size in exported.sizes]
    if as_json:
        facts = {"file": str(path), "sizes": sizes, "difference": exported.difference}
        typer.echo(json.dumps({**facts, "bytes": path.stat().st_size}, indent=2))
        return
    tried = " and ".join(f"{width}x{height}" for height, width in exported.sizes)
    typer.echo(
        f"{path}  {path.stat().st_size / 1e6:.2f} MB, "
        f"within {exported.difference:.0e} of the net on {tried} pixels"
    )
