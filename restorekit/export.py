"""Models as ONNX files of any size, each checked against the net that it was made from."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from restorekit.backends.card import CARD_KEY
from restorekit.backends.engines import SUFFIX, check_engine, load_exported
from restorekit.backends.model import Model
from restorekit.errors import CheckpointError, MissingExtraError, UsageError
from restorekit.files import atomic_path

TOLERANCE = 1e-4
"""The largest difference from the net that is let pass; a level of 8 bits is 4e-3."""
OPSET = 18
_LONGEST = 1 << 15


@dataclass(frozen=True)
class Exported:
    """An exported file and how far its pictures were from those of the net."""

    path: Path
    sizes: tuple[tuple[int, int], ...]
    """Height and width of what it was tried on, other ones than it was traced on."""
    difference: float
    """The largest absolute one, of values in [0, 1]."""


def export_onnx(model: Model, path: Path) -> Exported:
    """Write a model as ONNX with dynamic height and width, then run it on two other sizes.

    The file carries the model's card. Raises UsageError for a path without the suffix .onnx,
    MissingExtraError, or CheckpointError for a net that cannot be exported or that gives another
    picture when it is; nothing is left behind then.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: an exported model is an {SUFFIX} file; name it so")
    if model.backend.capabilities.overview:
        raise UsageError(
            f"{model.card.name}: {model.backend.name} looks at a reduced copy of the whole "
            "picture, and a graph of tiles has none; use it with torch"
        )
    if not any(True for _ in model.net.parameters()):
        raise UsageError(f"{model.card.name} has no weights: there is no net to export")
    with atomic_path(path) as temporary:
        _write(model, temporary)
        return _checked(model, temporary, path)


def on_engine(model: Model, engine: str) -> Model:
    """Run a model by another engine than torch; it is exported, which takes some seconds."""
    check_engine(engine)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{model.card.name}{SUFFIX}"
        return load_exported(export_onnx(model, path).path, engine)


def _write(model: Model, path: Path) -> None:
    net = _Picture(model).eval()
    example, *_ = _examples(model)
    step = model.multiple
    least = max(1, -(-model.backend.capabilities.minimum // step))
    sides = {
        2: step * torch.export.Dim("rows", min=least, max=_LONGEST),
        3: step * torch.export.Dim("columns", min=least, max=_LONGEST),
    }
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                dynamic_shapes=(sides,),
                input_names=["degraded"],
                output_names=["restored"],
            )
    except ImportError:
        raise MissingExtraError("onnx and onnxscript", "onnx", "exporting") from None
    except Exception as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise CheckpointError(
            f"{model.card.name}: {model.backend.name} cannot be exported to ONNX: {reason}; "
            "use it with torch"
        ) from None
    if program is None:
        raise CheckpointError(f"{model.card.name}: torch gave no ONNX program")
    program.model.metadata_props[CARD_KEY] = model.card.model_dump_json()
    program.save(str(path))


def _checked(model: Model, temporary: Path, path: Path) -> Exported:
    exported = load_exported(temporary)
    _, *examples = _examples(model)
    with torch.inference_mode():
        differences = [_difference(exported.net(x), _Picture(model)(x)) for x in examples]
    difference = float(torch.stack(differences).max())
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{model.card.name}: as ONNX it gives other pictures, by {difference:.1e} where "
            f"{TOLERANCE:.0e} is allowed; nothing was written"
        )
    sizes = tuple((x.shape[2], x.shape[3]) for x in examples)
    return Exported(path, sizes, difference)


def _difference(exported: Tensor, own: Tensor) -> Tensor:
    """The largest, of values beyond 1 as a part of the largest value: rounding grows with them."""
    return (exported - own).abs().max() / own.abs().max().clamp(min=1)


class _Picture(nn.Module):
    """The net with nothing but the restored picture, in the layout that exporters know."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.net = model.net

    def forward(self, x: Tensor) -> Tensor:
        return self.model.picture(self.net(x))


def _examples(model: Model) -> Iterator[Tensor]:
    """The picture to trace and two of other sizes, all noise."""
    generator = torch.Generator().manual_seed(0)
    step = model.multiple
    more = max(0, model.backend.capabilities.minimum - 48)
    for height, width in ((64, 96), (80, 56), (48, 112)):
        sides = (-(-(side + more) // step) * step for side in (height, width))
        yield torch.rand(1, model.channels, *sides, generator=generator)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of its own inner life off the screen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
