"""`restorekit models measure`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorekit.backends import hub
from restorekit.cli.options import AsJson, Checkpoints, Device, Embedded
from restorekit.errors import UsageError

if TYPE_CHECKING:
    from restorekit.backends.card import Card


def measure(
    models: Checkpoints = None,
    everything: Embedded = False,
    degradation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the samples are degraded by: a preset, or a degradation with a severity "
            "such as gaussian-noise:3; the default goes by the model's task.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure checkpoints on the samples that ship and write the numbers on their cards.

    The row is what 'models verify' measures again. The weights stay as they are, to the bit.
    """
    from restorekit.api import drain
    from restorekit.backends.checkpoint import replace_card
    from restorekit.evaluation.remeasure import measure_on_samples

    paths = [*map(hub.find_checkpoint, models or ()), *(hub.embedded() if everything else ())]
    if not paths:
        raise UsageError("nothing to measure; name a model or a file, or use --all")
    for path in paths:
        card = drain(measure_on_samples(path, degradation, device=device))
        replace_card(path, card)
        typer.echo(_said(path, card, as_json=as_json))


def _said(path: Path, card: "Card", *, as_json: bool) -> str:
    row = card.measured[-1]
    if as_json:
        return json.dumps({"file": str(path), **row.model_dump()})
    values = ", ".join(f"{name} {value:g}" for name, value in row.values.items())
    return f"{path}  {row.dataset}, {row.protocol}: {values}"
