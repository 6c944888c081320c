"""Golden files: what a published implementation returned for an input and made-up weights.

A file holds inputs, outputs and the list of the implementation's state-dict keys. The weights are
not in it: they are drawn from the key, the shape and the file's seed, so that a renamed or reshaped
key cannot load by accident. `state_sha256` guards that this machine draws the very same ones.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "golden"

# What training starts at zero would hide its branch from a test.
ZERO_AT_START = (
    "gamma",
    "beta",
    "lamb_l",
    "lamb_h",
    "fscale_d",
    "fscale_h",
    "h",
    "l",
    "inside_all",
)
ONE_AT_START = ("weight", "temperature", "beta")

Draw = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Golden:
    """One golden file."""

    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Give the arguments of the published constructor."""
        return self.about["constructor_args"]

    def input(self, name: str = "input") -> Tensor:
        """Give an input as the net gets it; what is stored in 8 or 16 bits is exact."""
        stored = self.tensors[name]
        return stored.float() / (256 if stored.dtype is torch.uint8 else 1)

    def load_into(self, net: nn.Module) -> nn.Module:
        """Give `net` the recipe's weights; keys, shapes and order must be the published ones."""
        assert spec_of(net.state_dict()) == self.about["state_spec"]
        net.load_state_dict(self.weights(), assign=True)
        return net.eval()

    def weights(self) -> dict[str, Tensor]:
        """Draw the recipe's weights under the published keys."""
        state = {key: draw(key, shape, self.about) for key, shape, _ in self.about["state_spec"]}
        assert sha256(state.values()) == self.about["state_sha256"]
        return state

    def check(self, outputs: Mapping[str, Tensor]) -> None:
        """Compare with every stored output, within the tolerance that the file suggests."""
        assert set(outputs) == set(self.about["outputs"])
        for name, output in outputs.items():
            assert list(output.shape) == self.about["output_shapes"][name]
            ours, theirs = self._comparable(name, output.detach())
            worst = float((ours - theirs).abs().max())
            assert worst <= self.about["suggested_atol"][name], f"{name} differs by {worst:.2e}"

    def _comparable(self, name: str, output: Tensor) -> tuple[Tensor, Tensor]:
        """Pair ours with theirs: of large outputs, the file has exact samples only."""
        if f"{name}_samples" not in self.tensors:
            return output, self.tensors[name]
        positions = self.tensors[f"{name}_index"].long()
        return output.flatten()[positions], self.tensors[f"{name}_samples"]


def golden(name: str) -> Golden:
    """Read a golden file by its name without suffix."""
    with safe_open(FOLDER / f"{name}.safetensors", framework="pt") as file:
        about = {key: _decoded(value) for key, value in file.metadata().items()}
        return Golden(about, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118


def names(prefix: str) -> list[str]:
    """List the golden files whose names start with `prefix`."""
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}*.safetensors"))


def spec_of(state: Mapping[str, Tensor]) -> list[list[Any]]:
    """List key, shape and dtype as golden files do."""
    return [[key, list(t.shape), str(t.dtype).removeprefix("torch.")] for key, t in state.items()]


def draw(key: str, shape: Sequence[int], about: Mapping[str, Any]) -> Tensor:
    """Draw one weight: normal noise in float64, scaled by the kind of weight, rounded once."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    generator = np.random.RandomState((zlib.crc32(key.encode()) + about["seed"]) % 2**32)
    noise: Draw = np.asarray(generator.standard_normal(tuple(shape)))
    weight = _scaling(key, shape, about["gain"])(noise)
    return torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32))


def sha256(tensors: Any) -> str:
    """Hash the bytes of tensors in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _scaling(key: str, shape: Sequence[int], gain: float) -> Callable[[Draw], Draw]:
    kind = key.rpartition(".")[2]
    if kind == "running_var":
        return lambda noise: 1 + 0.1 * np.abs(noise)
    # ConvIR's three-dimensional beta starts at one, NAFNet's four-dimensional one at zero.
    starts_at_one = kind == "temperature" or (kind == "beta" and len(shape) == 3)
    if kind in ZERO_AT_START and not starts_at_one:
        return lambda noise: 0.5 * noise
    if len(shape) < 2 or starts_at_one:
        return lambda noise: (1 if kind in ONE_AT_START else 0) + 0.1 * noise
    # The softmax in front of this one divides by twice the channels.
    lift = shape[1] if key.endswith("modulate.out.weight") else 1
    scale = gain * lift / math.sqrt(math.prod(shape[1:]))
    return lambda noise: noise * scale


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
