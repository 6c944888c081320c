"""What a net costs and how far it looks: measured on the net, whatever its weights are."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from restorekit.backends.card import Card
from restorekit.backends.detect import outline
from restorekit.backends.model import Model
from restorekit.backends.registry import default_registry
from restorekit.classical.base import Classical

MEGAPIXEL = 10**6

_COUNTED = 256
"""Side of the picture whose operations are counted, as most papers do it."""
_SAMPLE = 64
"""The same where every pixel costs alike, so that a smaller picture tells as much."""
_LARGE = 4 * MEGAPIXEL
"""Parameters of a net whose run takes longer than importing the compiler, two seconds."""
_LENGTHS = (256, 512, 1024, 2048, 4096)
"""Lengths of the strips in which the reach of a pixel is looked for."""

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Profile:
    """The cost and the reach of a net."""

    macs_per_megapixel: int
    """Multiply-accumulates of convolutions and matrix products, for 10^6 pixels of the input."""
    receptive_field: float
    """Side of the square of input pixels that an output pixel depends on; infinite if it is all.

    Never too small; too large by less than what sides must be multiples of. NaN where the net
    computes outside torch, so that nothing can be followed through it.
    """


def profile(card: Card) -> Profile:
    """Measure the net that a card describes, with random weights on the CPU.

    Raises UnknownNameError for a backend that is not here, UsageError for a configuration that
    makes no net.
    """
    model = _random(card)
    try:
        macs, field = _macs_per_megapixel(model), _receptive_field(model)
    # What leaves torch, for OpenCV, cannot do without numbers.
    except NotImplementedError:
        macs, field = _count(model, _COUNTED), math.nan
    return Profile(macs, field)


def count_macs(run: Run, x: Tensor) -> int:
    """Count the multiply-accumulates of convolutions and matrix products in one run."""
    counter = _Macs()
    with torch.no_grad(), counter:
        run(x)
    return counter.total


def reach(run: Run, x: Tensor, first: int, last: int, scale: int = 1) -> tuple[int, int]:
    """Find the first and the last column that the columns `first` to `last` of `x` have a part in.

    They are made NaN, which spreads through every sum that they enter, however small their share.
    In columns of the input; raises ValueError when the run lets no NaN through.
    """
    spoilt = x.clone()
    spoilt[..., first : last + 1] = math.nan
    with torch.no_grad(), _pixel_by_pixel():
        touched = run(spoilt).isnan().flatten(0, -2).any(0).nonzero().flatten()
    if not len(touched):
        raise ValueError("no NaN comes through: the net computes outside torch")
    return int(touched[0]) // scale, int(touched[-1]) // scale


@contextmanager
def _pixel_by_pixel() -> Iterator[None]:
    """Keep to convolutions that do not work on blocks, in which a NaN spreads to neighbours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32")
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _random(card: Card) -> Model:
    backend = default_registry().get(card.backend)
    return Model(backend.build(**card.config).eval(), card, backend, torch.device("cpu"))


def _macs_per_megapixel(model: Model) -> int:
    if model.backend.capabilities.global_statistics:
        return _count(_countable(model), _COUNTED)
    return _count(model, _SAMPLE)


def _countable(model: Model) -> Model:
    """Take a large net as shapes alone; a small one runs before the compiler for that is there."""
    if sum(weights.numel() for weights in model.net.parameters()) < _LARGE:
        return model
    net = outline(model.backend, model.card.config).eval()
    return replace(model, net=net, device=torch.device("meta"))


def _count(model: Model, side: int) -> int:
    side = _allowed(model, side)
    x = torch.zeros(1, model.channels, side, side, device=model.device)
    return round(count_macs(lambda x: model.picture(model.net(x)), x) * MEGAPIXEL / side**2)


def _allowed(model: Model, side: int) -> int:
    """The least side the net takes that is no less than `side`."""
    least = max(side, model.backend.capabilities.minimum)
    return -(-least // model.multiple) * model.multiple


def _receptive_field(model: Model) -> float:
    if any(isinstance(part, Classical) for part in model.net.modules()):
        return math.nan
    # For a net that is known to look at everything, one strip is proof enough.
    lengths = _LENGTHS[:1] if model.backend.capabilities.global_statistics else _LENGTHS
    for length in lengths:
        try:
            far = _farthest(model, length, transposed=False)
            if far < math.inf:
                far = max(far, _farthest(model, length, transposed=True))
        except ValueError:
            return math.nan
        if far < math.inf:
            return 2 * far + 1
    return math.inf


def _farthest(model: Model, length: int, *, transposed: bool) -> float:
    """How far pixels in the middle of a strip reach, in pixels; infinite if to both ends."""

    def run(x: Tensor) -> Tensor:
        picture = model.picture(model.net(x.mT.contiguous() if transposed else x))
        return picture.mT if transposed else picture

    length, step = _allowed(model, length), model.multiple
    x = torch.rand(1, model.channels, _allowed(model, 1), length)
    # All places within one step, for of a shrunken map they are not alike.
    first = length // 2 // step * step
    last = first + step - 1
    scale = model.backend.scale(model.card.config)
    left, right = reach(run, x, first, last, scale)
    if left == 0 and right == length - 1:
        return math.inf
    return max(last - left, right - first)


class _Macs(TorchDispatchMode):
    """Count what runs within the context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would import the compiler, a second of start-up, to keep it away from this class.
        return False

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        operations = flop_registry.get(func.overloadpacket)
        if operations:
            # Two operations are one multiply-accumulate.
            self.total += operations(*args, **(kwargs or {}), out_val=result) // 2
        return result
