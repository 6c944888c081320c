from collections.abc import Callable

import pytest
import torch
from torch import nn

from restorekit.backends.base import Backend, Capabilities
from restorekit.backends.card import Card
from restorekit.backends.model import Model


class Fake(nn.Module):
    """A net that is a function; `statistics` is what nets with means over the picture have."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))
        self.statistics = None

    def forward(self, x):
        return self.function(x)


@pytest.fixture
def make_model():
    """Make a model of a function or a net: `make_model(net, scale=2, multiple=8)`."""

    def make(net, *, scale=1, channels=3, result="tensor", **capabilities):
        backend = Backend(
            name="fake",
            net="torch.nn:Identity",
            infer="torch.nn:Identity",
            keys=(),
            capabilities=Capabilities(**capabilities),
            tasks=(),
            paper="",
            licence="",
            result=result,
        )
        card = Card(name="fake", backend="fake", config={"in_channels": channels}, scale=scale)
        module = net if isinstance(net, nn.Module) else Fake(net)
        return Model(module.eval(), card, backend, torch.device("cpu"))

    return make
