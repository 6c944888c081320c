"""Results per picture, written down as they come, so that an interrupted run can go on.

One JSON object a line. A line is found again by its key: the model's weights, the set, the whole
protocol, the device, and size and time of both files. What changed is measured anew.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from restorekit.data.pairs import Pair
from restorekit.errors import DataError, UsageError
from restorekit.evaluation.run import PairResult
from restorekit.metrics.protocols import Protocol

FORMAT = 1


@dataclass(frozen=True)
class Measurement:
    """Which model is measured on which set in which protocol, and where."""

    model: str
    identity: str
    """The hash of the weights; for a model without weights its name and restorekit's version."""
    dataset: str
    protocol: Protocol
    device: str

    def key(self, pair: Pair) -> str:
        """Name the result of a pair: 64 hexadecimal digits."""
        files = [
            (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else str(path)
            for path in (pair.degraded, pair.reference)
        ]
        protocol = asdict(self.protocol)
        said = [version("restorekit"), self.identity, self.dataset, protocol, self.device]
        line = json.dumps([*said, pair.name, files], sort_keys=True)
        return hashlib.sha256(line.encode()).hexdigest()


def open_journal(path: Path) -> dict[str, PairResult]:
    """Read the results of a journal by key and make it ready to go on; empty where there is none.

    A last line that was cut off, by a killed process say, is taken away. Raises DataError for a
    file that is no journal, which is left as it is.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; a journal is a file")
    content = path.read_bytes() if path.is_file() else b""
    whole, newline, cut_off = content.rpartition(b"\n")
    known = {}
    for number, line in enumerate((whole + newline).splitlines(), 1):
        try:
            entry = json.loads(line)
            if entry.pop("format") != FORMAT:
                raise ValueError
            known[entry["key"]] = _result(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{path}, line {number}: not a result as eval journals it; choose another place "
                "for the report, or remove the file"
            ) from None
    if cut_off:
        with path.open("r+b") as file:
            file.truncate(len(content) - len(cut_off))
    return known


def append(path: Path, measurement: Measurement, pair: Pair, result: PairResult) -> None:
    """Add the result of a pair; what is written survives the end of the process.

    Raises DataError where it cannot be written.
    """
    entry = {
        "format": FORMAT,
        "key": measurement.key(pair),
        "model": measurement.model,
        "identity": measurement.identity,
        "dataset": measurement.dataset,
        "protocol": measurement.protocol.id,
        **asdict(result),
        "degraded": plain(result.degraded),
        "restored": plain(result.restored),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); make room, then go on with "
            "--resume: what is in it already is not measured again"
        ) from error


def plain(values: Mapping[str, float]) -> dict[str, float | str | None]:
    """Make numbers ready for JSON."""
    return {name: plain_number(value) for name, value in values.items()}


def plain_number(value: float) -> float | str | None:
    """Make a number ready for JSON: NaN, which is no value, becomes null, infinity the text inf."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def number(value: float | str | None) -> float:
    """Read a number as `plain_number` has written it."""
    return math.nan if value is None else float(value)


def _result(entry: Mapping[str, Any]) -> PairResult:
    return PairResult(
        name=str(entry["name"]),
        pixels=int(entry["pixels"]),
        degraded={name: number(value) for name, value in entry["degraded"].items()},
        restored={name: number(value) for name, value in entry["restored"].items()},
        seconds=float(entry["seconds"]),
        peak_bytes=int(entry["peak_bytes"]),
        groups=tuple(entry["groups"]),
        undefined=tuple(entry.get("undefined", ())),
    )
