"""From a state dict to the backend and the configuration that fit it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from restorekit.backends.base import Backend
from restorekit.backends.registry import Registry, default_registry
from restorekit.errors import UnknownNetError

Shapes = Mapping[str, tuple[int, ...]]

_DRAWS: Final = (
    nn.init.kaiming_uniform_,
    nn.init.uniform_,
    nn.init.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.normal_,
)
_MOST_DRAWS: Final = 20_000
"""More than any net has layers; a card can ask for more than there is time for."""
# PyTorch adds these counters by itself; files from before version 0.4.1 lack them.
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Fit:
    """How far the shapes of a file agree with those of a net."""

    backend: Backend
    config: dict[str, Any]
    matched: int
    expected: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]
    """Keys of both with different shapes, as "key (file AxB, net CxD)"."""
    problem: str = ""
    """Why the net's configuration could not be read off the file, or the net not be built."""

    @property
    def shared(self) -> int:
        """How many keys file and net have in common, whatever their shapes."""
        return self.matched + len(self.misshaped)

    @property
    def exact(self) -> bool:
        """Whether a strict load will work."""
        return not (self.missing or self.unexpected or self.misshaped or self.problem)

    def summary(self) -> str:
        """Say how many keys match and what differs."""
        if not self.expected:
            return self.problem
        counts = f"{self.matched} of {self.expected} keys match, {self.differences()}"
        return f"{counts} ({self.problem})" if self.problem else counts

    def differences(self) -> str:
        """Say what differs, the first keys of each kind by name."""
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshaped,
        }
        return ", ".join(
            f"{len(keys)} {kind} ({_first(keys)})" for kind, keys in kinds.items() if keys
        )


def detect(
    state: Mapping[str, Tensor], registry: Registry | None = None
) -> tuple[Backend, dict[str, Any]]:
    """Find the backend and the configuration that load `state` strictly.

    Where the file is in another program's layout, it is `backend.adopted(state)` that loads.
    Raises UnknownNetError with the nearest backends: how many keys match, which are missing,
    unexpected or of another shape.
    """
    backends = [b for b in registry or default_registry() if not b.weightless]
    adopted = {backend.name: _try_adopt(backend, state) for backend in backends}
    candidates = [backend for backend in backends if backend.matches(adopted[backend.name])]
    fits = [_try_fit(backend, adopted[backend.name]) for backend in candidates]
    for fit in fits:
        if fit.exact:
            return fit.backend, fit.config
    others = [_try_fit(b, adopted[b.name]) for b in backends if b not in candidates]
    near = sorted((fit for fit in others if fit.shared), key=lambda fit: -fit.shared)
    raise UnknownNetError(_describe(state, [*fits, *near][:3], backends))


def fit_shapes(backend: Backend, config: Mapping[str, Any], shapes: Shapes) -> Fit:
    """Compare `shapes` with the net that `config` makes, which is built without memory.

    Raises UsageError when the net does not take `config`.
    """
    expected = shapes_of(outline(backend, config).state_dict())
    both = expected.keys() & shapes.keys()
    misshaped = sorted(key for key in both if expected[key] != shapes[key])
    return Fit(
        backend,
        dict(config),
        matched=len(both) - len(misshaped),
        expected=len(expected),
        missing=tuple(k for k in expected if k not in shapes and not k.endswith(_COUNTER)),
        unexpected=tuple(key for key in shapes if key not in expected),
        misshaped=tuple(
            f"{key} (file {_by(shapes[key])}, net {_by(expected[key])})" for key in misshaped
        ),
    )


def outline(backend: Backend, config: Mapping[str, Any]) -> nn.Module:
    """Make a net of shapes alone, on the meta device: without memory and without numbers.

    Raises UsageError when the net does not take `config`.
    """
    with torch.device("meta"), _Undrawn():
        return backend.build(**config)


class _Undrawn(TorchFunctionMode):
    """Draw no random weights: for shapes alone that would import a compiler, two seconds long.

    Raises ValueError in a net with too many layers.
    """

    draws = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func not in _DRAWS:
            return func(*args, **kwargs)
        self.draws += 1
        if self.draws > _MOST_DRAWS:
            raise ValueError("it has too many layers")
        return (*args, *kwargs.values())[0]


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Map the keys of a state dict to shapes."""
    return {key: tuple(value.shape) for key, value in state.items()}


# In the next three, the code of a net, maybe another package's, meets a state dict that is not its
# own: whatever it raises means that it does not fit.


def _try_adopt(backend: Backend, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    try:
        return backend.adopted(state)
    except Exception:
        return {}


def _try_fit(backend: Backend, state: Mapping[str, Tensor]) -> Fit:
    try:
        return fit_shapes(backend, backend.infer_config(state), shapes_of(state))
    except Exception as error:
        return _fit_default(backend, state, f"{type(error).__name__}: {error}")


def _fit_default(backend: Backend, state: Mapping[str, Tensor], problem: str) -> Fit:
    try:
        fit = fit_shapes(backend, {}, shapes_of(state))
    except Exception:
        fit = Fit(backend, {}, 0, 0, (), (), ())
    return replace(fit, problem=f"its configuration cannot be told: {problem}")


def _describe(state: Mapping[str, Tensor], near: list[Fit], backends: list[Backend]) -> str:
    lines = [f"no backend fits the {len(state)} keys of the file"]
    lines += [f"{fit.backend.name}: {fit.summary()}" for fit in near]
    if not near:
        known = ", ".join(backend.name for backend in backends)
        lines.append(f"none resembles it (known: {known}); it begins with {_first(state)}")
    if _is_discriminator(state):
        lines.append("it looks like the discriminator of a GAN: take the generator's file instead")
    return "; ".join(lines)


def _is_discriminator(state: Mapping[str, Tensor]) -> bool:
    """Guess from a spectral norm, or from pictures that end in one number."""
    if any(key.endswith(".weight_orig") for key in state):
        return True
    weights = [value for value in state.values() if value.ndim in (2, 4)]
    if not weights or weights[0].ndim < 4:
        return False
    return weights[0].shape[1] >= 3 and weights[-1].shape[0] == 1


def _first(keys: Iterable[str], count: int = 3) -> str:
    names = list(keys)
    return ", ".join(names[:count]) + (" ..." if len(names) > count else "")


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
