"""`restorekit models verify`."""

import json
import warnings
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorekit.backends import hub
from restorekit.backends.card import CARD_KEY, read_card, read_header
from restorekit.cli.options import AsJson, Checkpoints, Embedded
from restorekit.errors import CheckpointError, RestorekitError, UsageError

if TYPE_CHECKING:
    from restorekit.evaluation.remeasure import Remeasured
    from restorekit.events import Event


def verify(
    models: Checkpoints = None,
    everything: Embedded = False,
    data_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also measure the cards' other numbers again, on the known sets in this folder.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where the cards are measured again: auto, cpu, cuda ...")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Check files: format, card, weights against their net, finite numbers, one run of the net.

    An exported .onnx file is run by onnxruntime.

    What a card says of the samples that ship is measured again, with --data-root also what it says
    of other sets: means must agree to 0.01 dB, others to 0.001.
    """
    targets = [*(models or []), *(map(str, hub.embedded()) if everything else ())]
    if not targets:
        raise UsageError("nothing to verify; name a model or a file, or use --all")
    if data_root is not None and not data_root.is_dir():
        raise UsageError(f"{data_root}: no such folder; --data-root is the folder with the sets")
    reports = [_verified(target, data_root, device, as_json=as_json) for target in targets]
    if as_json:
        typer.echo(json.dumps(reports, indent=2))
    else:
        for report in reports:
            typer.echo(_verdict(report))
    if not all(report["ok"] for report in reports):
        raise typer.Exit(1)


def _verified(target: str, data_root: Path | None, device: str, *, as_json: bool) -> dict[str, Any]:
    try:
        path = hub.find_checkpoint(target)
        facts = {"file": str(path), "sha256": hub.sha256(path), **_run_once(path)}
        if data_root is None and not _has_sample_rows(path):
            return {**facts, "ok": True}
        return {**facts, **_measured_again(path, data_root, device, as_json=as_json)}
    except RestorekitError as error:
        return {"file": target, "ok": False, "error": str(error)}


def _run_once(path: Path) -> dict[str, Any]:
    import torch

    from restorekit.backends.engines import load_exported
    from restorekit.backends.model import load_model

    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        model = load_exported(path) if _is_exported(path) else load_model(path, device="cpu")
    side = max(model.backend.capabilities.minimum, 32)
    noise = torch.rand(1, model.channels, side, side, generator=torch.Generator().manual_seed(0))
    if not torch.isfinite(model(noise)).all():
        raise CheckpointError(f"{path}: the net gives NaN or infinite numbers")
    return {
        "card": "valid" if _is_exported(path) or _has_card(path) else "none: a foreign file",
        "backend": model.backend.name,
        "notes": [str(note.message) for note in noted],
    }


def _is_exported(path: Path) -> bool:
    from restorekit.backends.engines import SUFFIX

    return path.suffix == SUFFIX


def _has_card(path: Path) -> bool:
    try:
        return CARD_KEY in read_header(path).metadata
    except CheckpointError:
        return False


def _has_sample_rows(path: Path) -> bool:
    from restorekit.evaluation.samples import is_samples

    return _has_card(path) and any(is_samples(row.dataset) for row in read_card(path).measured)


def _measured_again(
    path: Path, data_root: Path | None, device: str, *, as_json: bool
) -> dict[str, Any]:
    """The rows of the card, measured again; not ok if one differs or if none could be measured.

    One on the samples has to be measured: they ship.
    """
    if _is_exported(path):
        raise UsageError(f"{path}: is exported; measure the checkpoint that it was made from again")
    from restorekit.api import drain
    from restorekit.cli.render import render
    from restorekit.evaluation.remeasure import remeasure

    steps = remeasure(path, data_root, device=device)
    rows: list[Remeasured] = []
    if as_json or data_root is None:  # one document, with no events before it; or a second's work
        rows = drain(steps)
    else:
        render(_kept(steps, rows))
    verdicts = [bool(each.agrees) if each.must else each.agrees for each in rows]
    if not rows:
        raise UsageError(f"{path}: its card has no numbers to measure again")
    return {"measured": [*map(_row, rows)], "ok": True in verdicts and False not in verdicts}


def _row(each: "Remeasured") -> dict[str, Any]:
    return {
        "dataset": each.row.dataset,
        "protocol": each.row.protocol,
        "card": each.row.values,
        "now": each.now,
        "agrees": each.agrees,
        "said": each.said,
    }


def _kept(
    events: "Generator[Event, None, list[Remeasured]]", rows: "list[Remeasured]"
) -> "Iterator[Event]":
    """Pass the events on and keep the generator's value, which a loop would lose."""
    rows += yield from events


def _verdict(report: Mapping[str, Any]) -> str:
    if "error" in report:
        return f"FAILED  {report['error']}"
    numbers = report.get("measured", ())
    lines = [
        f"{'ok' if report['ok'] else 'FAILED':6}  {report['file']}  "
        f"{report['backend']}, card {report['card']}",
        f"        sha256 {report['sha256']}",
        *(f"        {row['dataset']}, {row['protocol']}: {row['said']}" for row in numbers),
        *(f"        note: {note}" for note in report["notes"]),
    ]
    return "\n".join(lines)
