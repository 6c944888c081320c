"""Exported models run by other engines than torch.

An exported model is an ONNX file whose metadata carry the card of the checkpoint it came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from restorekit.backends.card import CARD_KEY, Card
from restorekit.backends.model import Model
from restorekit.backends.registry import default_registry
from restorekit.errors import CheckpointError, MissingExtraError, UnknownNameError, UsageError

SUFFIX = ".onnx"

Samples = NDArray[np.float32]
Run = Callable[[Samples], Samples]


class Exported(nn.Module):
    """A net that another engine runs on the CPU; float32 (N, C, H, W) in and out."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def forward(self, x: Tensor) -> Tensor:
        """Run the engine."""
        return torch.from_numpy(self._run(x.float().contiguous().numpy()))


def load_exported(path: str | Path, engine: str = "onnxruntime") -> Model:
    """Open an exported model.

    Raises as `check_engine` does, UsageError for torch, which cannot run such files,
    MissingExtraError where the engine is not installed, CheckpointError for a file that it cannot
    open or that has no card.
    """
    path = Path(path)
    if engine == "torch":
        raise UsageError(f"{path}: is exported, torch cannot run it; use {' or '.join(ENGINES)}")
    check_engine(engine)
    if not path.is_file():
        raise UsageError(f"{path}: no such exported model; make one with restorekit models export")
    try:
        run, said = ENGINES[engine](path)
    except ImportError:
        raise MissingExtraError(engine, engine, f"running {path.name}") from None
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise CheckpointError(f"{path}: {engine} cannot open this file: {first}") from None
    if said is None:
        raise CheckpointError(
            f"{path}: has no card of restorekit, so its sizes and range are not known; "
            "export it with restorekit models export"
        )
    card = Card.model_validate_json(said)
    backend = default_registry().get(card.backend)
    # The file holds the restored picture alone, and its numbers are float32.
    able = replace(backend.capabilities, half=False, bfloat16=False)
    backend = replace(backend, result="tensor", capabilities=able)
    return Model(Exported(run), card, backend, torch.device("cpu"))


def check_engine(name: str) -> None:
    """Raise UnknownNameError, with the nearest names, for what is no engine."""
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ["torch", *ENGINES])


def _onnxruntime(path: Path) -> tuple[Run, str | None]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Samples) -> Samples:
        restored: Samples = session.run(None, {name: x})[0]
        return restored

    return run, session.get_modelmeta().custom_metadata_map.get(CARD_KEY)


def _openvino(path: Path) -> tuple[Run, str | None]:
    import openvino

    core = openvino.Core()
    graph = core.read_model(path)
    place = ["framework", CARD_KEY]
    said = graph.get_rt_info(place).astype(str) if graph.has_rt_info(place) else None
    # Left alone, OpenVINO computes in bfloat16 where the processor can.
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(x: Samples) -> Samples:
        return np.array(compiled(x)[0])

    return run, said


ENGINES: Final[Mapping[str, Callable[[Path], tuple[Run, Any]]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""Engines by the name of their package, which is also that of the extra that installs it."""
